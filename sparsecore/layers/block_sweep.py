"""All dense LSTM components of a layer in one sweep over time, where the kernels for it run.

The components of a layer do not see one another: on a GPU one step of all of them is one kernel.
Elsewhere they run merged (:mod:`block_merge`) or one after the other (:mod:`block_stack`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.ops.block_lstm import block_lstm, fuses
from sparsecore.ops.cells import States
from sparsecore.ops.compilers import is_traced, opaque


def sweeps(blocks: Sequence[nn.Module], parts: Sequence[Any], states: Sequence[Any]) -> bool:
    """Whether :func:`sweep_blocks` serves these components, inputs and states.

    Not a single component, nor half precision and autocast.
    """
    x = parts[0]
    if len(blocks) == 1 or not isinstance(x, Tensor) or not fuses(x):
        return False
    return may_run_together(blocks, (nn.LSTM,), x, states)


def may_run_together(
    blocks: Iterable[nn.Module],
    cells: tuple[type[nn.Module], ...],
    x: Any,
    states: Sequence[States | None],
) -> bool:
    """Whether components may be run in another way than by calling each.

    Not with packed sequences; not while PyTorch traces what is called, and not components that
    were parametrized, wrapped or have hooks, for then their own call has to be made; all must be
    of one of these kinds, and all tensors of one type and device.
    """
    if not isinstance(x, Tensor) or is_traced():
        return False
    if not all(type(block) in cells for block in blocks) or any(map(_has_hooks, blocks)):
        return False
    tensors = [p for block in blocks for p in block.parameters()]
    tensors += [s for state in states for s in state or ()]
    return all(t.dtype == x.dtype and t.device == x.device for t in tensors)


def _has_hooks(block: nn.Module) -> bool:
    """Whether a call of the module does more than its class's ``forward``."""
    kinds = ("forward_pre_hooks", "forward_hooks", "backward_pre_hooks", "backward_hooks")
    everywhere = torch.nn.modules.module
    return "forward" in vars(block) or any(
        getattr(block, f"_{kind}") or getattr(everywhere, f"_global_{kind}") for kind in kinds
    )


@opaque  # as run_dropped of block_stack
def sweep_blocks(
    weights: Sequence[list[list[Tensor]]],
    parts: Sequence[Tensor],
    states: Sequence[States | None],
) -> list[tuple[Tensor, States]]:
    """What ``[block(part, state) for …]`` gives, for the ``weights`` of one-layer LSTMs.

    Args:
        weights: of each block and direction W_ih, W_hh and, with bias, b_ih, b_hh.
        parts: what each block sees, T B w.
        states: of each block (h0, c0), each D B s; None, in all of them, for zeros.

    Returns:
        Of each block T B D·s and the final states, each D B s.
    """
    xs, flat, begin = [], [], []
    for x, directions, state in zip(parts, weights, states, strict=True):
        for d, own in enumerate(directions):
            xs.append(x.flip(0) if d else x)
            flat.append(own)
            if state is not None:
                begin.append((state[0][d], state[1][d]))
    runs = iter(block_lstm(xs, flat, begin or None))
    results: list[tuple[Tensor, States]] = []
    for directions in weights:
        of_block = [next(runs) for _ in directions]
        ys = [y.flip(0) if d else y for d, (y, _) in enumerate(of_block)]
        y = torch.cat(ys, -1) if len(ys) == 2 else ys[0]
        final = tuple(torch.stack(ends) for ends in zip(*(end for _, end in of_block), strict=True))
        results.append((y, final))
    return results
