"""The recurrence as ``torch.export`` can write it down: a scan over time of any length.

In use while a model is being exported, and only then: the program, or the ONNX file made of it,
takes texts of any length and any number of them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops.scan import scan

from sparsecore.ops.rational.layout import Recurrence

Step = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def exported(given: Recurrence, semiring: str) -> tuple[Tensor, Tensor]:
    """As :func:`~sparsecore.ops.rational.plus_times.plus_times`, in every semiring."""
    x, main, loop, bias, c0, final, mask, layout, fixed = given
    one, combine = STEPS[semiring]
    fixed_rows = {layout.rows[row] for row in fixed}
    wfsa = [d for d, length in enumerate(layout.lengths) for _ in range(length)]  # of each state
    starts = [s == 0 or wfsa[s] != wfsa[s - 1] for s in range(len(wfsa))]
    first = torch.tensor(starts, device=x.device)
    stays = torch.tensor([s in fixed_rows for s in range(len(wfsa))], device=x.device)
    scored = [[d == own for d in range(len(layout.lengths))] for own in wfsa]
    weights = torch.tensor(scored, dtype=x.dtype, device=x.device)  # S D
    if final is not None:
        weights = weights * final.unsqueeze(1)

    f = torch.sigmoid(F.linear(x, loop, bias))  # T B S
    u = F.linear(x, main)
    u = u * (1 - f) if semiring == "plus_times" else u.sigmoid()
    read = x.new_ones(x.shape[:2]) if mask is None else mask.to(x.dtype)

    def step(c: Tensor, now: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        f, u, read = now
        before = torch.where(first, one, F.pad(c, (1, 0))[:, :-1])
        after = combine(c, torch.where(stays, one, f), before, u)
        after = torch.where(read.unsqueeze(1) > 0, after, c)
        return after, after.clone()

    last, states = scan(step, c0, (f, u, read))
    return states @ weights, last


def _sum_of_paths(c: Tensor, stay: Tensor, before: Tensor, u: Tensor) -> Tensor:
    return stay * c + u * before


def _longest(c: Tensor, stay: Tensor, before: Tensor, u: Tensor) -> Tensor:
    return torch.maximum(before + u, c + stay)


def _likeliest(c: Tensor, stay: Tensor, before: Tensor, u: Tensor) -> Tensor:
    return torch.maximum(before * u, c * stay)


# weight of the start state, and one step: c, its self-loop's weight, the state before, u
STEPS: dict[str, tuple[float, Step]] = {
    "plus_times": (1.0, _sum_of_paths),
    "max_plus": (0.0, _longest),
    "max_times": (1.0, _likeliest),
}
