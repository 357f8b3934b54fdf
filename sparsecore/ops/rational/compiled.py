"""The plus-times recurrence on a CPU with its inner loops compiled by Numba.

The same numbers as :mod:`~sparsecore.ops.rational.plus_times`, where the equations are, with no
Python between two tokens. Numba is optional (extra ``cpu``).
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsecore.ops.rational import loops
from sparsecore.ops.rational.double_backward import double_backward
from sparsecore.ops.rational.layout import Gradients, Recurrence
from sparsecore.ops.rational.steps import ProjectionGradients, chunks_of, projections


def plus_times_compiled(given: Recurrence) -> tuple[Tensor, Tensor]:
    """As :func:`~sparsecore.ops.rational.plus_times.plus_times` in float32 or float64."""
    return _Compiled.apply(*given)


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        x, main, loop, bias, c0, final, mask, layout, fixed = Recurrence(*given)
        starts = np.fromiter(accumulate(layout.lengths, initial=0), np.int64)
        rows = {layout.rows[row] for row in fixed}
        stays = np.array([stop - 1 in rows for stop in starts[1:]])
        weight = torch.cat([main, loop])  # 2S E
        weights = torch.ones_like(bias) if final is None else final.contiguous()
        S, D = len(bias), len(stays)
        scores = x.new_empty(x.shape[0], D, x.shape[1])  # T D B
        saved: list[Tensor] = []
        carried, c, k, B = c0.t(), x, 0, x.shape[1]  # S B, S k+1 B
        for part in chunks_of(x):
            m, f = projections(x[part], weight)  # S k B each
            f.add_(bias[:, None, None]).sigmoid_()
            if mask is not None:
                f.masked_fill_(~mask[part], 1.0)  # then nothing comes in and the state stays
            if any(ctx.needs_input_grad):
                saved += [m, f, carried.clone()]
            if k != f.shape[1]:
                k = f.shape[1]
                c = x.new_empty(S, k + 1, B)
            c[:, 0] = carried
            loops.run(*_arrays(m, f, weights), starts, stays, *_arrays(c, scores[part]))
            carried = c[:, k]
        ctx.starts, ctx.stays, ctx.weighted = starts, stays, final is not None
        ctx.rest = given[6:]
        ctx.save_for_backward(*given[:6], weight, weights, *saved)
        return scores.transpose(1, 2), carried.t().contiguous()

    @staticmethod
    def backward(ctx: Any, grad_scores: Tensor, grad_states: Tensor) -> Gradients:
        given, (weight, weights, *saved) = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
        if torch.is_grad_enabled():  # create_graph=True
            given = Recurrence(*given, *ctx.rest)
            return double_backward(
                given, "plus_times", ctx.needs_input_grad, (grad_scores, grad_states)
            )
        x = given[0]
        total = ProjectionGradients(x, weight, ctx.needs_input_grad[0])
        returning = grad_states.t().contiguous()  # S B, what comes back from the next step
        grad_weights = torch.zeros_like(returning)
        gradient = c = scores = x
        for part in reversed(chunks_of(x)):
            m, f, carried = saved[-3:]
            del saved[-3:]
            own = grad_scores[part].transpose(1, 2).contiguous()  # k D B
            if gradient.shape[1:] != f.shape:
                S, k, B = f.shape
                c, gradient = x.new_empty(S, k + 1, B), x.new_empty(2, S, k, B)
                scores = torch.empty_like(own)
            c[:, 0] = carried
            arcs = (*_arrays(m, f, weights), ctx.starts, ctx.stays)
            loops.run(*arcs, *_arrays(c, scores))  # again: they are less to compute than to keep
            loops.run_backward(
                *arcs,
                *_arrays(c, own, returning, gradient),
                ctx.weighted,
                *_arrays(grad_weights),
            )
            total.add(part, gradient)
        return Gradients(
            total.x,
            total.main,
            total.loop,
            total.bias,
            returning.t(),
            grad_weights.sum(1) if ctx.weighted else None,
        )


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    """Tensors as NumPy arrays of the same memory."""
    return [tensor.detach().numpy() for tensor in tensors]
