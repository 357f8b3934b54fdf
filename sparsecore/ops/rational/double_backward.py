"""The gradients of the recurrence by plain operations, where they are to be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from sparsecore.ops.rational.layout import Gradients, Recurrence
from sparsecore.ops.rational.naive import naive_rational_recurrence
from sparsecore.ops.second_order import differentiable_gradients


def double_backward(
    given: Recurrence, semiring: str, needed: Sequence[bool], gradients: tuple[Tensor, Tensor]
) -> Gradients:
    """From the gradients of scores and states, through the reference implementation (slow)."""
    layout = given.layout
    every = range(len(layout.lengths))
    fixed = [bool({*layout.last_rows([d == e for e in every])} & {*given.fixed}) for d in every]

    def run(
        x: Tensor, main: Tensor, loop: Tensor, bias: Tensor, c0: Tensor, final: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        return naive_rational_recurrence(
            x, main, loop, bias, layout.lengths, c0=c0, final=final, semiring=semiring,
            fixed_loops=fixed, mask=given.mask,
        )  # fmt: skip

    found: Any = differentiable_gradients(run, given[:6], needed[:6], gradients)
    return Gradients(*found)
