"""All dense components of a layer as the one dense layer they stand for, where blocks are small.

On a CPU a call of PyTorch's LSTM costs more than the products of a small block, so that one call
with the zeros filled in is faster than many without them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.layers.block_sweep import may_run_together
from sparsecore.ops.cells import GATES, States, num_directions
from sparsecore.ops.compilers import opaque

CALLS: dict[str, Any] = {
    "LSTM": torch.lstm,
    "GRU": torch.gru,
    "RNN_TANH": torch.rnn_tanh,
    "RNN_RELU": torch.rnn_relu,
}
CELLS = (nn.LSTM, nn.GRU, nn.RNN)
MAX_HIDDEN = 128  # above it memory, not calls, is what costs, however small the batch
MAX_PRODUCTS = 50_000  # B h (i + h) of the dense layer, for each call that is saved: measured

Ends = tuple[tuple[int, int], ...]  # first unit or input of each block, and the one after its last


def merges(layer: Any, index: int, x: Any, state: States | None) -> bool:
    """Whether :func:`merge_blocks` serves layer ``index``, and is faster than calling each block.

    Not while operations are recorded or replaced on their way (fake tensors, ``make_fx``), and not
    where a block was put in place of one of the layer's own; beside what
    :func:`~sparsecore.layers.block_sweep.may_run_together` rules out.
    """
    if type(x) is not Tensor or x.device.type != "cpu" or x.numel() == 0:
        return False
    N, h = layer.num_blocks, layer.hidden_size
    products = x.shape[1] * h * (x.shape[-1] + h)
    if h > MAX_HIDDEN or products > MAX_PRODUCTS * (N - 1) or torch._C._len_torch_dispatch_stack():
        return False
    blocks = layer.blocks[index * N : (index + 1) * N]
    return may_run_together(blocks, CELLS, x, [state]) and _are_its_own(layer, index, blocks)


def _are_its_own(layer: Any, index: int, blocks: Iterable[Any]) -> bool:
    """Whether the blocks have the form in which the layer was made, all of one kind."""
    mode = layer.blocks[0].mode
    sizes = zip(layer.windows[index], layer.units, strict=True)
    return all(
        (block.input_size, block.hidden_size, block.num_layers, block.proj_size, block.mode)
        == (window.stop - window.start, unit.stop - unit.start, 1, 0, mode)
        and (block.bias, block.bidirectional) == (layer.bias, layer.bidirectional)
        for block, (window, unit) in zip(blocks, sizes, strict=True)
    )


@opaque  # as run_dropped of block_stack
def merge_blocks(
    layer: Any,
    index: int,
    weights: Sequence[list[list[Tensor]]],
    x: Tensor,
    state: States | None,
) -> tuple[Tensor, States] | None:
    """Outputs and final states of layer ``index`` of a stack, or None where one is not finite.

    What is not finite in one block would reach the others through the zeros: 0 · ∞ is no number.

    Args:
        layer, index: the stack and the number of the layer.
        weights: of each block and direction W_ih, W_hh and, with bias, b_ih, b_hh.
        x: T B w, all inputs of the layer.
        state: (h0,) or (h0, c0), each D B h; None for zeros.

    Returns:
        T B D·h, all forward units before all backward ones, and the final states, each D B h.
    """
    first = layer.blocks[0]
    directions, h = num_directions(layer), layer.hidden_size
    shapes, places = dense_places(
        _ends(layer.units),
        _ends(layer.windows[index]),
        GATES[first.mode],
        layer.bias,
        directions,
    )
    flat = torch.cat([w.reshape(-1) for block in weights for own in block for w in own])
    sizes = [math.prod(shape) for shape in shapes]
    dense = flat.new_zeros(sum(sizes)).index_copy(0, places, flat).split(sizes)
    filled = [w.view(shape) for w, shape in zip(dense, shapes, strict=True)]
    if state is None:
        state = tuple(x.new_zeros(directions, x.shape[1], h) for _ in range(layer.states))
    hx = state if layer.states == 2 else state[0]
    y, *final = CALLS[first.mode](
        x, hx, filled, layer.bias, 1, 0.0, first.training, layer.bidirectional, False
    )
    return (y, tuple(final)) if bool(y.isfinite().all()) else None


def _ends(slices: Sequence[slice]) -> Ends:
    return tuple((each.start, each.stop) for each in slices)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # whoever calls first, the tensor serves all who come later
def dense_places(
    units: Ends, windows: Ends, gates: int, bias: bool, directions: int
) -> tuple[list[tuple[int, ...]], Tensor]:
    """Where the weights of the blocks stand among those of the dense layer, end to end.

    Args:
        units, windows: of each block the hidden units and the inputs.
        gates: G, the rows of a weight for each unit.
        bias: whether there are biases.
        directions: D.

    Returns:
        Shapes of the dense layer's weights; and of each weight of the blocks, in the order block,
        direction, weight, its place among them.
    """
    arange = partial(torch.arange, device="cpu", dtype=torch.int64)
    h, w = units[-1][1], windows[-1][1]
    one: list[tuple[int, ...]]
    one = [(gates * h, w), (gates * h, h), *([(gates * h,)] * 2 if bias else [])]
    shapes = one * directions
    begin = [0, *itertools.accumulate(math.prod(shape) for shape in shapes)]
    places = []
    for (low, high), window in zip(units, windows, strict=True):
        rows = torch.cat([arange(g * h + low, g * h + high) for g in range(gates)])
        for k, shape in enumerate(shapes):
            columns = [window, (low, high), (0, 1), (0, 1)][k % len(one)]
            width = math.prod(shape[1:])
            places.append((begin[k] + rows[:, None] * width + arange(*columns)).flatten())
    return shapes, torch.cat(places)
