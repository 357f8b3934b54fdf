"""The part-of-speech tagger of Demeester et al. 2018 (§4.2).

    word ids -> embedding -> locked dropout -> LSTM in both directions -> linear -> tanh -> linear

Axes: T time, B batch, E embedding, H hidden (of one direction), P projection, K tags. Sentences are
padded at their end; neither direction ever reads the padding before a word of the sentence, so the
scores of a sentence do not depend on what it is batched with.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.layers.dropout import LockedDropout


class Tagger(nn.Module):
    """A bidirectional LSTM tagger on any word embedding.

    Args:
        embedding: (T, B) ids -> (T, B, E), with an attribute ``embedding_dim``; ``nn.Embedding`` or
            :class:`~sparsecore.SparseEmbedding`.
        num_tags: K.
        hidden_size: H, of each direction.
        projection_size: P, of the tanh layer.
        dropout: share of embedding dimensions dropped, the same ones at every word of a sentence.
        rnn: makes the recurrent layer of one direction from (E, H); anything that is called as
            ``nn.LSTM`` with one layer will do.

    Raises:
        InputError: fewer than two tags.

    Source: Demeester et al. 2018, §4.2, with E 20, H 10, P 10 and K 49: 3,309 parameters beside the
    embedding.

    >>> model = Tagger(nn.Embedding(1000, 20), num_tags=49)
    >>> sum(p.numel() for p in model.parameters()) - 20 * 1000
    3309
    """

    def __init__(
        self,
        embedding: nn.Module,
        num_tags: int,
        hidden_size: int = 10,
        projection_size: int = 10,
        dropout: float = 0.0,
        rnn: Callable[[int, int], nn.Module] = nn.LSTM,
    ) -> None:
        super().__init__()
        if num_tags < 2:
            raise InputError(f"a tagger needs at least 2 tags, got {num_tags}")
        width = int(embedding.embedding_dim)  # pyrefly: ignore[bad-argument-type]
        self.embedding = embedding
        self.embedding_dropout = LockedDropout(dropout)
        self.forward_rnn = rnn(width, hidden_size)
        self.backward_rnn = rnn(width, hidden_size)
        self.projection = nn.Linear(2 * hidden_size, projection_size)
        self.output = nn.Linear(projection_size, num_tags)

    def forward(self, word_ids: Tensor, lengths: Tensor) -> Tensor:
        """Scores of the tags.

        Args:
            word_ids: (T, B).
            lengths: (B,) words of each sentence; what stands behind them is padding.

        Returns:
            (T, B, K) logits; those of the padding mean nothing.
        """
        x = self.embedding_dropout(self.embedding(word_ids))  # T B E
        mirror = reversal(lengths, len(word_ids)).unsqueeze(-1)  # T B 1
        ahead = self.forward_rnn(x)[0]  # T B H
        back = self.backward_rnn(x.gather(0, mirror.expand_as(x)))[0]
        back = back.gather(0, mirror.expand_as(back))
        h = torch.cat([ahead, back], -1)  # T B 2H
        return self.output(torch.tanh(self.projection(h)))


def reversal(lengths: Tensor, size: int) -> Tensor:
    """Where each word comes from when every sentence is turned round within its own length.

    Returns:
        (T, B): lengths - 1 - t for the words of a sentence, t for the padding. Its own inverse.

    >>> reversal(torch.tensor([3, 2]), 3).t()
    tensor([[2, 1, 0],
            [1, 0, 2]])
    """
    t = torch.arange(size, device=lengths.device).unsqueeze(1)
    return torch.where(t < lengths, lengths - 1 - t, t)
