"""AWD-LSTM models of Demeester et al. 2018 from sizes: dense, or sparse with as many parameters.

A stack of n layers goes k -> h -> … -> h -> k for embeddings of k dimensions. Where it is sparse,
each layer has as many parameters as the dense layer that it would be in the *reduced* model, whose
widths are f times as large:

    dense           every layer as it stands
    sparse_hidden   the reduced model has hidden size f·h and the same embeddings (Table 1; Table 4,
                    "sparse RNN"): (a, b) = (1, f), (f, f), …, (f, 1)
    sparse_all      its embeddings are f times as wide too (Table 4, "sparse RNN + sparse emb."):
                    (a, b) = (f, f) everywhere

with a and b the factors of a layer's inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sparsecore.errors import InputError, near_match
from sparsecore.layers.embedding import SparseEmbedding
from sparsecore.layers.geometry import matching_geometry
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.models.awd_lstm import AWDLanguageModel
from sparsecore.models.language_model import num_parameters

Geometry = tuple[int, int, int, float]  # inputs, units, N, γ

# factors (a, b) of layer number l of n, for a reduction f
STACKS: dict[str, Callable[[int, int, float], tuple[float, float]]] = {
    "dense": lambda layer, layers, f: (1.0, 1.0),
    "sparse_hidden": lambda layer, layers, f: (
        1.0 if layer == 0 else f,
        1.0 if layer == layers - 1 else f,
    ),
    "sparse_all": lambda layer, layers, f: (f, f),
}


class Sizes(Protocol):
    """The fields of a configuration that say what the model looks like."""

    @property
    def embedding_size(self) -> int:
        """k."""
        ...

    @property
    def hidden_size(self) -> int:
        """h."""
        ...

    @property
    def num_layers(self) -> int:
        """n."""
        ...

    @property
    def stack(self) -> str:
        """A key of :data:`STACKS`."""
        ...

    @property
    def reduction(self) -> float:
        """f."""
        ...

    @property
    def embedding_density(self) -> float:
        """δ_E."""
        ...

    @property
    def embedding_bins(self) -> int:
        """M."""
        ...


def stack_geometry(sizes: Sizes) -> list[Geometry]:
    """(inputs, units, N, γ) of each layer, bottom to top.

    Raises:
        InputError: an unknown kind of stack, or a layer that cannot be as small as asked.
    """
    if sizes.stack not in STACKS:
        raise InputError(f"unknown stack {sizes.stack!r}{near_match(sizes.stack, STACKS)}")
    n = sizes.num_layers
    widths = [sizes.embedding_size, *[sizes.hidden_size] * (n - 1), sizes.embedding_size]
    layers: list[Geometry] = []
    for layer in range(n):
        a, b = STACKS[sizes.stack](layer, n, sizes.reduction)
        inputs, units = widths[layer : layer + 2]
        num_blocks, gamma = (1, 1.0) if a == b == 1 else matching_geometry(inputs, units, a, b)
        layers.append((inputs, units, num_blocks, gamma))
    return layers


def build_model(
    sizes: Sizes,
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
    """
    embedding = SparseEmbedding(
        num_words,
        sizes.embedding_size,
        sizes.embedding_density,
        sizes.embedding_bins if sizes.embedding_density < 1 else 1,
        word_dropout=dropoute,
    )
    layers = [SparseLSTM(*geometry, weight_drop=weight_drop) for geometry in stack_geometry(sizes)]
    return AWDLanguageModel(embedding, layers, dropout, dropouth, dropouti)


def parameter_counts(model: AWDLanguageModel) -> dict[str, int]:
    """Parameters of the recurrent layers, of the (tied) embedding, and of the whole model."""
    return {
        "rnn_parameters": num_parameters(model.layers),
        "embedding_parameters": num_parameters(model.embedding),
        "parameters": num_parameters(model),
    }
