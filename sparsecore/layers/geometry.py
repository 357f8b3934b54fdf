"""Where the weights of predefined-sparse layers are (Demeester et al. 2018, §3-4).

A recurrent layer of size h is cut into N blocks; each block has a recurrence of its own
(W_hh is block-diagonal) and sees a window of γ·i of the i inputs (W_hi is banded). An embedding of
V words in k dimensions keeps only a staircase: the rarest words have the first dimensions alone.
This module says how many rows and columns each piece has. Pure arithmetic, no tensors; the mask
explorer has the same in JavaScript, and a test holds both to the same values.
"""

from __future__ import annotations

import itertools
import math

from sparsecore.errors import InputError, integer

ROUNDING = 1e-7  # added to a window's end before truncation, so that exact ends stay exact
ALPHA_TOLERANCE = 1e-6  # to which the ratio of consecutive bins is solved
LSTM_GATES = 4


def block_sizes(hidden_size: int, num_blocks: int) -> list[int]:
    """Hidden units of each block: block n ends at floor((n + 1) h / N).

    Args:
        hidden_size: h.
        num_blocks: N, 1 <= N <= h.

    Returns:
        N sizes that add up to h and differ by at most 1.

    Raises:
        InputError: N outside its legal range.

    Source: Demeester et al. 2018, §3.1.

    >>> block_sizes(1150, 4)
    [287, 288, 287, 288]
    """
    hidden_size = integer(hidden_size, "hidden_size", 1)
    num_blocks = integer(num_blocks, "num_blocks")
    if not 1 <= num_blocks <= hidden_size:
        raise InputError(
            f"num_blocks must lie in [1, {hidden_size}] for hidden_size={hidden_size}, "
            f"got {num_blocks}"
        )
    ends = [n * hidden_size // num_blocks for n in range(num_blocks + 1)]
    return [end - begin for begin, end in itertools.pairwise(ends)]


def input_windows(input_size: int, num_blocks: int, gamma: float) -> list[slice]:
    """The inputs that each block sees: N evenly spread windows of γ·i inputs that cover them all.

    Neighbouring windows share o = i (Nγ - 1)/(N - 1) inputs; positions are truncated, so widths can
    differ by 1.

    Args:
        input_size: i.
        num_blocks: N.
        gamma: γ, in [1/N, 1], and at least 1/i, so that every block has an input.

    Returns:
        N slices of range(i); the first begins at 0, the last ends at i.

    Raises:
        InputError: N or γ outside its legal range.

    Source: Demeester et al. 2018, §3.1 and Fig. 1.

    >>> input_windows(10, 3, 0.5)
    [slice(0, 5, None), slice(2, 7, None), slice(5, 10, None)]
    """
    input_size = integer(input_size, "input_size", 1)
    num_blocks = integer(num_blocks, "num_blocks", 1)
    name, least = least_gamma(input_size, num_blocks)
    if not least - 1e-12 <= gamma <= 1:
        raise InputError(f"gamma must lie in [{name}, 1] = [{least:.4g}, 1], got {gamma}")
    if num_blocks == 1:
        return [slice(0, input_size)]
    width = input_size * gamma
    stride = width - input_size * (num_blocks * gamma - 1) / (num_blocks - 1)
    windows = [
        slice(int(n * stride), int(n * stride + width + ROUNDING)) for n in range(num_blocks)
    ]
    windows[-1] = slice(windows[-1].start, input_size)
    return windows


def least_gamma(input_size: int, num_blocks: int) -> tuple[str, float]:
    """The least legal γ, as a formula and as a number: 1/N, or 1/i where N > i.

    >>> least_gamma(10, 4)
    ('1/num_blocks', 0.25)
    """
    if num_blocks > input_size:
        return "1/input_size", 1 / input_size
    return "1/num_blocks", 1 / num_blocks


def lstm_parameters(
    input_size: int, hidden_size: int, num_blocks: int = 1, gamma: float = 1.0
) -> int:
    """Parameters of a sparse LSTM layer: the sum over its blocks of 4 s (w + s + 2).

    s units and w inputs a block; the 2 are PyTorch's two bias vectors.

    >>> lstm_parameters(400, 1150)
    7139200
    """
    sizes = block_sizes(hidden_size, num_blocks)
    windows = input_windows(input_size, num_blocks, gamma)
    return sum(
        4 * size * (window.stop - window.start + size + 2)
        for size, window in zip(sizes, windows, strict=True)
    )


def equal_dense_size(input_size: int, parameters: int, gates: int = LSTM_GATES) -> int:
    """Hidden units h of the dense layer on i inputs whose parameters come nearest to so many.

    A dense layer has gates · h (h + i + 2) parameters; of two sizes equally near the smaller.

    Args:
        input_size: i, at least 1.
        parameters: of the layer that it is to equal, at least 1.
        gates: 4 for an LSTM, 3 for a GRU, 1 for a plain RNN.

    Raises:
        InputError: a size below 1.

    >>> equal_dense_size(200, lstm_parameters(200, 1150, 4, 0.495))
    575
    """
    for name, value in {"input_size": input_size, "parameters": parameters}.items():
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    b = input_size + 2
    below = max(1, (math.isqrt(b * b + 4 * parameters // gates) - b) // 2)
    return min((below, below + 1), key=lambda h: abs(gates * h * (h + b) - parameters))


def matching_geometry(
    input_size: int, hidden_size: int, reduce_in: float, reduce_out: float
) -> tuple[int, float]:
    """(N, γ) of the sparse layer i -> h with as many parameters as a dense layer a·i -> b·h.

    With D = ab·i + b²·h + 2b - 2 the weights that each hidden unit may have,
    N = ceil((i + h)/D) is the smallest feasible number of blocks and γ = (D - h/N)/i, at most 1.

    Args:
        input_size, hidden_size: i and h of the sparse layer.
        reduce_in, reduce_out: a and b, each in (0, 1].

    Raises:
        InputError: a or b outside its range, or a budget so small that γ would fall below 1/N.

    Source: Demeester et al. 2018, §3.1 (the budget), supplementary code (the rounding).

    >>> matching_geometry(200, 1150, 1.0, 0.5)
    (4, 0.495)
    """
    for name, value in (("reduce_in", reduce_in), ("reduce_out", reduce_out)):
        if not 0 < value <= 1:
            raise InputError(f"{name} must lie in (0, 1], got {value}")
    budget = reduce_in * reduce_out * input_size + reduce_out**2 * hidden_size + 2 * reduce_out - 2
    if budget <= 0:
        raise InputError(
            f"no sparse layer {input_size} -> {hidden_size} is as small as "
            f"reduce_in={reduce_in}, reduce_out={reduce_out} asks: its units would have no weights"
        )
    num_blocks = math.ceil((input_size + hidden_size) / budget)
    gamma = min(1.0, (budget - hidden_size / num_blocks) / input_size)
    least = least_gamma(input_size, num_blocks)[1]
    if num_blocks > hidden_size or gamma < least:
        raise InputError(
            f"no sparse layer {input_size} -> {hidden_size} is as small as "
            f"reduce_in={reduce_in}, reduce_out={reduce_out} asks: {num_blocks} blocks would "
            f"need gamma >= {least:.4g}, the budget leaves {gamma:.4g}"
        )
    return num_blocks, gamma


def bin_ratio(density: float, num_bins: int) -> float:
    """α in [0, 1] with (1 + α + … + α^(M-1))/M = δ: each bin's rows over those of the one before.

    By bisection to 1e-6. Source: Demeester et al. 2018, §4.1.
    """
    if density >= 1:
        return 1.0
    low, high = 0.0, 1.0
    while high - low > ALPHA_TOLERANCE:
        middle = (low + high) / 2
        if sum(middle**j for j in range(num_bins)) / num_bins < density:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def bin_widths(embedding_dim: int, num_bins: int) -> list[int]:
    """Dimensions of each bin: floor(k/M), the last takes the remainder.

    >>> bin_widths(400, 3)
    [133, 133, 134]
    """
    width = embedding_dim // num_bins
    return [width] * (num_bins - 1) + [embedding_dim - (num_bins - 1) * width]


def bin_rows(
    num_embeddings: int, embedding_dim: int, density: float, num_bins: int | None = None
) -> list[int]:
    """How many words have each bin of dimensions, so that δ·k·V entries are left.

    Bin m belongs to the r_m most frequent words, r_0 = V. Rows shrink by a ratio α that is solved
    anew for each bin from what is left of the budget, and the last bin takes the rounding (as far
    as it has rows; the second and following bins take the rest).

    Args:
        num_embeddings: V words.
        embedding_dim: k dimensions.
        density: δ, in [1/M, 1].
        num_bins: M, 1 <= M <= k; by default k, a bin for every dimension.

    Returns:
        M row counts, not increasing (the last makes up for rounding and may be a little larger).

    Raises:
        InputError: δ or M outside its legal range.

    Source: Demeester et al. 2018, §4.1 and supplementary code (the sequential rounding).

    >>> bin_rows(1000, 4, 0.5)
    [1000, 543, 295, 162]
    """
    num_embeddings = integer(num_embeddings, "num_embeddings", 1)
    embedding_dim = integer(embedding_dim, "embedding_dim")
    num_bins = embedding_dim if num_bins is None else integer(num_bins, "num_bins")
    if not 1 <= num_bins <= embedding_dim:
        raise InputError(
            f"num_bins must lie in [1, {embedding_dim}] for embedding_dim={embedding_dim}, "
            f"got {num_bins}"
        )
    if not 1 / num_bins - 1e-12 <= density <= 1:
        raise InputError(
            f"density must lie in [1/num_bins, 1] = [{1 / num_bins:.4g}, 1], got {density}"
        )
    widths = bin_widths(embedding_dim, num_bins)
    rows = [num_embeddings]
    budget, used, left = density * embedding_dim * num_embeddings, 0, embedding_dim
    for m in range(1, num_bins - 1):
        share = (budget - used) / (rows[-1] * left) if rows[-1] else 0.0
        alpha = bin_ratio(share, num_bins - m + 1)
        used += rows[-1] * widths[m - 1]
        left -= widths[m - 1]
        rows.append(rows[-1] - math.ceil(rows[-1] * (1 - alpha)))
    if num_bins > 1:
        used += rows[-1] * widths[-2]
        last, m = round((math.floor(budget) - used) / widths[-1]), 1
        while last > num_embeddings:  # so many bins that rounding left more than the last can hold
            if rows[m] == num_embeddings:
                m += 1
            rows[m] += 1
            used += widths[m]
            last = round((math.floor(budget) - used) / widths[-1])
        rows.append(max(0, last))
    return rows
