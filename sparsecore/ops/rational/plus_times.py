"""The plus-times recurrence: one pass over time, and a backward pass written by hand.

    c_t = f_t ∘ c_{t-1} + u_t ∘ prev(c_{t-1}),   f = sigmoid(x·loop + bias),   u = (x·main)(1 − f)

prev(c) holds, for each state, the state before it in its WFSA (1 for the start state). With G_t the
gradient of the loss with respect to c_t, all that comes back from later steps included,

    G_t = (own gradient) + f_{t+1} ∘ G_{t+1} + next(u_{t+1} ∘ G_{t+1})
    d(x·main) = G_t ∘ (1 − f_t) ∘ prev(c_{t-1})      d(x·loop + bias) = G_t ∘ f_t ∘ (c_{t-1} − c_t)

The last is short because f acts on c_t twice, as self-loop and within u, and the terms telescope.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sparsecore.ops.rational.double_backward import double_backward
from sparsecore.ops.rational.layout import Gradients, Layout, Recurrence
from sparsecore.ops.rational.steps import (
    ProjectionGradients,
    buffers_for,
    chunks_of,
    projections,
    run_backward,
    spread,
    sum_states,
)


def plus_times(given: Recurrence) -> tuple[Tensor, Tensor]:
    """Scores (T, B, D) and last states (B, S), in plain PyTorch."""
    return _PlusTimes.apply(*given)


class _PlusTimes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        x, main, loop, bias, c0, final, mask, layout, fixed = Recurrence(*given)
        weight = torch.cat([layout.inside(main), layout.inside(loop)])  # 2S E
        bias = layout.inside(bias)[:, None, None]
        weights = None if final is None else layout.inside(final)
        S, D = len(layout.rows), len(layout.wfsas)
        scores = x.new_empty(x.shape[0], D, x.shape[1])  # T D B
        saved: list[Tensor] = []
        carried = layout.inside(c0, 1).t()  # S B
        for part in chunks_of(x):
            u, f = projections(x[part], weight)  # S k B each
            f.add_(bias).sigmoid_()
            if mask is not None:
                f.masked_fill_(~mask[part], 1.0)  # then u is 0 and the state stays
            u.addcmul_(u, f, value=-1.0)
            gates = f[fixed]
            if fixed:
                f[fixed] = 1.0
            k, B = f.shape[1:]
            c = x.new_empty(D + S, k + 1, B)  # the start states, then all others
            c[:D] = 1.0
            c[D:, 0] = carried
            _run(f, u, c, layout)
            scores[part] = sum_states(c[D:, 1:], weights, layout).transpose(0, 1)
            carried = c[D:, k]
            if any(ctx.needs_input_grad):
                saved += [f, u, c, gates]
        ctx.layout, ctx.fixed = layout, fixed
        ctx.rest = given[6:]
        ctx.save_for_backward(*given[:6], weight, weights, *saved)
        return layout.wfsas_outside(scores, 1).transpose(1, 2), layout.outside(carried).t()

    @staticmethod
    def backward(ctx: Any, grad_scores: Tensor, grad_states: Tensor) -> Gradients:
        given, (weight, weights, *saved) = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
        if torch.is_grad_enabled():  # create_graph=True
            given = Recurrence(*given, *ctx.rest)
            return double_backward(
                given, "plus_times", ctx.needs_input_grad, (grad_scores, grad_states)
            )
        x = given[0]
        layout, fixed = ctx.layout, ctx.fixed
        S, D = len(layout.rows), len(layout.wfsas)
        total = ProjectionGradients(x, weight, ctx.needs_input_grad[0])
        grad_final = x.new_zeros(S)
        returning = layout.inside(grad_states.t())  # S B, what comes back from the next step
        buffers, gradient = None, x
        for part in reversed(chunks_of(x)):
            f, u, c, gates = saved[-4:]
            del saved[-4:]
            if buffers is None or buffers.g.shape != f.shape:
                buffers, gradient = buffers_for(f, layout), f.new_empty(2, *f.shape)
            own = layout.wfsas_inside(grad_scores[part].permute(2, 0, 1))  # D k B
            g = spread(own, layout, out=buffers.g)  # S k B
            if weights is not None:
                grad_final += (g * c[D:, 1:]).sum((1, 2))
                g *= weights[:, None, None]
            g[:, -1] += returning
            returning = run_backward(f, u, buffers, layout)

            grad_main, grad_loop = gradient
            torch.sub(1.0, f, out=grad_main)
            torch.sub(c[D:, :-1], c[D:, 1:], out=grad_loop)
            if fixed:  # there the gate acts within u alone
                grad_main[fixed] = 1.0 - gates
                grad_loop[fixed] *= gates
            for states, before in layout.spans:
                grad_main[states].mul_(c[before, :-1])
            grad_main.mul_(g)
            grad_loop.mul_(f).mul_(g)
            total.add(part, gradient)
        return total.outside(layout, returning, None if weights is None else grad_final)


def _run(f: Tensor, u: Tensor, c: Tensor, layout: Layout) -> None:
    """Fill ``c[:, 1:]``, step by step."""
    S = len(layout.rows)
    states = c[len(layout.wfsas) :]
    steps = states.unbind(1)
    spans = [
        (
            u[to].unbind(1),
            c[before].unbind(1),
            steps if to == slice(0, S) else states[to].unbind(1),
        )
        for to, before in layout.spans
    ]
    for t, f_t in enumerate(f.unbind(1)):
        torch.mul(f_t, steps[t], out=steps[t + 1])
        for u_to, before, after in spans:
            after[t + 1].addcmul_(u_to[t], before[t])
