"""Group lasso over the hidden units of an LSTM, and the smaller ``nn.LSTM`` that is left.

The group of unit j holds all weights to and from it: the four gates' rows of W_ih, W_hh and the
biases, and the columns that read it: of W_hh, of the next layer's W_ih, of what reads the output.
A unit whose rows are zero puts out exactly zero (from a zero state), so it can be taken away.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.prune.compact import THRESHOLD
from sparsecore.prune.groups import NO_GROUP, Grouping


def lstm_unit_groups(lstm: nn.LSTM, prefix: str = "", readers: Sequence[str] = ()) -> Grouping:
    """The groups of an LSTM's hidden units: H for each layer and direction, in PyTorch's order.

    Args:
        lstm: any number of layers and directions.
        prefix: where it stands in the module that the grouping is for, as in ``"lstm."``.
        readers: full names there of (·, H) matrices that read the output, as ``"decoder.weight"``
            ((·, 2H) for a bidirectional one): their columns belong to the last layer's units.

    Returns:
        A grouping of ``layers · directions · H`` overlapping groups: the weight from unit l to unit
        j belongs to both.

    Raises:
        InputError: an LSTM with a projection, whose outputs are no longer units.

    Source: Wen et al. 2018 (Intrinsic Sparse Structures within LSTM).

    >>> lstm = nn.LSTM(3, 5)
    >>> groups = lstm_unit_groups(lstm)
    >>> groups.sizes(lstm).tolist() == [4 * (3 + 5 + 2) + 4 * (5 - 1)] * 5
    True
    """
    _check(lstm)
    H = lstm.hidden_size
    directions = _directions(lstm)
    unit = torch.arange(H).repeat(4)  # of each gate row
    labels: dict[str, list[Tensor]] = {}
    for layer in range(lstm.num_layers):
        first = layer * len(directions) * H
        for number, direction in enumerate(directions):
            rows = (first + number * H + unit).unsqueeze(1)  # 4H 1
            columns = (first + number * H + torch.arange(H)).expand(4 * H, H)
            own = unit.unsqueeze(1) == torch.arange(H)  # already in its row
            w_ih, w_hh, *biases = _names(lstm, layer, direction)
            labels[prefix + w_ih] = [rows]
            labels[prefix + w_hh] = [rows, columns.masked_fill(own, NO_GROUP)]
            labels |= {prefix + name: [rows.squeeze(1)] for name in biases}
            if layer:
                labels[prefix + w_ih].append(torch.arange(first - len(directions) * H, first))
    last = torch.arange(len(directions) * H) + (lstm.num_layers - 1) * len(directions) * H
    return Grouping({**labels, **dict.fromkeys(readers, last)})


def kept_units(lstm: nn.LSTM, threshold: float = THRESHOLD) -> list[list[int]]:
    """The units that :func:`compact_lstm` keeps: one list for each layer and direction.

    Those whose group norm is above ``threshold``. All layers of an ``nn.LSTM`` are of one size, so
    where there are several, each keeps as many as the one that keeps most: its largest.

    Raises:
        InputError: no unit is left anywhere.
    """
    norms = lstm_unit_groups(lstm).norms(lstm).detach().view(-1, lstm.hidden_size)
    size = int((norms > threshold).sum(1).max())
    if size == 0:
        raise InputError(
            f"threshold {threshold} leaves no unit: the largest norm is {norms.max().item():.3g}"
        )
    return norms.topk(size, dim=1).indices.sort(1).values.tolist()


def compact_lstm(lstm: nn.LSTM, threshold: float = THRESHOLD) -> nn.LSTM:
    """The smaller LSTM without the units whose group norm is at most ``threshold``.

    What stays is carried over exactly: from a zero state its outputs equal those of ``lstm`` with
    the removed units' weights set to zero, at the kept units. A layer that reads the output keeps
    the columns ``kept_units(lstm, threshold)[-1]`` (of the backward direction: H plus those of the
    last list, after those of the last but one).

    Returns:
        A new ``nn.LSTM`` of the same options, type and device; ``lstm`` is not touched.

    Raises:
        InputError: no unit is left, or the LSTM has a projection.

    Source: Wen et al. 2018; Dodge et al. 2019, §2 (the threshold).

    >>> lstm = nn.LSTM(3, 5)
    >>> with torch.no_grad():
    ...     lstm_unit_groups(lstm).scale(lstm, torch.tensor([1.0, 0, 1, 0, 1]))
    >>> compact_lstm(lstm).hidden_size
    3
    """
    kept = kept_units(lstm, threshold)
    directions = _directions(lstm)
    small = nn.LSTM(
        lstm.input_size,
        len(kept[0]),
        lstm.num_layers,
        bias=lstm.bias,
        batch_first=lstm.batch_first,
        dropout=lstm.dropout,
        bidirectional=lstm.bidirectional,
        device=lstm.all_weights[0][0].device,
        dtype=lstm.all_weights[0][0].dtype,
    )
    H = lstm.hidden_size
    source, target = lstm.state_dict(), small.state_dict()
    for layer in range(lstm.num_layers):
        below = slice(None)
        if layer:
            lists = kept[(layer - 1) * len(directions) : layer * len(directions)]
            below = [number * H + j for number, units in enumerate(lists) for j in units]
        for number, direction in enumerate(directions):
            units = kept[layer * len(directions) + number]
            rows = [gate * H + j for gate in range(4) for j in units]
            w_ih, w_hh, *biases = _names(lstm, layer, direction)
            target[w_ih].copy_(source[w_ih][rows][:, below])
            target[w_hh].copy_(source[w_hh][rows][:, units])
            for name in biases:
                target[name].copy_(source[name][rows])
    return small.train(lstm.training)


def _check(lstm: nn.LSTM) -> None:
    if lstm.proj_size:
        raise InputError(f"an LSTM with proj_size={lstm.proj_size} has no units of its own outside")


def _directions(lstm: nn.LSTM) -> list[str]:
    return ["", "_reverse"] if lstm.bidirectional else [""]


def _names(lstm: nn.LSTM, layer: int, direction: str) -> list[str]:
    kinds = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if lstm.bias else [])]
    return [f"{kind}_l{layer}{direction}" for kind in kinds]
