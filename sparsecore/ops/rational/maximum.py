"""The recurrences that keep the best path alone: max-plus and max-times.

    c_t = max(prev(c_{t-1}) ⊗ u_t, c_{t-1} ⊗ f_t)
    f = sigmoid(x·loop + bias),   u = sigmoid(x·main)

⊗ is + or ×. Where both are equal the main path is taken. Which one was taken is kept, and the
backward pass is linear: the gradient follows the path that was chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sparsecore.ops.rational.double_backward import double_backward
from sparsecore.ops.rational.layout import Layout, Recurrence
from sparsecore.ops.rational.steps import (
    ProjectionGradients,
    buffers_for,
    chunks_of,
    projections,
    run_backward,
    spread,
    sum_states,
)


def maximum(given: Recurrence, *, add: bool) -> tuple[Tensor, Tensor]:
    """As :func:`~sparsecore.ops.rational.plus_times.plus_times`; ``add``: ⊗ is +, else ×."""
    return _Maximum.apply(add, *given)


class _Maximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, add: bool, *given: Any) -> tuple[Tensor, Tensor]:
        x, main, loop, bias, c0, final, mask, layout, fixed = Recurrence(*given)
        one = 0.0 if add else 1.0
        times = torch.add if add else torch.mul
        weight = torch.cat([layout.inside(main), layout.inside(loop)])  # 2S E
        bias = layout.inside(bias)[:, None, None]
        weights = None if final is None else layout.inside(final)
        S, D = len(layout.rows), len(layout.wfsas)
        scores = x.new_empty(x.shape[0], D, x.shape[1])  # T D B
        saved: list[Tensor] = []
        carried = layout.inside(c0, 1).t()  # S B
        for part in chunks_of(x):
            u, f = projections(x[part], weight)  # S k B each
            u.sigmoid_()
            f.add_(bias).sigmoid_()
            k, B = f.shape[1:]
            moved = torch.ones(S, k, B, dtype=torch.bool, device=x.device)  # or: may move
            still = torch.zeros(S, 1, 1, dtype=torch.bool, device=x.device)  # self-loop is one
            still[fixed] = True
            if mask is not None:
                moved &= mask[part]
                still = still | ~mask[part]
            stay = torch.where(still, one, f)
            c = x.new_empty(D + S, k + 1, B)  # the start states, then all others
            c[:D] = one
            c[D:, 0] = carried
            _run(stay, u, c, moved, layout, times)
            scores[part] = sum_states(c[D:, 1:], weights, layout).transpose(0, 1)
            carried = c[D:, k]
            if any(ctx.needs_input_grad):
                saved += [f, u, c, moved, still]
        ctx.layout, ctx.add = layout, add
        ctx.rest = given[6:]
        ctx.save_for_backward(*given[:6], weight, weights, *saved)
        return layout.wfsas_outside(scores, 1).transpose(1, 2), layout.outside(carried).t()

    @staticmethod
    def backward(ctx: Any, grad_scores: Tensor, grad_states: Tensor) -> tuple[Any, ...]:
        given, (weight, weights, *saved) = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
        if torch.is_grad_enabled():  # create_graph=True
            semiring, needed = "max_plus" if ctx.add else "max_times", ctx.needs_input_grad[1:]
            given = Recurrence(*given, *ctx.rest)
            return None, *double_backward(given, semiring, needed, (grad_scores, grad_states))
        x = given[0]
        layout, add = ctx.layout, ctx.add
        S, D = len(layout.rows), len(layout.wfsas)
        total = ProjectionGradients(x, weight, ctx.needs_input_grad[1])
        grad_final = x.new_zeros(S)
        returning = layout.inside(grad_states.t())  # S B, what comes back from the next step
        for part in reversed(chunks_of(x)):
            f, u, c, moved, still = saved[-5:]
            del saved[-5:]
            buffers = buffers_for(f, layout)
            own = layout.wfsas_inside(grad_scores[part].permute(2, 0, 1))  # D k B
            g = spread(own, layout, out=buffers.g)  # S k B
            if weights is not None:
                grad_final += (g * c[D:, 1:]).sum((1, 2))
                g *= weights[:, None, None]
            g[:, -1] += returning
            come, stay = moved.to(x.dtype), (~moved).to(x.dtype)
            if add:
                returning = run_backward(stay, come, buffers, layout)
                by_u, by_f = come * g, stay * g
            else:
                returning = run_backward(
                    stay * torch.where(still, 1.0, f), come * u, buffers, layout
                )
                by_u, by_f = come * g, stay * g * c[D:, :-1]
                for states, before in layout.spans:
                    by_u[states] *= c[before, :-1]
            gradient = torch.stack([by_u * u * (1 - u), (by_f * f * (1 - f)).masked_fill(still, 0)])
            total.add(part, gradient)
        return None, *total.outside(layout, returning, None if weights is None else grad_final)


def _run(
    stay: Tensor,
    u: Tensor,
    c: Tensor,
    moved: Tensor,
    layout: Layout,
    times: Callable[..., Tensor],
) -> None:
    """Fill ``c[:, 1:]``; where ``moved`` allows it, leave there whether the main path was taken."""
    D = len(layout.wfsas)
    for t in range(u.shape[1]):
        staying = times(c[D:, t], stay[:, t])
        coming = torch.cat([times(c[before, t], u[to, t]) for to, before in layout.spans])
        moved[:, t] &= coming >= staying
        c[D:, t + 1] = torch.where(moved[:, t], coming, staying)
