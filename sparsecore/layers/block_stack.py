"""How predefined-sparse recurrent layers run: dense components on windows, outputs side by side.

A stack of L layers with N blocks each is a flat list of L·N one-layer ``nn.LSTM``, ``nn.GRU`` or
``nn.RNN``: block n of layer l is entry l·N + n. Axes: T time, B batch, i inputs, h hidden units,
s units of a block, D directions (1 or 2), G gates.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsecore.errors import InputError
from sparsecore.layers.block_merge import CALLS, merge_blocks, merges
from sparsecore.layers.block_sweep import sweep_blocks, sweeps
from sparsecore.ops.autocast import autocast_dtype, lstm_lacks_autocast, without_autocast
from sparsecore.ops.cells import States, num_directions, zero_states
from sparsecore.ops.compilers import opaque
from sparsecore.ops.weights import cell_weights

Sequence = Tensor | PackedSequence


class SparseLayer(Protocol):
    """What the functions of this file need to know of a layer."""

    input_size: int
    hidden_size: int
    num_blocks: int
    gamma: float
    num_layers: int
    bias: bool
    batch_first: bool
    bidirectional: bool
    dropout: float
    weight_drop: float
    training: bool
    windows: list[list[slice]]  # of each layer, of each block
    units: list[slice]  # of each block, the same in every layer
    blocks: nn.ModuleList
    states: int  # 2 for an LSTM, (h, c), else 1


def run(layer: SparseLayer, x: Sequence, state: States | None) -> tuple[Sequence, States]:
    """Outputs and final states of the whole stack.

    Args:
        layer: the sparse layer.
        x: T B i, B T i with ``batch_first``, T i without a batch, or packed.
        state: (h0,) or (h0, c0), each L·D B h (L·D h without a batch); None for zeros.

    Returns:
        T B D·h (or as ``x`` is laid out), all forward units before all backward ones, and the
        final states, shaped as ``state``.
    """
    check_shapes(layer, x, state)
    if isinstance(layer.blocks[0], nn.LSTM) and lstm_lacks_autocast(data_of(x)):
        dtype = next(layer.blocks.parameters()).dtype  # as PyTorch's GRU does on every CPU
        state = None if state is None else tuple(s.to(dtype) for s in state)
        with without_autocast(data_of(x)):
            return run(layer, with_data(x, data_of(x).to(dtype)), state)
    if isinstance(x, PackedSequence):
        return run_packed(layer, x, state)
    if x.dim() == 2:
        state = None if state is None else tuple(s.unsqueeze(1) for s in state)
        y, finals = run_stack(layer, x.unsqueeze(1), state)
        return y.squeeze(1), tuple(s.squeeze(1) for s in finals)
    if layer.batch_first:  # the blocks always see T B i
        y, finals = run_stack(layer, x.transpose(0, 1), state)
        return y.transpose(0, 1), finals
    return run_stack(layer, x, state)


def run_packed(
    layer: SparseLayer, x: PackedSequence, state: States | None
) -> tuple[PackedSequence, States]:
    """As :func:`run`; the blocks see the batch sorted by length, as it is packed."""
    inner = PackedSequence(x.data, x.batch_sizes)
    if state is not None and x.sorted_indices is not None:
        state = tuple(s.index_select(1, x.sorted_indices) for s in state)
    y, finals = run_stack(layer, inner, state)
    if x.unsorted_indices is not None:
        finals = tuple(s.index_select(1, x.unsorted_indices) for s in finals)
    return PackedSequence(y.data, *x[1:]), finals


def run_stack(layer: SparseLayer, x: Any, state: States | None) -> tuple[Any, States]:
    """Layer by layer, dropout between them; x is T B i or sorted and packed."""

    finals: list[States] = []
    for index in range(layer.num_layers):
        if index and layer.training and layer.dropout:
            x = with_data(x, F.dropout(data_of(x), layer.dropout))
        x, final = run_layer(layer, index, x, state)
        finals.append(final)
    return x, tuple(join(list(parts), 0) for parts in zip(*finals, strict=True))


def run_layer(layer: SparseLayer, index: int, x: Any, state: States | None) -> tuple[Any, States]:
    """One layer of the stack: its N blocks at once where that is faster, else one by one."""
    N, drop = layer.num_blocks, layer.weight_drop if layer.training else 0.0
    blocks = list(layer.blocks)[index * N : (index + 1) * N]
    if state is not None:
        directions = num_directions(layer)
        state = tuple(s[index * directions : (index + 1) * directions] for s in state)
    if merges(layer, index, x, state):
        merged = merge_blocks(layer, index, [dropped(block, drop) for block in blocks], x, state)
        if merged is not None:
            return merged
    parts, states = cut(layer, index, x, state)
    if torch.compiler.is_exporting() and isinstance(x, Tensor):
        from sparsecore.layers.block_scan import scan_blocks  # loads PyTorch's compiler

        results = scan_blocks(blocks, [dropped(block, drop) for block in blocks], parts, states)
    elif sweeps(blocks, parts, states):
        results = sweep_blocks([dropped(block, drop) for block in blocks], parts, states)
    elif drop:
        results = [run_dropped(*each, drop) for each in zip(blocks, parts, states, strict=True)]
    else:
        results = [run_block(layer, *each) for each in zip(blocks, parts, states, strict=True)]
    return joined(layer, x, results)


def cut(
    layer: SparseLayer, index: int, x: Any, state: States | None
) -> tuple[list[Any], list[States | None]]:
    """The inputs and states that each block of one layer of the stack sees; ``state`` its own."""
    everything = slice(0, layer.windows[index][-1].stop)
    parts = [
        x if window == everything else with_data(x, data_of(x)[..., window])
        for window in layer.windows[index]
    ]
    states = [
        None if state is None else tuple(s[..., unit].contiguous() for s in state)
        for unit in layer.units
    ]
    return parts, states


def joined(layer: SparseLayer, x: Any, results: Any) -> tuple[Any, States]:
    """The outputs of the blocks side by side, laid out as ``x`` is, and their final states."""
    outputs, finals = [data_of(y) for y, _ in results], [final for _, final in results]
    if layer.bidirectional and len(outputs) > 1:  # every forward unit before every backward one
        halves = [y.chunk(2, -1) for y in outputs]
        outputs = [y for y, _ in halves] + [y for _, y in halves]
    y = with_data(x, join(outputs, -1))
    return y, tuple(join(list(each), -1) for each in zip(*finals, strict=True))


def run_block(layer: SparseLayer, block: nn.Module, x: Any, state: States | None) -> Any:
    """A dense component as PyTorch runs it (quantised ones too), its states always a tuple."""
    if layer.states == 2:
        return block(x, state)
    y, h = block(x, None if state is None else state[0])
    return y, (h,)


@opaque  # what nn.LSTM is to the compiler: a call, not a loop to unroll
def run_dropped(block: Any, x: Any, state: States | None, probability: float) -> tuple[Any, States]:
    """A dense component with entries of W_hh dropped anew, the others scaled by 1/(1 - p).

    The dropped matrix is a function of the parameter and exists for this call only; the component
    is not touched, so it can be switched, copied and saved at any time.
    """
    weights = [w for direction in dropped(block, probability) for w in direction]
    data = data_of(x)
    if data.is_cuda:
        weights = side_by_side(weights)
    if state is None:
        batch = x.batch_sizes[0] if isinstance(x, PackedSequence) else x.shape[1]
        state = zero_states(block, data, int(batch))
    hx = state if block.mode == "LSTM" else state[0]
    call, settings = CALLS[block.mode], (block.bias, 1, 0.0, True, block.bidirectional)
    if isinstance(x, PackedSequence):
        y, *final = call(data, x.batch_sizes, hx, weights, *settings)
    else:
        y, *final = call(data, hx, weights, *settings, False)
    return with_data(x, y), tuple(final)


def dropped(block: nn.Module, probability: float) -> list[list[Tensor]]:
    """Of each direction the component's weights, with fresh dropout on W_hh."""
    directions = cell_weights(block)
    if probability:
        for weights in directions:
            weights[1] = F.dropout(weights[1], probability)
    return directions


def side_by_side(weights: list[Tensor]) -> list[Tensor]:
    """The same weights in one piece of memory, matrices before biases, as cuDNN wants them."""
    order = sorted(range(len(weights)), key=lambda k: weights[k].dim() == 1)
    flat = torch.cat([weights[k].flatten() for k in order])
    pieces = flat.split([weights[k].numel() for k in order])
    placed = {k: piece.view_as(weights[k]) for k, piece in zip(order, pieces, strict=True)}
    return [placed[k] for k in range(len(weights))]


def check_shapes(layer: SparseLayer, x: Sequence, state: States | None) -> None:
    """Raise :class:`InputError` where input or state do not fit the layer."""
    if torch.jit.is_tracing():  # sizes are tensors there
        return
    if not isinstance(x, Tensor | PackedSequence):
        raise InputError(f"input must be a tensor or a PackedSequence, got {type(x).__name__}")
    data, dims = data_of(x), (2,) if isinstance(x, PackedSequence) else (2, 3)
    if data.dim() not in dims or data.shape[-1] != layer.input_size:
        raise InputError(
            f"input must be T B {layer.input_size} (B T {layer.input_size} with batch_first, "
            f"T {layer.input_size} without a batch), got shape {tuple(data.shape)}"
        )
    if data.shape[1 if layer.batch_first and data.dim() == 3 else 0] == 0:
        raise InputError(f"input must have T >= 1, got shape {tuple(data.shape)}")
    if state is not None:
        check_state(layer, x, state)
    check_types(layer, data, () if state is None else state)


def check_state(layer: SparseLayer, x: Sequence, state: States) -> None:
    """Raise :class:`InputError` where a state does not fit the layer and its input."""
    if len(state) != layer.states or not all(isinstance(given, Tensor) for given in state):
        kinds = ", ".join(type(given).__name__ for given in state)
        right = "(h0, c0), two tensors" if layer.states == 2 else "h0, one tensor"
        raise InputError(f"the state must be {right}, got {kinds}")
    rows, h = layer.num_layers * num_directions(layer), layer.hidden_size
    if isinstance(x, PackedSequence):
        right = (rows, int(x.batch_sizes[0]), h)
    elif x.dim() == 3:
        right = (rows, x.shape[0 if layer.batch_first else 1], h)
    else:
        right = (rows, h)
    for given in state:
        if tuple(given.shape) != right:
            raise InputError(f"state must have shape {right}, got {tuple(given.shape)}")


def check_types(layer: SparseLayer, data: Tensor, state: States) -> None:
    """Raise :class:`InputError` where input or state are not of the weights' type.

    Under autocast types may differ; those of quantised blocks are not known.
    """
    weight = next(layer.blocks.parameters(), None)
    if weight is None or autocast_dtype(data):
        return
    for name, given in (("input", data), *(("state", part) for part in state)):
        if given.dtype != weight.dtype:
            raise InputError(
                f"{name} must be of the type of the layer's weights, {weight.dtype}, got "
                f"{given.dtype}: convert one of them with .to(…)"
            )


def data_of(x: Sequence) -> Tensor:
    """The tensor of a plain or packed sequence."""
    return x.data if isinstance(x, PackedSequence) else x


def with_data(x: Sequence, data: Tensor) -> Sequence:
    """``data`` packed as ``x`` is."""
    if isinstance(x, PackedSequence):
        return PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
    return data


def join(parts: list[Tensor], dim: int) -> Tensor:
    """``torch.cat`` that leaves a single part as it is."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def describe(layer: SparseLayer) -> str:
    """Sizes, geometry and what differs from the defaults, for ``repr``."""
    text = f"{layer.input_size}, {layer.hidden_size}, num_blocks={layer.num_blocks}"
    text += f", gamma={layer.gamma:.4g}"
    for name, default in (
        ("num_layers", 1),
        ("bias", True),
        ("batch_first", False),
        ("dropout", 0.0),
        ("bidirectional", False),
        ("weight_drop", 0.0),
    ):
        if getattr(layer, name) != default:
            text += f", {name}={getattr(layer, name)}"
    return text
