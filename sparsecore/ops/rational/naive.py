"""The reference implementation: token by token, WFSA by WFSA, state by state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def naive_rational_recurrence(
    x: Tensor,
    main: Tensor,
    loop: Tensor,
    bias: Tensor,
    lengths: Sequence[int],
    *,
    c0: Tensor | None = None,
    final: Tensor | None = None,
    semiring: str = "plus_times",
    fixed_loops: Sequence[bool] | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As :func:`~sparsecore.ops.rational.rational_recurrence`, in plain operations."""
    plus, times, one, nothing = SEMIRINGS[semiring]
    T, B, _ = x.shape
    scores = []
    ends = []
    row = 0
    for d, length in enumerate(lengths):
        c = [x.new_full((B,), one)]  # the start state, then states 1, 2, …
        for i in range(length):
            c.append(x.new_full((B,), nothing) if c0 is None else c0[:, row + i])
        over_time = []
        for t in range(T):
            after = [c[0]]
            for i in range(1, length + 1):
                s = row + i - 1
                f = torch.sigmoid(x[t] @ loop[s] + bias[s])
                u = (x[t] @ main[s]) * (1 - f)
                if semiring != "plus_times":
                    u = torch.sigmoid(x[t] @ main[s])
                if fixed_loops is not None and fixed_loops[d] and i == length:
                    f = torch.full_like(f, one)
                value = plus(times(c[i - 1], u), times(c[i], f))
                after.append(value if mask is None else torch.where(mask[t], value, c[i]))
            c = after
            weights = [1.0] * length if final is None else final[row : row + length]
            over_time.append(sum(w * state for w, state in zip(weights, c[1:], strict=True)))
        scores.append(torch.stack(over_time))  # pyrefly: ignore[bad-argument-type]
        ends += c[1:]
        row += length
    return torch.stack(scores, -1), torch.stack(ends, -1)


def _larger(a: Tensor, b: Tensor) -> Tensor:
    """max(a, b); of two equal ones the first."""
    return torch.where(a >= b, a, b)


# plus, times, the weight of the start state, and what a state holds before any path reaches it
Semiring = tuple[Callable[..., Tensor], Callable[..., Tensor], float, float]
SEMIRINGS: dict[str, Semiring] = {
    "plus_times": (torch.add, torch.mul, 1.0, 0.0),
    "max_plus": (_larger, torch.add, 0.0, -100.0),
    "max_times": (_larger, torch.mul, 1.0, -100.0),
}
