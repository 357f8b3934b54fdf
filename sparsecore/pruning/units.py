"""The hidden units of ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN``: as groups of weights, and cut away.

A unit that nothing enters (its rows of W_ih, W_hh and the biases are zero) puts out exactly zero
from a zero state, so it can be taken away with the columns that read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.ops.cells import GATES, num_directions
from sparsecore.ops.weights import (
    cell_weights,
    copy_flags,
    reading_weights,
    unwrapped,
    weight_names,
)
from sparsecore.pruning.compact import THRESHOLD, check_threshold
from sparsecore.pruning.groups import NO_GROUP, Grouping

Kept = list[list[int]]  # of each layer and direction the units that stay


def unit_groups(rnn: nn.RNNBase, prefix: str = "", readers: Sequence[str] = ()) -> Grouping:
    """The groups of the hidden units: H for each layer and direction, in PyTorch's order.

    The group of unit j holds all weights to and from it: the gates' rows of W_ih, W_hh and the
    biases, and the columns that read it: of W_hh, of the next layer's W_ih, of further readers.

    Args:
        rnn: an ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` of any number of layers and directions.
        prefix: where it stands in the module that the grouping is for, as in ``"lstm."``.
        readers: full names there of (·, H) matrices that read the output, as ``"decoder.weight"``
            ((·, 2H) for a bidirectional one): their columns belong to the last layer's units.

    Returns:
        A grouping of ``layers · directions · H`` overlapping groups: the weight from unit l to unit
        j belongs to both.

    Raises:
        InputError: a layer with a projection, whose outputs are no longer units.

    Source: Wen et al. 2018 (Intrinsic Sparse Structures within LSTM).

    >>> lstm = nn.LSTM(3, 5)
    >>> groups = unit_groups(lstm)
    >>> groups.sizes(lstm).tolist() == [4 * (3 + 5 + 2) + 4 * (5 - 1)] * 5
    True
    """
    if rnn.proj_size:
        raise InputError(f"a layer with proj_size={rnn.proj_size} has no units of its own outside")
    H, directions = rnn.hidden_size, num_directions(rnn)
    gates = GATES[rnn.mode]
    unit = torch.arange(H).repeat(gates)  # of each gate row
    labels: dict[str, list[Tensor]] = {}
    for place, (w_ih, w_hh, *biases) in enumerate(weight_names(rnn)):
        rows = (place * H + unit).unsqueeze(1)  # GH 1
        columns = (place * H + torch.arange(H)).expand(gates * H, H)
        own = unit.unsqueeze(1) == torch.arange(H)  # already in its row
        labels[prefix + w_ih] = [rows]
        labels[prefix + w_hh] = [rows, columns.masked_fill(own, NO_GROUP)]
        labels |= {prefix + name: [rows.squeeze(1)] for name in biases}
        first = place // directions * directions * H  # of this layer
        if first:
            labels[prefix + w_ih].append(torch.arange(first - directions * H, first))
    last = torch.arange(directions * H) + (rnn.num_layers - 1) * directions * H
    return Grouping({**labels, **dict.fromkeys(readers, last)})


def entering_norms(rnn: nn.RNNBase) -> Tensor:
    """(layers · directions, H) ℓ2 norm of the weights that enter each unit: its rows and biases.

    What leaves a unit does not matter to whether it is zero.

    Source: Dodge et al. 2019, §2 (the group of a state holds what is used to enter it).
    """
    norms = []
    with reading_weights(rnn):
        for weights in cell_weights(rnn):
            rows = [w.detach().view(GATES[rnn.mode], rnn.hidden_size, -1) for w in weights]
            norms.append(torch.cat(rows, 2).square().sum((0, 2)).sqrt())
    return torch.stack(norms)


def kept_units(rnn: nn.RNNBase, threshold: float = THRESHOLD) -> Kept:
    """The units that :func:`compact_lstm` keeps: one list for each layer and direction.

    Those whose entering norm is above ``threshold``. All layers of one ``nn.LSTM`` are of one size,
    so where there are several, each keeps as many as the one that keeps most: its largest.

    Raises:
        InputError: no unit is left anywhere.
    """
    return largest_units(entering_norms(rnn), threshold)


def largest_units(norms: Tensor, threshold: float, name: str = "") -> Kept:
    """Of each row of ``norms`` the units above the threshold, as many as in the row with most.

    Raises:
        InputError: none is left; ``name`` says where.
    """
    check_threshold(threshold, norms)
    size = int((norms > threshold).sum(1).max())
    if size == 0:
        raise InputError(
            f"threshold {threshold} leaves no unit{f' of {name!r}' if name else ''}: the largest "
            f"norm is {norms.max().item():.3g}"
        )
    return norms.topk(size, dim=1).indices.sort(1).values.tolist()


@torch.inference_mode(False)  # else its parameters could not be trained
def compact_lstm(lstm: nn.LSTM, threshold: float = THRESHOLD) -> nn.LSTM:
    """The smaller LSTM without the units that weights of at most norm ``threshold`` enter.

    What stays is carried over exactly: from a zero state its outputs equal those of ``lstm`` with
    the removed units' weights set to zero, at the kept units. A layer that reads the output keeps
    the columns ``kept_units(lstm, threshold)[-1]`` (of the backward direction: H plus those of the
    last list, after those of the last but one). :func:`sparsecore.prune` does the same to a whole
    model, and cuts what reads the units too.

    Returns:
        A new ``nn.LSTM`` of the same options, type and device, frozen where ``lstm`` is; ``lstm``
        is not touched.

    Raises:
        InputError: no unit is left, or the LSTM has a projection.

    Source: Wen et al. 2018; Dodge et al. 2019, §2 (the threshold).

    >>> lstm = nn.LSTM(3, 5)
    >>> with torch.no_grad():
    ...     unit_groups(lstm).scale(lstm, torch.tensor([1.0, 0, 1, 0, 1]))
    >>> compact_lstm(lstm).hidden_size
    3
    """
    whole = unwrapped(lstm)
    if not isinstance(whole, nn.LSTM):
        kind = f"{type(whole).__name__} of {type(whole).__module__}"
        raise InputError(f"compact_lstm takes an nn.LSTM, got {kind}")
    kept = kept_units(whole, threshold)
    return cut_layers(whole, kept, list(range(whole.input_size)))  # pyrefly: ignore[bad-return]


def cut_layers(rnn: nn.RNNBase, kept: Kept, columns: Sequence[int]) -> nn.RNNBase:
    """A plain layer of the same kind with these units, as many in each, and these input columns."""
    directions = num_directions(rnn)
    with reading_weights(rnn):
        weights = cell_weights(rnn)
    with torch.no_grad():
        small = new_layer(rnn, len(columns), len(kept[0]), rnn.num_layers)
        for place, names in enumerate(weight_names(small)):
            seen = columns if place < directions else columns_above(rnn, kept, place)
            pieces = cut_cell(weights[place], rnn.hidden_size, kept[place], seen)
            for name, piece, source in zip(names, pieces, weights[place], strict=True):
                small.get_parameter(name).copy_(piece)
                copy_flags(small.get_parameter(name), source)
    return small.train(rnn.training)


def columns_above(rnn: nn.RNNBase, kept: Kept, place: int) -> list[int]:
    """The columns of W_ih that cell ``place``, above the first layer, has left."""
    directions = num_directions(rnn)
    first = place // directions * directions
    below = kept[first - directions : first]
    return [number * rnn.hidden_size + j for number, units in enumerate(below) for j in units]


def cut_cell(
    weights: Sequence[Tensor], H: int, units: Sequence[int], columns: Sequence[int]
) -> list[Tensor]:
    """W_ih, W_hh and biases of these units, reading these columns."""
    rows = [start + j for start in range(0, len(weights[0]), H) for j in units]
    w_ih, w_hh, *biases = weights
    return [w_ih[rows][:, columns], w_hh[rows][:, units], *(b[rows] for b in biases)]


def new_layer(rnn: nn.RNNBase, input_size: int, hidden_size: int, num_layers: int) -> nn.RNNBase:
    """A fresh ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` of other sizes, its weights undefined."""
    like = cell_weights(rnn)[0][0]
    kind, options = KINDS[rnn.mode]
    layer = kind(
        input_size,
        hidden_size,
        num_layers,
        bias=rnn.bias,
        batch_first=rnn.batch_first,
        dropout=rnn.dropout if num_layers > 1 else 0.0,
        bidirectional=rnn.bidirectional,
        device="meta",
        dtype=like.dtype,
        **options,
    )
    return layer.to_empty(device=like.device)


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "LSTM": (nn.LSTM, {}),
    "GRU": (nn.GRU, {}),
    "RNN_TANH": (nn.RNN, {"nonlinearity": "tanh"}),
    "RNN_RELU": (nn.RNN, {"nonlinearity": "relu"}),
}
