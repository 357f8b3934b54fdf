"""Tables of a run folder, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sparsecore.files import atomic_path
from sparsecore.training.distributed import world

if TYPE_CHECKING:
    import pandas as pd


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a Parquet file atomically; the same table gives the same bytes.

    Of several processes the first one writes.
    """
    if not world().first:
        return
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")
