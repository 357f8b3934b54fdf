"""Recurrent layers of unequal sizes, called as the one multi-layer module that they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsecore.errors import InputError
from sparsecore.ops.cells import num_directions
from sparsecore.ops.weights import cell_weights, copy_flags, reading_weights, weight_names
from sparsecore.pruning.units import Kept, columns_above, cut_cell, cut_layers, new_layer


class RecurrentStack(nn.Module):
    """One-layer ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` modules of unequal sizes, one on another.

    Called as the multi-layer module whose place it takes, ``stack(x, state=None) -> (y, state)``.
    As sizes differ, h (and c) are tuples of (B, s) tensors, layer by layer and direction by
    direction: ``hn[-1]`` is what it was, and a state that was returned can be passed back.

    Args:
        layers: bottom to top, alike but for their sizes.
        dropout: in training, on the output of every layer but the last.
    """

    def __init__(self, layers: Sequence[nn.RNNBase], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.dropout = dropout
        self.input_size, self.hidden_size = layers[0].input_size, layers[-1].hidden_size
        self.num_layers, self.batch_first = len(layers), layers[0].batch_first
        self.bidirectional, self.bias, self.proj_size = layers[0].bidirectional, layers[0].bias, 0
        self.mode = layers[0].mode

    def forward(self, input: Tensor | PackedSequence, hx: Any = None) -> tuple[Any, Any]:
        """Outputs of the last layer, and the final states of all."""
        pair, directions = self.mode == "LSTM", num_directions(self)
        given = None if hx is None else (hx if pair else (hx,))
        y: Any = input
        finals: list[tuple[Tensor, ...]] = []
        for level, layer in enumerate(self.layers):
            if level and self.training and self.dropout:
                y = _dropped(y, self.dropout)
            state = None
            if given is not None:
                of_level = slice(level * directions, (level + 1) * directions)
                parts = tuple(torch.stack(tuple(states[of_level])) for states in given)
                state = parts if pair else parts[0]
            y, final = layer(y, state)
            finals.append(final if pair else (final,))
        states = tuple(
            tuple(s for level in each for s in level) for each in zip(*finals, strict=True)
        )
        return y, states if pair else states[0]

    def __prepare_scriptable__(self) -> RecurrentStack:
        """What ``torch.jit.script`` calls first, of a layer inside a larger model too."""
        raise InputError(
            "RecurrentStack, layers of unequal sizes, is not scripted (torch.jit.script): "
            "torch.jit.trace, torch.compile and torch.export take it"
        )

    def flatten_parameters(self) -> None:
        """As ``nn.LSTM.flatten_parameters``, for every layer."""
        for layer in self.layers:
            layer.flatten_parameters()  # pyrefly: ignore[not-callable]


def cut_stack(rnn: nn.RNNBase, kept: Kept, columns: Sequence[int]) -> nn.Module:
    """The layer with these units and input columns: one module if its layers stay of one size."""
    if len({len(units) for units in kept}) == 1:
        return cut_layers(rnn, kept, columns)
    directions, layers = num_directions(rnn), []
    with reading_weights(rnn):
        weights = cell_weights(rnn)
    with torch.no_grad():
        for first in range(0, len(kept), directions):
            seen = columns_above(rnn, kept, first) if first else columns
            layer = new_layer(rnn, len(seen), len(kept[first]), 1)
            for place, names in enumerate(weight_names(layer), first):
                pieces = cut_cell(weights[place], rnn.hidden_size, kept[place], seen)
                for name, piece, source in zip(names, pieces, weights[place], strict=True):
                    layer.get_parameter(name).copy_(piece)
                    copy_flags(layer.get_parameter(name), source)
            layers.append(layer)
    return RecurrentStack(layers, rnn.dropout)


def _dropped(y: Any, probability: float) -> Any:
    if isinstance(y, PackedSequence):
        return PackedSequence(F.dropout(y.data, probability), *y[1:])
    return F.dropout(y, probability)
