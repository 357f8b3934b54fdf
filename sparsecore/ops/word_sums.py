"""Exact sums per word: fixed point, so that the order of addition cannot matter.

A value v is kept as two integers, floor(v * 2^20) and the rest in units of 2^-52. Integer addition
is associative: shuffled batches, several processes and resumed runs give bit-equal tables. Values
must lie in [0, 2^40); the sum of one word may reach 2^42 and its count 2^31.
"""

from __future__ import annotations

import math
from collections import defaultdict

import torch
from torch import Tensor

COARSE = 2.0**20
FINE = 2.0**32  # units of the rest: 2^-(20 + 32)
COLUMNS = 5  # chi coarse, chi fine, l1 coarse, l1 fine, count


def empty_sums(num_words: int, device: torch.device | str = "cpu") -> Tensor:
    """Sums of nothing: (V, 5) int64."""
    return torch.zeros(num_words, COLUMNS, dtype=torch.int64, device=device)


def quantise(chi: Tensor, l1: Tensor) -> Tensor:
    """Rows to be added: (N,) chi and (N,) ℓ1 -> (N, 5) int64; all-zero where chi is not finite."""
    valid = chi.isfinite() & l1.isfinite()
    values = torch.stack([chi, l1], 1)
    if values.dtype != torch.float64:  # which not every device has; powers of two lose no bit
        values = values.float()
    values = torch.where(valid.unsqueeze(1), values, 0.0) * COARSE  # N 2
    coarse = values.floor()
    fine = ((values - coarse) * FINE).round()
    columns = torch.stack([coarse, fine], 2).reshape(-1, 4)  # chi coarse, chi fine, l1 c, l1 f
    return torch.cat([columns.long(), valid.long().unsqueeze(1)], 1)


def add_words(sums: Tensor, words: Tensor, rows: Tensor) -> None:
    """Add rows (N, 5) to the sums (V, 5) of their words (N,), in place; words < 0 are left out."""
    keep = words >= 0
    rows = rows * keep.unsqueeze(1)
    sums.index_add_(0, words.clamp_min(0), rows)


def means(sums: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(V, 5) sums -> mean chi, mean ℓ1 (float64, NaN for an unseen word) and count, each (V,)."""
    total = sums.double()
    count = sums[:, 4]
    scale = torch.where(count > 0, count.double() * COARSE, torch.nan)
    chi = (total[:, 0] + total[:, 1] / FINE) / scale
    l1 = (total[:, 2] + total[:, 3] / FINE) / scale
    return chi, l1, count


def naive_means(
    words: list[int], chi: list[float], l1: list[float]
) -> dict[int, tuple[float, float, int]]:
    """The obvious twin: word -> (mean chi, mean ℓ1, count), summed exactly by ``math.fsum``."""
    seen: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for word, c, n in zip(words, chi, l1, strict=True):
        if word >= 0 and math.isfinite(c) and math.isfinite(n):
            seen[word].append((c, n))
    return {
        word: (
            math.fsum(c for c, _ in values) / len(values),
            math.fsum(n for _, n in values) / len(values),
            len(values),
        )
        for word, values in seen.items()
    }
