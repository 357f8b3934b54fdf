"""The recurrent layer of a classifier: the norms of its states, and what the penalty leaves."""

from __future__ import annotations

import torch

from sparsecore.layers.rational import RationalRNN
from sparsecore.models.classifier import SequenceClassifier
from sparsecore.pruning.compact import compact, kept_wfsas
from sparsecore.pruning.groups import group_norms


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
