"""The AWD-LSTM language model (Merity et al. 2017), the baseline of Demeester et al. 2018.

    embedding (whole words dropped) -> locked dropout -> LSTM 1 -> locked dropout -> … -> LSTM n
    -> locked dropout -> logits by the same embedding (no word dropped) and a bias -> softmax

Embedding and layers are passed in, so that dense and predefined-sparse ones make the same model.
DropConnect on W_hh is the layers' own. Axes: T time, B batch, E embedding, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.layers.dropout import LockedDropout
from sparsecore.layers.embedding import SparseEmbedding
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.models.language_model import State, num_parameters
from sparsecore.models.stacks import stack_geometry
from sparsecore.ops.linear_cross_entropy import linear_cross_entropy


class TiedEmbedding(Protocol):
    """What the model asks of its embedding beside the lookup (and any dropout of words)."""

    num_embeddings: int
    embedding_dim: int

    def dense(self) -> Tensor:
        """The (V, E) matrix, no word dropped."""
        ...

    def tied_logits(self, hidden: Tensor, bias: Tensor | None = None) -> Tensor:
        """(..., E) -> (..., V), no word dropped."""
        ...


class AWDLanguageModel(nn.Module):
    """An LSTM language model with tied weights and dropout at every place but time.

    Args:
        embedding: V words in E dimensions, an ``nn.Module`` with the methods of
            :class:`TiedEmbedding`, such as a ``SparseEmbedding`` (density 1 for a dense one), which
            drops whole words itself.
        layers: recurrent layers, each called as a one-layer ``nn.LSTM``; the first takes E inputs,
            the last gives E outputs.
        dropouti: locked dropout of the first layer's input.
        dropouth: locked dropout between the layers.
        dropout: locked dropout of the last layer's output.

    The output bias starts as 0; embedding and layers as they came.

    Parameters of the paper's dense model (E = 400, h = 1150, three layers, V = 10,000): 20,211,600
    in the layers + 4,000,000 in the embedding + 10,000 in the bias = 24,221,600.

    Raises:
        InputError: the last layer's size is not the embedding's.

    Source: Merity et al. 2017, §4; Demeester et al. 2018, §3.2.
    """

    def __init__(
        self,
        embedding: nn.Module,
        layers: Sequence[nn.Module],
        dropout: float = 0.4,
        dropouth: float = 0.25,
        dropouti: float = 0.4,
    ) -> None:
        super().__init__()
        tied = cast("TiedEmbedding", embedding)
        last = getattr(layers[-1], "hidden_size", tied.embedding_dim)
        if last != tied.embedding_dim:
            raise InputError(
                f"the last layer must give as many outputs as the embedding has dimensions "
                f"({tied.embedding_dim}), got hidden_size={last}"
            )
        self.embedding = embedding
        self.layers = nn.ModuleList(layers)
        self.bias = nn.Parameter(torch.zeros(tied.num_embeddings))
        self.input_dropout = LockedDropout(dropouti)
        self.hidden_dropout = LockedDropout(dropouth)
        self.output_dropout = LockedDropout(dropout)

    def forward(
        self, input_ids: Tensor, state: State | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """(T, B) ids -> the last layer's output after and before its dropout, and the final state.

        The first, (T, B, E), goes to :meth:`loss` or :meth:`logits`; both go to
        :func:`activation_penalty`.
        """
        h = self.input_dropout(self.embedding(input_ids))  # T B E
        final: State = []
        for number, layer in enumerate(self.layers):
            if number:
                h = self.hidden_dropout(h)
            h, carried = layer(h, None if state is None else state[number])  # T B H
            final.append(carried)
        return self.output_dropout(h), h, final

    def loss(self, hidden: Tensor, target_ids: Tensor) -> Tensor:
        """Mean cross entropy in nats of the (T, B) targets; all logits never exist at once."""
        matrix = cast("TiedEmbedding", self.embedding).dense()
        return linear_cross_entropy(hidden.flatten(0, -2), matrix, self.bias, target_ids.flatten())[
            0
        ]

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., E) -> (..., V) unnormalised scores."""
        return cast("TiedEmbedding", self.embedding).tied_logits(hidden, self.bias)


def activation_penalty(dropped: Tensor, raw: Tensor, alpha: float, beta: float) -> Tensor:
    """AR and TAR: α·mean(h²) of the dropped output + β·mean((h_t - h_{t-1})²) of the undropped one.

    Args:
        dropped, raw: (T, B, E), the last layer's output after and before its dropout.

    Source: Merity et al. 2017, §4.6.

    >>> h = torch.tensor([1.0, 3.0]).view(2, 1, 1)
    >>> float(activation_penalty(h, h, alpha=2.0, beta=1.0))
    14.0
    """
    penalty = alpha * dropped.square().mean()
    if len(raw) > 1:
        penalty = penalty + beta * (raw[1:] - raw[:-1]).square().mean()
    return penalty


def build_model(
    config: Any,
    num_words: int,
    *,
    dropout: float = 0.0,
    dropouth: float = 0.0,
    dropouti: float = 0.0,
    dropoute: float = 0.0,
    weight_drop: float = 0.0,
) -> AWDLanguageModel:
    """The model over ``num_words`` words whose ids ascend with frequency (id 0 the rarest).

    Embedding U(±0.1), output bias 0, layers as PyTorch makes them.

    Args:
        config: with the sizes that :func:`~sparsecore.models.stacks.stack_geometry` takes,
            embedding_density (δ_E) and embedding_bins (M).
        num_words: V.
        dropout, dropouth, dropouti: of :class:`AWDLanguageModel`.
        dropoute: share of words dropped from a batch.
        weight_drop: share of recurrent weights dropped from a batch.
    """
    embedding = SparseEmbedding(
        num_words,
        config.embedding_size,
        config.embedding_density,
        config.embedding_bins if config.embedding_density < 1 else 1,
        word_dropout=dropoute,
    )
    layers = [SparseLSTM(*geometry, weight_drop=weight_drop) for geometry in stack_geometry(config)]
    return AWDLanguageModel(embedding, layers, dropout, dropouth, dropouti)


def parameter_counts(model: AWDLanguageModel) -> dict[str, int]:
    """Parameters of the recurrent layers, of the (tied) embedding, and of the whole model."""
    return {
        "rnn_parameters": num_parameters(model.layers),
        "embedding_parameters": num_parameters(model.embedding),
        "parameters": num_parameters(model),
    }
