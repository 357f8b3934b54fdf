"""Several LSTMs at once on a GPU: a kernel for each time step, all blocks and all texts in it.

What does not depend on the step before is a batched matrix product over all of time, made by
PyTorch: W_ih x before the sweep, and after it the gradients of x and of the weights. Between them a
step is one launch: a program computes the four gates of some units of one block on some texts,

    a_t + W_hh h_{t-1}  →  i, f, g, o  →  c_t, h_t

and in the backward pass, with δ the gradients of the gates before their nonlinearity,

    dh_t = (own gradient) + W_hhᵀ δ_{t+1}  →  dc_t  →  δ_t

Blocks are padded with zeros to the widest one: a unit with no weights stays at zero. Nothing waits
for the device and shapes depend on shapes alone, so a whole training step fits in a CUDA graph.

Axes: G blocks, T time, B texts, U units of a block (padded), W inputs of a block (padded).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from sparsecore.ops.block_lstm.naive import naive_block_lstm
from sparsecore.ops.second_order import first_order_only
from sparsecore.ops.self_check import allclose, float32_products

UNITS = 16  # of a program
DEEP = 64  # numbers of a matrix product at a time; U is a multiple
MOST_TEXTS = 32  # of a program: with more the sums no longer fit into registers


@triton.jit
def _tanh(x):
    return 2.0 * tl.sigmoid(2.0 * x) - 1.0


@triton.jit
def _place(B, U: tl.constexpr, TEXTS: tl.constexpr, UNITS: tl.constexpr):
    """Block, units and texts of a program, which texts there are, and offsets within a step."""
    block = tl.program_id(0).to(tl.int64)
    units = tl.program_id(1) * UNITS + tl.arange(0, UNITS)[None, :]
    texts = tl.program_id(2) * TEXTS + tl.arange(0, TEXTS)[:, None]
    return block, units, texts, texts < B, texts * U + units, texts * 4 * U + units


@triton.jit(do_not_specialize=["t"])
def _forward(
    a, w, gates, h, c, t, T, B, U: tl.constexpr, TEXTS: tl.constexpr, UNITS: tl.constexpr,
    DEEP: tl.constexpr, KEEP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    block, units, texts, there, at, at_gate = _place(B, U, TEXTS, UNITS)
    before = (block * (T + 1) + t) * B * U
    now = before + B * U
    sums = (block * T + t) * B * 4 * U + at_gate
    i = tl.load(a + sums, there, other=0.0)
    f = tl.load(a + sums + U, there, other=0.0)
    g = tl.load(a + sums + 2 * U, there, other=0.0)
    o = tl.load(a + sums + 3 * U, there, other=0.0)
    rows = w + block * 4 * U * U + units * U
    for start in range(0, U, DEEP):
        k = start + tl.arange(0, DEEP)
        h_k = tl.load(h + before + texts * U + k[None, :], there, other=0.0)
        w_k = rows + k[:, None]
        # Triton 3.7 takes the sum for float32 unless its type is said
        i = tl.dot(h_k, tl.load(w_k), i, PRECISION, out_dtype=i.dtype)
        f = tl.dot(h_k, tl.load(w_k + U * U), f, PRECISION, out_dtype=f.dtype)
        g = tl.dot(h_k, tl.load(w_k + 2 * U * U), g, PRECISION, out_dtype=g.dtype)
        o = tl.dot(h_k, tl.load(w_k + 3 * U * U), o, PRECISION, out_dtype=o.dtype)
    i, f, g, o = tl.sigmoid(i), tl.sigmoid(f), _tanh(g), tl.sigmoid(o)
    c_t = f * tl.load(c + before + at, there, other=0.0) + i * g
    tl.store(c + now + at, c_t, there)
    tl.store(h + now + at, o * _tanh(c_t), there)
    if KEEP:
        tl.store(gates + sums, i, there)
        tl.store(gates + sums + U, f, there)
        tl.store(gates + sums + 2 * U, g, there)
        tl.store(gates + sums + 3 * U, o, there)


@triton.jit(do_not_specialize=["t"])
def _backward(
    own, last, w, gates, c, dc, delta, t, T, B, U: tl.constexpr, TEXTS: tl.constexpr,
    UNITS: tl.constexpr, DEEP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    block, units, texts, there, at, at_gate = _place(B, U, TEXTS, UNITS)
    dh = tl.load(own + (block * T + t) * B * U + at, there, other=0.0)
    if t == T - 1:
        dh += tl.load(last + block * B * U + at, there, other=0.0)
    else:
        after = delta + (block * T + t + 1) * B * 4 * U + texts * 4 * U
        columns = w + block * 4 * U * U + units
        for start in range(0, 4 * U, DEEP):
            k = start + tl.arange(0, DEEP)
            d_k = tl.load(after + k[None, :], there, other=0.0)
            dh = tl.dot(d_k, tl.load(columns + k[:, None] * U), dh, PRECISION, out_dtype=dh.dtype)
    sums = (block * T + t) * B * 4 * U + at_gate
    i = tl.load(gates + sums, there, other=0.0)
    f = tl.load(gates + sums + U, there, other=0.0)
    g = tl.load(gates + sums + 2 * U, there, other=0.0)
    o = tl.load(gates + sums + 3 * U, there, other=0.0)
    before = (block * (T + 1) + t) * B * U + at
    c_before = tl.load(c + before, there, other=0.0)
    squashed = _tanh(tl.load(c + before + B * U, there, other=0.0))
    returning = dc + block * B * U + at
    dc_t = tl.load(returning, there, other=0.0) + dh * o * (1.0 - squashed * squashed)
    tl.store(returning, dc_t * f, there)
    tl.store(delta + sums, dc_t * g * i * (1.0 - i), there)
    tl.store(delta + sums + U, dc_t * c_before * f * (1.0 - f), there)
    tl.store(delta + sums + 2 * U, dc_t * i * (1.0 - g * g), there)
    tl.store(delta + sums + 3 * U, dh * squashed * o * (1.0 - o), there)


class _Sweep(torch.autograd.Function):
    """a G T B 4U, W_hh G 4U U, h0 and c0 G B U → h G T B U, and the last h and c, G B U."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, w: Tensor, h0: Tensor, c0: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        G, T, B, _ = a.shape
        U, keep = w.shape[-1], any(ctx.needs_input_grad)
        h, c = a.new_empty(2, G, T + 1, B, U)
        h[:, 0], c[:, 0] = h0, c0
        gates = torch.empty_like(a) if keep else a
        grid, shared, options = _launch(G, B, U, w.dtype)
        with torch.cuda.device_of(a):
            for t in range(T):
                _forward[grid](a, w, gates, h, c, t, T, B, KEEP=keep, **shared, **options)
        if keep:
            ctx.save_for_backward(w, gates, h, c)
        return h[:, 1:], h[:, T].clone(), c[:, T].clone()

    @staticmethod
    @first_order_only(
        "SparseLSTM on a GPU", "compute it on the CPU, or use its to_dense() without cuDNN"
    )
    def backward(
        ctx: Any, own: Tensor, grad_h: Tensor, grad_c: Tensor
    ) -> tuple[Tensor | None, ...]:
        w, gates, h, c = ctx.saved_tensors
        (G, T, B, _), need = gates.shape, ctx.needs_input_grad
        own, grad_h = own.contiguous(), grad_h.contiguous()
        returning = grad_c.clone(memory_format=torch.contiguous_format)
        delta = torch.empty_like(gates)
        grid, shared, options = _launch(G, B, w.shape[-1], w.dtype)
        with torch.cuda.device_of(own):
            for t in range(T - 1, -1, -1):
                _backward[grid](
                    own, grad_h, w, gates, c, returning, delta, t, T, B, **shared, **options
                )
        return (
            delta,
            torch.bmm(delta.flatten(1, 2).mT, h[:, :-1].flatten(1, 2)) if need[1] else None,
            torch.bmm(delta[:, 0], w) if need[2] else None,
            returning,
        )


def _launch(
    G: int, B: int, U: int, number: torch.dtype
) -> tuple[tuple[int, int, int], dict[str, Any], dict[str, Any]]:
    """Programs of a step, their constants, and how they are compiled."""
    texts = min(max(16, triton.next_power_of_2(B)), MOST_TEXTS)
    double = number == torch.float64  # two registers a number
    shared = {"U": U, "TEXTS": texts, "UNITS": UNITS, "DEEP": DEEP // 2 if double else DEEP}
    shared |= {"PRECISION": float32_products()}
    warps = 8 if double else texts // 4  # no sum leaves the registers
    options = {"num_warps": warps, "enable_fp_fusion": True}
    return (G, U // UNITS, triton.cdiv(B, texts)), shared, options


def block_lstm_triton(
    xs: Sequence[Tensor],
    weights: Sequence[Sequence[Tensor]],
    states: Sequence[tuple[Tensor, Tensor]] | None,
) -> list[tuple[Tensor, tuple[Tensor, Tensor]]]:
    """As :func:`~sparsecore.ops.block_lstm.block_lstm`, on a GPU."""
    T, B, _ = xs[0].shape
    sizes = [own[1].shape[1] for own in weights]
    U, W = (triton.cdiv(most, DEEP) * DEEP for most in (max(sizes), max(x.shape[2] for x in xs)))
    x = torch.stack([_padded(x, W) for x in xs]).flatten(1, 2)  # G TB W
    w_ih = torch.stack([_padded_gates(own[0], U, W) for own in weights])  # G 4U W
    w_hh = torch.stack([_padded_gates(own[1], U, U) for own in weights])  # G 4U U
    if len(weights[0]) == 4:
        bias = torch.stack([_padded_gates((own[2] + own[3])[:, None], U, 1) for own in weights])
        a = torch.baddbmm(bias.mT, x, w_ih.mT)
    else:
        a = torch.bmm(x, w_ih.mT)
    if states is None:
        h0 = c0 = a.new_zeros(len(xs), B, U)
    else:
        h0, c0 = (torch.stack([_padded(s, U) for s in each]) for each in zip(*states, strict=True))
    outputs = _Sweep.apply(a.unflatten(1, (T, B)), w_hh, h0, c0)
    ys, hs, cs = (each.unbind(0) for each in outputs)
    return [
        (y[..., :s], (h[..., :s], c[..., :s])) for y, h, c, s in zip(ys, hs, cs, sizes, strict=True)
    ]


def _padded(x: Tensor, width: int) -> Tensor:
    """With zeros up to ``width`` numbers in the last axis."""
    return F.pad(x, (0, width - x.shape[-1]))


def _padded_gates(w: Tensor, units: int, width: int) -> Tensor:
    """(4s, w) → (4 units, width), zeros after the s rows of each gate."""
    gates = w.unflatten(0, (4, -1))
    return F.pad(gates, (0, width - w.shape[1], 0, units - gates.shape[1])).flatten(0, 1)


def matches_reference(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernels compute what the reference does: outputs, states, all gradients."""
    generator = torch.Generator().manual_seed(0)
    T, B, sizes = 3, 40, ((33, 70), (32, 69))  # two tiles of the contraction, padding in all axes
    shapes = [shape for w, s in sizes for shape in ((T, B, w), (B, s), (B, s))]
    shapes += [shape for w, s in sizes for shape in ((4 * s, w), (4 * s, s), (4 * s,), (4 * s,))]
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    drawn = [0.1 * t if t.shape[0] > B else t for t in drawn]

    def run(function: Any, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        given = [t.to(device, dtype).requires_grad_() for t in drawn]
        states = [(given[1], given[2]), (given[4], given[5])]
        results = function([given[0], given[3]], [given[6:10], given[10:14]], states)
        outputs = [t for y, final in results for t in (y, *final)]
        loss = sum((t * t).sum() / B for t in outputs)
        # pyrefly: ignore[no-matching-overload]
        return outputs + list(torch.autograd.grad(loss, given))

    right = run(naive_block_lstm, torch.device("cpu"), torch.float64)
    return allclose(run(block_lstm_triton, device, dtype), right)
