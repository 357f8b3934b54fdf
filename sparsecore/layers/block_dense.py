"""Predefined-sparse recurrent layers and the dense ones that compute the same, either way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.layers.block_stack import SparseLayer


def matching_entries(layer: SparseLayer, dense: nn.RNNBase) -> Iterator[tuple[Tensor, Tensor]]:
    """Each parameter of the blocks with the entries of the dense layer that it stands for.

    Both as G s w views (G s 1 for a bias), so that one can be copied into the other.
    """
    h = layer.hidden_size
    for index, windows in enumerate(layer.windows):
        for n, (window, unit) in enumerate(zip(windows, layer.units, strict=True)):
            block = layer.blocks[index * layer.num_blocks + n]
            columns = {"weight_ih": window, "weight_hh": unit}
            for name, own in block.named_parameters():
                whole = getattr(dense, name.replace("_l0", f"_l{index}"))
                gates = whole.shape[0] // h
                view = whole.view(gates, h, -1)[:, unit, columns.get(name[:9], slice(None))]
                yield own.view(gates, unit.stop - unit.start, -1), view


def to_dense(layer: SparseLayer, cell: Any, **options: Any) -> Any:
    """The dense layer that computes the same: zero outside the blocks."""
    like = next(layer.blocks.parameters())
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
    return dense.train(layer.training)


def options_of(dense: nn.RNNBase, cell: Any) -> dict[str, Any]:
    """The options with which a sparse layer imitates a dense one.

    Raises:
        InputError: not a layer of that kind, or one with a projection.
    """
    if not isinstance(dense, cell):
        kind = type(dense).__name__
        raise InputError(f"from_dense takes an nn.{cell.__name__}, got {kind}")
    if dense.proj_size:
        raise InputError(f"proj_size must be 0 for a sparse layer, got {dense.proj_size}")
    like = next(dense.parameters())
    return {
        "input_size": dense.input_size,
        "hidden_size": dense.hidden_size,
        "batch_first": dense.batch_first,
        "num_layers": dense.num_layers,
        "bias": dense.bias,
        "dropout": dense.dropout,
        "bidirectional": dense.bidirectional,
        "device": like.device,
        "dtype": like.dtype,
    }


def copy_from_dense(layer: SparseLayer, dense: nn.RNNBase) -> None:
    """Take the entries of the dense layer that lie in the blocks."""
    with torch.no_grad():
        for own, entries in matching_entries(layer, dense):
            own.copy_(entries)
