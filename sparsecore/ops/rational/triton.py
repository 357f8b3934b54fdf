"""The plus-times recurrence as one kernel for GPUs.

A program runs some lanes, a lane being one WFSA on one text, through all of time with their states
in registers. The forward pass keeps the states of every sixteenth step only; the backward pass
computes the steps between anew, sixteen at a time. The projections before and the gradients of the
weights after are single matrix products, as on the CPU, and so are the names.
"""

# ruff: noqa: RUF005  (Triton knows sums of tuples, but no unpacking)

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparsecore.ops.rational.double_backward import double_backward
from sparsecore.ops.rational.layout import Gradients, Recurrence, layout_of, on_device
from sparsecore.ops.rational.plus_times import plus_times
from sparsecore.ops.rational.steps import projections
from sparsecore.ops.self_check import allclose

LANES = 32
STRIDE = 16  # steps between kept states
OPTIONS = {"num_warps": 1, "enable_fp_fusion": True}


def plus_times_triton(given: Recurrence) -> tuple[Tensor, Tensor]:
    """As :func:`~sparsecore.ops.rational.plus_times.plus_times`, on a GPU."""
    return _Kernel.apply(*given)


@triton.jit
def _gates(p_at, z_at, valid, read, fixed):
    """Of one state at one step: the gate, the self-loop's weight f and the main path's u."""
    p = tl.load(p_at, valid, other=0.0)
    z = tl.load(z_at, valid, other=0.0)
    gate = tl.where(read, tl.sigmoid(z), 1.0)
    return gate, tl.where(fixed, 1.0, gate), p * (1.0 - gate)


@triton.jit
def _lanes(lengths, loops, L, B, LANES: tl.constexpr):
    """Place and column of each lane, its WFSA's length, whether the last self-loop is fixed."""
    lane = tl.program_id(0) * LANES + tl.arange(0, LANES)
    inside = lane < L
    place = lane // B
    length = tl.load(lengths + place, inside, other=0)
    return place, lane % B, length, tl.load(loops + place, inside, other=0) != 0


@triton.jit
def _forward(
    p, z, c0, weights, mask, lengths, loops, starts, scores, kept, last,
    T, B, L, N: tl.constexpr, LANES: tl.constexpr, STRIDE: tl.constexpr,
):  # fmt: skip
    place, b, length, loop_one = _lanes(lengths, loops, L, B, LANES)
    c = ()
    for i in tl.static_range(N):
        row = tl.load(starts + i) + place
        c = c + (tl.load(c0 + row * B + b, i < length, other=0.0),)
    S = tl.load(starts + N)
    for t in range(T):
        if t % STRIDE == 0:
            for i in tl.static_range(N):
                row = tl.load(starts + i) + place
                tl.store(kept + ((t // STRIDE) * S + row) * B + b, c[i], i < length)
        read = tl.load(mask + t * B + b, length > 0, other=0) != 0
        score = tl.zeros_like(c[0])
        after = ()
        for i in tl.static_range(N):
            row = tl.load(starts + i) + place
            at = (row * T + t) * B + b
            _, f, u = _gates(p + at, z + at, i < length, read, loop_one & (i == length - 1))
            if i == 0:
                value = f * c[i] + u
            else:
                value = f * c[i] + u * c[i - 1]
            after = after + (value,)
            score += tl.load(weights + row, i < length, other=0.0) * value
        c = after
        tl.store(scores + t * L + place * B + b, score, length > 0)
    for i in tl.static_range(N):
        row = tl.load(starts + i) + place
        tl.store(last + row * B + b, c[i], i < length)


@triton.jit
def _backward(
    p, z, weights, mask, lengths, loops, starts, kept, own, returning, scratch, grad_p, grad_z,
    grad_weights, T, B, L, N: tl.constexpr, LANES: tl.constexpr, STRIDE: tl.constexpr,
):  # fmt: skip
    place, b, length, loop_one = _lanes(lengths, loops, L, B, LANES)
    S = tl.load(starts + N)
    back = ()  # gradient that comes back from the next step
    of_weights = ()
    for i in tl.static_range(N):
        row = tl.load(starts + i) + place
        back = back + (tl.load(returning + row * B + b, i < length, other=0.0),)
        of_weights = of_weights + (tl.zeros_like(back[0]),)
    for part in range(tl.cdiv(T, STRIDE) - 1, -1, -1):
        c = ()
        for i in tl.static_range(N):
            row = tl.load(starts + i) + place
            c = c + (tl.load(kept + (part * S + row) * B + b, i < length, other=0.0),)
        steps = tl.minimum(STRIDE, T - part * STRIDE)
        for j in range(steps):
            read = tl.load(mask + (part * STRIDE + j) * B + b, length > 0, other=0) != 0
            after = ()
            for i in tl.static_range(N):
                row = tl.load(starts + i) + place
                tl.store(scratch + (j * S + row) * B + b, c[i], i < length)
                at = (row * T + part * STRIDE + j) * B + b
                _, f, u = _gates(p + at, z + at, i < length, read, loop_one & (i == length - 1))
                if i == 0:
                    after = after + (f * c[i] + u,)
                else:
                    after = after + (f * c[i] + u * c[i - 1],)
            c = after
        for j in range(steps - 1, -1, -1):
            t = part * STRIDE + j
            read = tl.load(mask + t * B + b, length > 0, other=0) != 0
            score = tl.load(own + t * L + place * B + b, length > 0, other=0.0)
            before = tl.zeros_like(score) + 1.0  # the start state
            g_before = tl.zeros_like(score)  # of the state before, what came by its self-loop
            earlier = ()
            sums = ()
            for i in tl.static_range(N):
                row = tl.load(starts + i) + place
                valid = i < length
                at = (row * T + t) * B + b
                gate, f, u = _gates(p + at, z + at, valid, read, loop_one & (i == length - 1))
                c_i = tl.load(scratch + (j * S + row) * B + b, valid, other=0.0)
                weight = tl.load(weights + row, valid, other=0.0)
                g = tl.where(valid, back[i] + weight * score, 0.0)
                value = f * c_i + u * before
                tl.store(grad_p + at, g * (1.0 - gate) * before, valid)
                tl.store(grad_z + at, g * gate * (c_i - value), valid)
                sums = sums + (of_weights[i] + score * value,)
                if i > 0:
                    earlier = earlier + (g_before + u * g,)
                g_before = f * g
                before = c_i
            back = earlier + (g_before,)
            of_weights = sums
    for i in tl.static_range(N):
        row = tl.load(starts + i) + place
        tl.store(returning + row * B + b, back[i], i < length)
        tl.store(grad_weights + row * B + b, of_weights[i], i < length)


class _Kernel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        x, main, loop, bias, c0, final, mask, layout, fixed = Recurrence(*given)
        (T, B, _), S, D = x.shape, len(layout.rows), len(layout.wfsas)
        weight = torch.cat([layout.inside(main), layout.inside(loop)])  # 2S E
        p, z = projections(x, weight)  # S T B each
        z += layout.inside(bias)[:, None, None]
        weights = torch.ones_like(bias) if final is None else layout.inside(final)
        read = torch.ones(T, B, device=x.device) if mask is None else mask
        read = read.to(torch.int8).contiguous()
        lengths = [layout.lengths[d] for d in layout.wfsas]
        loops = [layout.blocks[n - 1].start + place in fixed for place, n in enumerate(lengths)]
        starts = [*(block.start for block in layout.blocks), S]
        where = [
            on_device(tuple(values), x.device, torch.int32) for values in (lengths, loops, starts)
        ]
        scores = x.new_empty(T, D, B)
        kept = x.new_empty(triton.cdiv(T, STRIDE), S, B)
        last = x.new_empty(S, B)
        start = layout.inside(c0, 1).t().contiguous()
        with torch.cuda.device_of(x):
            _forward[(triton.cdiv(D * B, LANES),)](
                p, z, start, weights, read, *where, scores, kept, last,
                T, B, D * B, len(layout.blocks), LANES, STRIDE, **OPTIONS,
            )  # fmt: skip
        ctx.layout = layout
        ctx.rest = given[6:]
        ctx.save_for_backward(*given[:6], weight, p, z, weights, read, kept, *where)
        return layout.wfsas_outside(scores, 1).transpose(1, 2), layout.outside(last).t()

    @staticmethod
    def backward(ctx: Any, grad_scores: Tensor, grad_states: Tensor) -> Gradients:
        given, saved = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
        weight, p, z, weights, read, kept, *where = saved
        if torch.is_grad_enabled():  # create_graph=True
            given = Recurrence(*given, *ctx.rest)
            return double_backward(
                given, "plus_times", ctx.needs_input_grad, (grad_scores, grad_states)
            )
        x = given[0]
        layout, need = ctx.layout, ctx.needs_input_grad
        (T, B, _), S, D = x.shape, len(layout.rows), len(layout.wfsas)
        own = layout.wfsas_inside(grad_scores.transpose(1, 2), 1).contiguous()  # T D B
        returning = layout.inside(grad_states.t()).contiguous()
        gradient = x.new_empty(2, S, T, B)
        grad_weights = torch.empty_like(returning)
        scratch = x.new_empty(STRIDE, S, B)
        with torch.cuda.device_of(x):
            _backward[(triton.cdiv(D * B, LANES),)](
                p, z, weights, read, *where, kept, own, returning, scratch, gradient[0],
                gradient[1], grad_weights,
                T, B, D * B, len(layout.blocks), LANES, STRIDE, **OPTIONS,
            )  # fmt: skip
        matrix, inputs = gradient.view(2 * S, T * B), x.reshape(T * B, -1)
        grad_matrix = torch.mm(matrix, inputs)
        return Gradients(
            torch.mm(matrix.t(), weight).view(x.shape) if need[0] else None,
            layout.outside(grad_matrix[:S]),
            layout.outside(grad_matrix[S:]),
            layout.outside(gradient[1].sum((1, 2))),
            layout.outside(returning).t(),
            layout.outside(grad_weights.sum(1)) if need[5] else None,
        )


def matches_reference(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernel computes what plain PyTorch does: scores, states, all gradients."""
    generator = torch.Generator().manual_seed(0)
    layout, T, B, E, S = layout_of((2, 1, 3)), STRIDE + 2, LANES + 1, 3, 6
    shapes = ((T, B, E), (S, E), (S, E), (S,), (B, S), (S,))  # x, main, loop, bias, c0, final
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    mask = torch.arange(T)[:, None] < torch.arange(B) + 1

    def run(function: Any, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        tensors = [t.to(device, dtype).requires_grad_() for t in drawn]
        fixed = layout.last_rows([True, False, False])
        given = Recurrence(*tensors, mask=mask.to(device), layout=layout, fixed=fixed)
        outputs = function(given)
        loss = sum((t * t).sum() / B for t in outputs)
        # pyrefly: ignore[no-matching-overload]
        return [*outputs, *torch.autograd.grad(loss, tensors)]

    right = run(plus_times, torch.device("cpu"), torch.float64)
    return allclose(run(plus_times_triton, device, dtype), right)
