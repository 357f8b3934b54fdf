"""Exact sums per word: fixed point, so that the order of addition cannot matter.

A value is cut into integers, each in a unit of its own, and integer addition is associative:
shuffled batches, several processes and resumed runs give bit-equal tables. A row has the columns

    0, 1   chi, in units of 2^-20 and 2^-52
    2, 3   ℓ1, its bits below 2^12: in units of 2^-20 and 2^-52
    4      positions that count (a finite vector that is not zero)
    5, 6   positions that do not: all of them, and those with NaN or inf
    7 …    the other bits of ℓ1, in units of 2^12, 2^-84, 2^44, 2^-116, 2^76, 2^-148, 2^108

so that ordinary values fill the first five. ℓ1 is exact wherever it is a float32, and to 2^-148 in
float64; from 2^140 on it counts as infinite. Each limb is below 2^32, so a word may be seen 2^31
times. Sums of few of many words are kept packed (:func:`pack`): a line for each word that occurs,
and only those digits of 32 bits that are not zero in all of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache

import torch
from torch import Tensor

COARSE = 2.0**20
LIMB = 2.0**32
UNITS = (-20, -52, 12, -84, 44, -116, 76, -148, 108)  # exponents, in the order of the columns
COUNT, MISSED, NOT_FINITE = 4, 5, 6
COLUMNS = 7 + len(UNITS) - 2
LARGEST = 2.0**140
_L1 = [at for _, at in sorted(zip(UNITS, (2, 3, *range(7, COLUMNS)), strict=True))]
_GROUPS = ((1, 0), (COUNT,), (MISSED,), (NOT_FINITE,), tuple(_L1))  # ascending units in each
_PARTS = [at for group in _GROUPS for at in (*group, -1)]  # -1: what does not fit into the last


def empty_sums(num_words: int, device: torch.device | str = "cpu") -> Tensor:
    """Sums of nothing: (V, 14) int64."""
    with torch.inference_mode(False):
        return torch.zeros(num_words, COLUMNS, dtype=torch.int64, device=device)


def quantise(chi: Tensor, l1: Tensor) -> Tensor:
    """Rows to be added: (N,) chi and (N,) ℓ1, of any sign -> (N, 14) int64."""
    valid = chi.isfinite() & (l1.abs() < LARGEST)
    values = torch.stack([chi, l1], 1)
    if values.dtype != torch.float64:  # which not every device has; powers of two lose no bit
        values = values.float()
    values = torch.where(valid.unsqueeze(1), values, 0.0)
    scaled = values[:, :1] * COARSE
    coarse = scaled.floor()
    fine = ((scaled - coarse) * LIMB).round()
    roots = _roots(values.device, values.dtype)
    size = values[:, 1:].abs() * roots * roots  # N 9
    limbs = size.floor() - (size / LIMB).floor() * LIMB
    limbs = torch.where(size < 2.0**86, limbs, 0.0) * values[:, 1:].sign()  # none so low is left
    missed = ~valid
    flags = torch.stack([valid, missed, missed & (l1 != 0)], 1)
    return torch.cat([x.long() for x in (coarse, fine, limbs[:, :2], flags, limbs[:, 2:])], 1)


@cache
def _roots(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(9,) the square roots of the units' reciprocals, which float32 can hold."""
    with torch.inference_mode(False):
        return torch.tensor([2.0 ** (-unit // 2) for unit in UNITS], dtype=dtype, device=device)


def add_words(sums: Tensor, words: Tensor, rows: Tensor) -> None:
    """Add rows (N, C) to the sums (V, C) of their words (N,), in place; others are left out."""
    keep = (words >= 0) & (words < len(sums))
    rows = rows * keep.unsqueeze(1)
    sums.index_add_(0, words.clamp(0, len(sums) - 1), rows)


def index_words(words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For :func:`sum_rows`, of words (N,): those that occur, places among them, which count."""
    keep = words >= 0
    found, place = words[keep].unique(return_inverse=True)
    return found, place, keep


def sum_rows(index: tuple[Tensor, Tensor, Tensor], rows: Tensor) -> Tensor:
    """Packed sums of rows (N, 14), with words in ascending order; negative ones are left out."""
    found, place, keep = index
    sums = rows.new_zeros(len(found), rows.shape[1]).index_add_(0, place, rows[keep])
    return pack(found, sums)


def pack(words: Tensor, sums: Tensor) -> Tensor:
    """Words (K,) and their sums (K, 14) -> (1 + K, 1 + P) int32; equal sums give equal tensors.

    Each sum is written with digits from -2^31 to 2^31 - 1; P of them are not zero for all words.
    Row 0 says which, column 0 has the words (below 2^31).
    """
    columns, present = sums.t().contiguous(), sums.any(0).tolist()
    digits: dict[int, Tensor] = {}
    part = 0
    for group in _GROUPS:
        carry = None
        for column in group:
            if carry is not None or present[column]:
                value = columns[column] if carry is None else columns[column] + carry
                carry = (value + 2**31) >> 32
                digits[part] = value - (carry << 32)
                carry = carry if carry.any() else None
            part += 1
        if carry is not None:
            digits[part] = carry
        part += 1
    digits = {part: digit for part, digit in digits.items() if digit.any()}
    packed = words.new_zeros(1 + len(words), 1 + len(digits), dtype=torch.int32)
    packed[1:, 0] = words
    for place, (part, digit) in enumerate(digits.items(), 1):
        packed[0, place] = part
        packed[1:, place] = digit
    return packed


def unpack(packed: Tensor) -> tuple[Tensor, Tensor]:
    """The words (K,) and sums (K, 14) that :func:`pack` was given, up to carried digits."""
    words, values = packed[1:, 0].long(), packed[1:, 1:].long()
    sums = values.new_zeros(len(values), COLUMNS)
    for at, value in zip(packed[0, 1:].tolist(), values.unbind(1), strict=True):
        column = _PARTS[at]
        if column >= 0:
            sums[:, column] += value
        else:
            sums[:, _PARTS[at - 1]] += value << 32
    return words, sums


def add_packed(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two packed sums, packed."""
    (words, sums), (others, more) = unpack(a), unpack(b)
    return sum_rows(index_words(torch.cat([words, others])), torch.cat([sums, more]))


def select_words(packed: Tensor, words: Tensor) -> Tensor:
    """Packed sums of some of the words alone."""
    keep = torch.isin(packed[:, 0], words.to(packed.dtype))
    keep[0] = True
    return packed[keep]


def means(sums: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(V, 14) sums -> mean chi, mean ℓ1 (float64, NaN where nothing counts), count; each (V,)."""
    total = sums.double()
    count = sums[:, COUNT]
    scale = torch.where(count > 0, count.double() * COARSE, torch.nan)
    chi = (total[:, 0] + total[:, 1] / LIMB) / scale
    l1 = total[:, 2] + total[:, 3] / LIMB
    for column, unit in zip(range(7, COLUMNS), UNITS[2:], strict=True):
        l1 = l1 + total[:, column] * 2.0 ** (unit + 20)
    return chi, l1 / scale, count


def seen(sums: Tensor) -> Tensor:
    """(V, 14) sums -> positions at which a word stood, (V,)."""
    return sums[:, COUNT] + sums[:, MISSED]


def not_finite(sums: Tensor) -> int:
    """Positions with NaN or inf."""
    return int(sums[:, NOT_FINITE].sum())


def naive_means(
    words: list[int], chi: list[float], l1: list[float]
) -> dict[int, tuple[float, float, int]]:
    """The reference: word -> (mean chi, mean ℓ1, count), summed exactly by ``math.fsum``."""
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
