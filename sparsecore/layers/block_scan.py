"""A dense component as ``torch.export`` can write it down: a scan over time of any length.

PyTorch exports its own ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN`` for the example's sequence length
alone. While a sparse layer is being exported (and only then) its components run through here, so
that the exported program, or the ONNX file made of it, takes sequences and batches of any size.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops.scan import scan

States = tuple[Tensor, ...]
Step = Callable[[Tensor, Tensor, States], States]


def scan_blocks(
    blocks: Sequence[Any],
    weights: list[list[Tensor]],
    parts: list[Tensor],
    states: list[States | None],
) -> list[tuple[Tensor, States]]:
    """What ``[block(part, state) for …]`` gives, with ``weights`` in place of the blocks' own.

    Args:
        blocks: the N components of a layer, one-layer ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN``.
        weights: of each block W_ih, W_hh and, with bias, b_ih, b_hh of each direction.
        parts: what each block sees, T B w, or B T w with ``batch_first``.
        states: of each block (h0,) or (h0, c0), each D B s; None for zeros.

    Returns:
        Of each block T B D·s (or B T D·s), and the final states, each D B s.
    """
    first = blocks[0]
    if first.batch_first:
        parts = [part.transpose(0, 1) for part in parts]
    directions, each = (2, len(weights[0]) // 2) if first.bidirectional else (1, len(weights[0]))
    begin = [
        state or _zeros(block, part, directions)
        for block, part, state in zip(blocks, parts, states, strict=True)
    ]
    outputs: list[list[Tensor]] = [[] for _ in blocks]
    finals: list[list[States]] = [[] for _ in blocks]
    for d in range(directions):
        own = [w[d * each : (d + 1) * each] for w in weights]
        from_inputs = tuple(
            F.linear(x, w[0], w[2] if each == 4 else None) for x, w in zip(parts, own, strict=True)
        )
        recurrent = [(w[1], w[3] if each == 4 else None) for w in own]
        with nullcontext() if torch.compiler.is_dynamo_compiling() else _quiet():
            final, ys = scan(
                partial(_one, STEPS[first.mode], recurrent),
                tuple(tuple(s[d] for s in state) for state in begin),
                from_inputs,
                dim=0,
                reverse=d == 1,
            )
        for n in range(len(blocks)):
            outputs[n].append(ys[n])
            finals[n].append(final[n])
    results = []
    for ys, ends in zip(outputs, finals, strict=True):
        y = torch.cat(ys, -1)
        state = tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
        results.append((y.transpose(0, 1) if first.batch_first else y, state))
    return results


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that PyTorch's tracer gives about its own doings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _zeros(block: Any, x: Tensor, directions: int) -> States:
    shape = (directions, x.shape[1], block.hidden_size)
    return tuple(x.new_zeros(shape) for _ in range(2 if block.mode == "LSTM" else 1))


def _one(
    step: Step,
    recurrent: list[tuple[Tensor, Tensor | None]],
    states: tuple[States, ...],
    from_inputs: tuple[Tensor, ...],
) -> tuple[tuple[States, ...], tuple[Tensor, ...]]:
    """One time step of every block: W_ih x + b_ih in, the new states and copies of h out."""
    new = tuple(
        step(a, F.linear(state[0], w_hh, b_hh), state)
        for a, state, (w_hh, b_hh) in zip(from_inputs, states, recurrent, strict=True)
    )
    return new, tuple(state[0].clone() for state in new)


def _lstm(a: Tensor, r: Tensor, state: States) -> States:
    i, f, g, o = (a + r).chunk(4, -1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru(a: Tensor, r: Tensor, state: States) -> States:
    (ra, za, na), (rr, zr, nr) = a.chunk(3, -1), r.chunk(3, -1)
    z, n = (za + zr).sigmoid(), (na + (ra + rr).sigmoid() * nr).tanh()
    return ((1 - z) * n + z * state[0],)


def _tanh(a: Tensor, r: Tensor, state: States) -> States:
    return ((a + r).tanh(),)


def _relu(a: Tensor, r: Tensor, state: States) -> States:
    return ((a + r).relu(),)


STEPS: dict[str, Step] = {"LSTM": _lstm, "GRU": _gru, "RNN_TANH": _tanh, "RNN_RELU": _relu}
