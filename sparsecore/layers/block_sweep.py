"""All dense LSTM components of a layer in one sweep over time, where the kernels for it run.

The components of a layer, and of layers beside it, do not see one another: on a GPU one step of
all of them is one kernel. Elsewhere they run one after the other (:mod:`block_stack`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.ops.block_lstm import block_lstm, fuses
from sparsecore.ops.compilers import is_traced, opaque

States = tuple[Tensor, ...]


def sweeps(blocks: Sequence[nn.Module], parts: Sequence[Any], states: Sequence[Any]) -> bool:
    """Whether :func:`sweep_blocks` serves these components, inputs and states.

    Not a single component, nor packed sequences, half precision and autocast; not while PyTorch
    writes down what is called, and not components that were parametrized or have hooks, for then
    their own call has to be made.
    """
    x = parts[0]
    if len(blocks) == 1 or not all(type(block) is nn.LSTM for block in blocks):
        return False
    if not isinstance(x, Tensor) or is_traced():
        return False
    if not fuses(x) or any(_has_hooks(block) for block in blocks):
        return False
    tensors = [p for block in blocks for p in block.parameters()]
    tensors += [s for state in states for s in state or ()]
    return all(t.dtype == x.dtype and t.device == x.device for t in tensors)


def _has_hooks(block: nn.Module) -> bool:
    before, after = block._forward_pre_hooks, block._forward_hooks
    return bool(before or after or block._backward_pre_hooks or block._backward_hooks)


@opaque  # as run_dropped of block_stack
def sweep_blocks(
    blocks: Sequence[Any],
    weights: Sequence[list[Tensor]],
    parts: Sequence[Tensor],
    states: Sequence[States | None],
) -> list[tuple[Tensor, States]]:
    """What ``[block(part, state) for …]`` gives, with ``weights`` in place of the blocks' own.

    Args:
        blocks: N one-layer ``nn.LSTM``, of one layer or of several alike.
        weights: of each block W_ih, W_hh and, with bias, b_ih, b_hh of each direction.
        parts: what each block sees, T B w, or B T w with ``batch_first``.
        states: of each block (h0, c0), each D B s; None, in all of them, for zeros.

    Returns:
        Of each block T B D·s (or B T D·s), and the final states, each D B s.
    """
    first = blocks[0]
    if first.batch_first:
        parts = [part.transpose(0, 1) for part in parts]
    directions, each = (2, len(weights[0]) // 2) if first.bidirectional else (1, len(weights[0]))
    xs, own, begin = [], [], []
    for x, w, state in zip(parts, weights, states, strict=True):
        for d in range(directions):
            xs.append(x.flip(0) if d else x)
            own.append(w[d * each : (d + 1) * each])
            if state is not None:
                begin.append((state[0][d], state[1][d]))
    runs = iter(block_lstm(xs, own, begin or None))
    results: list[tuple[Tensor, States]] = []
    for _ in blocks:
        ways = [next(runs) for _ in range(directions)]
        ys = [y.flip(0) if d else y for d, (y, _) in enumerate(ways)]
        y = torch.cat(ys, -1) if directions == 2 else ys[0]
        final = tuple(torch.stack(ends) for ends in zip(*(end for _, end in ways), strict=True))
        results.append((y.transpose(0, 1) if first.batch_first else y, final))
    return results
