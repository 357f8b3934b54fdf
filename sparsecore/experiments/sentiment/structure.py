"""The structure of a layer of WFSAs: how many of each length; what of it survives the penalty.

Written as counts by length, ``"0,4,0,2"``: no WFSA with one transition, four with two, none with
three, two with four; 16 transitions in all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN
from sparsecore.models.classifier import SequenceClassifier
from sparsecore.pruning.compact import compact, kept_lengths, kept_wfsas
from sparsecore.pruning.groups import group_norms

MOST = 10_000  # WFSAs, and transitions of one


def lengths_of(structure: str) -> list[int]:
    """Transitions of each WFSA, shortest first.

    >>> lengths_of("0,2,0,1")
    [2, 2, 4]
    """
    try:
        counts = [int(part) for part in structure.split(",")]
    except (ValueError, AttributeError):
        counts = [-1]
    if min(counts) < 0 or not 0 < sum(counts) <= MOST or len(counts) > MOST:
        raise InputError(
            "structure must be how many WFSAs there are with 1, 2, 3, … transitions, such as "
            f"'0,0,0,24' or '6,6,6,6', at most {MOST:,} in all, got {structure!r}"
        )
    return [length for length, count in enumerate(counts, 1) for _ in range(count)]


def structure_of(lengths: Sequence[int], longest: int = 4) -> str:
    """The counts of WFSAs with 1, 2, … transitions (at least up to ``longest``); 0 counts nowhere.

    >>> structure_of([2, 4, 0, 2])
    '0,2,0,1'
    """
    longest = max([longest, *lengths])
    return ",".join(str(sum(length == n for length in lengths)) for n in range(1, longest + 1))


def kept_of(model: SequenceClassifier, threshold: float) -> list[int]:
    """The transitions that each WFSA keeps: 0 if it is gone."""
    return kept_lengths(rnn_of(model), threshold)[0]


def state_norms(model: SequenceClassifier) -> list[float]:
    """ℓ2 norm of each state's parameters, WFSA by WFSA."""
    with torch.no_grad():
        return group_norms(rnn_of(model)).cpu().tolist()


def rnn_of(model: SequenceClassifier) -> RationalRNN:
    """The model's recurrent layer."""
    assert isinstance(model.rnn, RationalRNN)
    return model.rnn


def extract(model: SequenceClassifier, threshold: float) -> SequenceClassifier:
    """The smaller model: states below the threshold are gone, as are the weights of gone WFSAs.

    Everything that stays is carried over exactly. At least one WFSA must keep a state.
    """
    rnn = rnn_of(model)
    kept = kept_wfsas(rnn, threshold)
    dropouts = model.embed_dropout.p, model.rnn_dropout.p
    small = SequenceClassifier(compact(rnn, threshold), len(kept), *dropouts)
    with torch.no_grad():
        small.output.weight.copy_(model.output.weight[:, kept])
        assert model.output.bias is not None and small.output.bias is not None
        small.output.bias.copy_(model.output.bias)
    return small.to(model.output.weight.device)


def new_model(
    width: int, lengths: Sequence[int], embed_dropout: float, rnn_dropout: float
) -> SequenceClassifier:
    """An untrained classifier: weights U(±√(6/(E + D))) √(1 − rnn_dropout), D WFSAs of a length.

    Source: the initialisation of the paper's experiments, which the text does not give.
    """
    rnn = RationalRNN(width, list(lengths))
    with torch.no_grad():
        for weight in (rnn.main, rnn.loop):
            weight.mul_((1 - rnn_dropout) ** 0.5)
    return SequenceClassifier(rnn, len(lengths), embed_dropout, rnn_dropout)
