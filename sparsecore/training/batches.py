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


def random_windows(
    num_targets: int, base: int, generator: np.random.Generator
) -> list[tuple[int, int]]:
    """(start, length) of windows of random length that cover ``num_targets`` targets.

    Each length is max(5, ⌊N(b, 5²)⌋), at most ``base`` + 40, with b = ``base`` 19 times in 20 and
    half of it otherwise, so that over the epochs every word meets every distance to the cut. The
    last window takes what is left. The learning rate goes with the length: λ · length / ``base``.

    Source: Merity et al. 2017, §4.1.
    """
    windows: list[tuple[int, int]] = []
    start = 0
    while start < num_targets:
        mean = base if generator.random() < 0.95 else base / 2
        length = min(max(5, int(generator.normal(mean, 5.0))), base + 40, num_targets - start)
        windows.append((start, length))
        start += length
    return windows
