"""A text as parallel columns, read in windows (truncated backpropagation through time)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sparsecore.errors import InputError


def columns(ids: np.ndarray, batch_size: int, what: str = "text") -> Tensor:
    """Cut a 1-D text into ``batch_size`` equal columns: (L, B) int64; the remainder is left out.

    Raises:
        InputError: fewer than two tokens a column.
    """
    length = len(ids) // batch_size
    if length < 2:
        raise InputError(
            f"the {what} has {len(ids)} tokens, too few for batch_size={batch_size}: "
            f"it needs at least {2 * batch_size}"
        )
    return torch.from_numpy(np.asarray(ids[: length * batch_size])).view(batch_size, length).t()


def num_windows(columns: Tensor, sequence_length: int) -> int:
    """How many windows of at most ``sequence_length`` targets cover the columns."""
    return -(-(len(columns) - 1) // sequence_length)


def window(
    columns: Tensor, index: int, sequence_length: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Window ``index``: inputs (T, B) and targets (T, B), the same text one word on."""
    start = index * sequence_length
    stop = min(start + sequence_length, len(columns) - 1)
    piece = columns[start : stop + 1].to(device=device, dtype=torch.int64)
    return piece[:-1].contiguous(), piece[1:].contiguous()
