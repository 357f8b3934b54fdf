"""Conversions between predefined-sparse recurrent layers and dense ones."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.layers.block_stack import SparseLayer
from sparsecore.ops.cells import num_directions
from sparsecore.ops.weights import (
    cell_weights,
    copy_flags,
    reading_weights,
    unwrapped,
    weight_names,
)


def matching_entries(layer: SparseLayer, dense: nn.RNNBase) -> Iterator[tuple[Tensor, Tensor]]:
    """Each weight of the blocks with the entries of the dense layer that it stands for.

    Both as G s w views (G s 1 for a bias), so that one can be copied into the other.
    """
    h, directions, N = layer.hidden_size, num_directions(layer), layer.num_blocks
    whole = [[w.view(w.shape[0] // h, h, -1) for w in cell] for cell in cell_weights(dense)]
    for index, windows in enumerate(layer.windows):
        for n, (window, unit) in enumerate(zip(windows, layer.units, strict=True)):
            for d, own in enumerate(cell_weights(layer.blocks[index * N + n])):
                columns = (window, unit, slice(None), slice(None))  # of W_ih, W_hh and the biases
                for weight, full, column in zip(
                    own, whole[index * directions + d], columns, strict=False
                ):
                    yield (
                        weight.view(full.shape[0], unit.stop - unit.start, -1),
                        full[:, unit, column],
                    )


def to_dense(layer: SparseLayer, cell: Any, **options: Any) -> Any:
    """The dense layer that computes the same: zero outside the blocks.

    A weight of it is frozen where those of all blocks are.

    Raises:
        InputError: blocks whose weights cannot be read, such as quantised ones.
    """
    with reading_weights(layer.blocks):
        like = cell_weights(layer.blocks[0])[0][0]
        dense = cell(
            layer.input_size,
            layer.hidden_size,
            num_layers=layer.num_layers,
            bias=layer.bias,
            batch_first=layer.batch_first,
            dropout=layer.dropout if layer.num_layers > 1 else 0.0,
            bidirectional=layer.bidirectional,
            device=like.device,
            dtype=like.dtype,
            **options,
        )
        with torch.no_grad():
            for parameter in dense.parameters():
                parameter.zero_()
            for own, entries in matching_entries(layer, dense):
                entries.copy_(own)
        blocks = [[w for cell in cell_weights(block) for w in cell] for block in layer.blocks]
        names = [name for cell in weight_names(dense) for name in cell]
        each, N = len(names) // layer.num_layers, layer.num_blocks
        for place, name in enumerate(names):
            level, k = divmod(place, each)
            sources = [weights[k] for weights in blocks[level * N : (level + 1) * N]]
            copy_flags(dense.get_parameter(name), *sources)
    return dense.train(layer.training)


def dense_layer(given: nn.Module, cell: Any) -> Any:
    """The dense layer that ``from_dense`` was given, out of what ``torch.compile`` made of it.

    Raises:
        InputError: not a layer of that kind, or one with a projection.
    """
    dense = unwrapped(given)
    if not isinstance(dense, cell):
        kind = f"{type(dense).__name__} of {type(dense).__module__}"
        raise InputError(f"from_dense takes an nn.{cell.__name__}, got {kind}")
    if dense.proj_size:
        raise InputError(f"proj_size must be 0 for a sparse layer, got {dense.proj_size}")
    return dense


def options_of(dense: nn.RNNBase) -> dict[str, Any]:
    """The options with which a sparse layer imitates a dense one."""
    like = cell_weights(dense)[0][0]
    return {
        "input_size": dense.input_size,
        "hidden_size": dense.hidden_size,
        "batch_first": dense.batch_first,
        "num_layers": dense.num_layers,
        "bias": dense.bias,
        "dropout": dense.dropout if dense.num_layers > 1 else 0.0,
        "bidirectional": dense.bidirectional,
        "device": like.device,
        "dtype": like.dtype,
    }


def copy_from_dense(layer: SparseLayer, dense: nn.RNNBase) -> None:
    """Take the entries of the dense layer that lie in the blocks, frozen where they are frozen."""
    with reading_weights(dense):
        with torch.no_grad():
            for own, entries in matching_entries(layer, dense):
                own.copy_(entries)
        cells = cell_weights(dense)
        directions, N = num_directions(layer), layer.num_blocks
        for place, block in enumerate(layer.blocks):
            first = place // N * directions
            whole = [w for cell in cells[first : first + directions] for w in cell]
            own = [w for cell in cell_weights(block) for w in cell]
            for target, source in zip(own, whole, strict=True):
                copy_flags(target, source)


def rename_dense_state(layer: SparseLayer, state: MutableMapping[str, Any], prefix: str) -> None:
    """Let a layer of one block load the state of the dense layer that it is, in place.

    Raises:
        InputError: the state of a dense layer for a layer of several blocks.
    """
    block = prefix + "blocks."
    found = [name for name in state if name.startswith(prefix + "weight_ih_l")]
    if not found or any(name.startswith(block) for name in state):
        return
    if layer.num_blocks > 1:
        raise InputError(
            f"the state has {found[0]!r}, of a dense layer, and this one has "
            f"{layer.num_blocks} blocks: from_dense(dense, num_blocks, gamma) takes what they have"
        )
    for name in [name for name in state if name.startswith(prefix) and "_l" in name]:
        kind, _, rest = name.removeprefix(prefix).rpartition("_l")
        level, _, reverse = rest.partition("_")
        if level.isdecimal():
            suffix = f"_{reverse}" if reverse else ""
            state[f"{block}{level}.{kind}_l0{suffix}"] = state.pop(name)
