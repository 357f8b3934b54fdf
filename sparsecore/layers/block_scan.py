"""A dense component as ``torch.export`` can write it down: a scan over time of any length.

PyTorch exports its own ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN`` for the example's sequence length
alone. While a sparse layer is being exported (and only then) its components run through here, so
that the exported program, or the ONNX file made of it, takes sequences and batches of any size.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops.scan import scan

from sparsecore.ops.cells import STEPS, States, Step, zero_states


def scan_blocks(
    blocks: Sequence[Any],
    weights: list[list[list[Tensor]]],
    parts: list[Tensor],
    states: list[States | None],
) -> list[tuple[Tensor, States]]:
    """What ``[block(part, state) for …]`` gives, with ``weights`` in place of the blocks' own.

    Args:
        blocks: the N components of a layer, one-layer ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN``.
        weights: of each block and direction W_ih, W_hh and, with bias, b_ih, b_hh.
        parts: what each block sees, T B w.
        states: of each block (h0,) or (h0, c0), each D B s; None for zeros.

    Returns:
        Of each block T B D·s and the final states, each D B s.
    """
    first = blocks[0]
    begin = [
        state or zero_states(block, part, part.shape[1])
        for block, part, state in zip(blocks, parts, states, strict=True)
    ]
    outputs: list[list[Tensor]] = [[] for _ in blocks]
    finals: list[list[States]] = [[] for _ in blocks]
    for d in range(len(weights[0])):
        own = [w[d] for w in weights]
        from_inputs = tuple(
            F.linear(x, w[0], w[2] if first.bias else None) for x, w in zip(parts, own, strict=True)
        )
        recurrent = [(w[1], w[3] if first.bias else None) for w in own]
        with nullcontext() if torch.compiler.is_dynamo_compiling() else _without_warnings():
            final, ys = scan(
                partial(_one_step, STEPS[first.mode], recurrent),
                tuple(tuple(s[d] for s in state) for state in begin),
                from_inputs,
                dim=0,
                reverse=d == 1,
            )
        for n in range(len(blocks)):
            outputs[n].append(ys[n])
            finals[n].append(final[n])
    return [
        (torch.cat(ys, -1), tuple(torch.stack(parts) for parts in zip(*ends, strict=True)))
        for ys, ends in zip(outputs, finals, strict=True)
    ]


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Without the warnings that PyTorch's tracer gives about its own doings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _one_step(
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
