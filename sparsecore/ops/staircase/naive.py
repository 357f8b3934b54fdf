"""The reference implementation: the zeros filled in, concatenated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def naive_dense(tables: Sequence[Tensor]) -> Tensor:
    """Tables (r_m, width_m), r_0 = V -> (V, k): each below as many zeros as it lacks rows."""
    num_rows = len(tables[0])
    return torch.cat(
        [
            torch.cat([table.new_zeros(num_rows - len(table), table.shape[1]), table])
            for table in tables
        ],
        dim=1,
    )
