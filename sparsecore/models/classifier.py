"""Fixed word vectors -> dropout -> recurrent scores -> dropout -> two logits.

    x (T B E) -> element-wise dropout -> one mask over time -> rational RNN -> scores at T (B D)
      -> the same element-wise dropout -> linear -> logits (B 2)

Axes: T time, B batch, E width of the word vectors, D scores (WFSAs).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparsecore.layers.dropout import LockedDropout, check_probability
from sparsecore.layers.rational import RationalRNN


class SequenceClassifier(nn.Module):
    """A two-way decision from the last scores of a recurrent layer (Dodge et al. 2019, §3).

    Documents are padded on the left with zero vectors, so that every one of them ends at T.

    Args:
        rnn: called with x (T, B, E), gives scores (T, B, D) and a state.
        num_scores: D.
        embed_dropout: probability of zero, element by element, for word vectors and final scores.
        rnn_dropout: probability that a dimension of the word vectors is zero throughout a document.
    """

    def __init__(
        self,
        rnn: nn.Module,
        num_scores: int,
        embed_dropout: float = 0.0,
        rnn_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.rnn = rnn
        self.embed_dropout = nn.Dropout(check_probability("embed_dropout", embed_dropout))
        self.rnn_dropout = LockedDropout(check_probability("rnn_dropout", rnn_dropout))
        self.output = nn.Linear(num_scores, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(T, B, E) -> (B, 2) logits."""
        scores, _ = self.rnn(self.rnn_dropout(self.embed_dropout(x)))  # T B D
        return self.output(self.embed_dropout(scores[-1]))


def rnn_of(model: SequenceClassifier) -> RationalRNN:
    """The recurrent layer of a classifier that has automata."""
    assert isinstance(model.rnn, RationalRNN)
    return model.rnn


def rational_classifier(
    width: int, lengths: Sequence[int], embed_dropout: float, rnn_dropout: float
) -> SequenceClassifier:
    """An untrained classifier: weights U(±√(6/(E + D))) √(1 − rnn_dropout), D WFSAs of a length.

    Args:
        width: E.
        lengths: transitions of each WFSA, (D,).
        embed_dropout, rnn_dropout: of :class:`SequenceClassifier`.

    Source: the initialisation of the paper's experiments, which the text does not give.
    """
    rnn = RationalRNN(width, list(lengths))
    with torch.no_grad():
        for weight in (rnn.main, rnn.loop):
            weight.mul_((1 - rnn_dropout) ** 0.5)
    return SequenceClassifier(rnn, len(lengths), embed_dropout, rnn_dropout)
