"""Hidden units and inputs of each block of a predefined-sparse layer (Demeester et al. 2018, §3).

A recurrent layer of size h is cut into N blocks; each block has a recurrence of its own
(W_hh is block-diagonal) and sees a window of γ·i of the i inputs (W_hi is banded).
Pure arithmetic, no tensors.
"""

from __future__ import annotations

import itertools

from sparsecore.errors import InputError

ROUNDING = 1e-7  # added to a window's end before truncation, so that exact ends stay exact


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
    if hidden_size < 1:
        raise InputError(f"hidden_size must be at least 1, got {hidden_size}")
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
    if input_size < 1:
        raise InputError(f"input_size must be at least 1, got {input_size}")
    if num_blocks < 1:
        raise InputError(f"num_blocks must be at least 1, got {num_blocks}")
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
