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
from typing import Any

from sparsecore.errors import InputError, near_match
from sparsecore.layers.embedding import SparseEmbedding
from sparsecore.layers.geometry import bin_rows, matching_geometry
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.models.awd_lstm import AWDLanguageModel
from sparsecore.models.language_model import num_parameters
from sparsecore.training.configuration import ABOVE_0, AT_LEAST_1, require, require_range

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


def check_fields(config: Any) -> None:
    """The fields that language modelling and reciting share: sizes, geometry, optimisation.

    Raises:
        InputError: a field out of range, or layers that cannot be as small as asked.
    """
    names = "threshold embedding_size hidden_size num_layers embedding_bins max_tokens"
    require_range(config, AT_LEAST_1, names)
    require(config, "reduction", 0 < config.reduction <= 1, "in (0, 1]")
    stack_geometry(config)
    if config.embedding_density != 1:
        bin_rows(1000, config.embedding_size, config.embedding_density, config.embedding_bins)
    require_range(config, AT_LEAST_1, "sequence_length batch_size epochs")
    require_range(config, ABOVE_0, "learning_rate clip")


def stack_geometry(config: Any) -> list[Geometry]:
    """(inputs, units, N, γ) of each layer of a configuration's model, bottom to top.

    Raises:
        InputError: an unknown kind of stack, or a layer that cannot be as small as asked.
    """
    if config.stack not in STACKS:
        raise InputError(f"unknown stack {config.stack!r}{near_match(config.stack, STACKS)}")
    n = config.num_layers
    widths = [config.embedding_size, *[config.hidden_size] * (n - 1), config.embedding_size]
    layers: list[Geometry] = []
    for layer in range(n):
        a, b = STACKS[config.stack](layer, n, config.reduction)
        inputs, units = widths[layer : layer + 2]
        num_blocks, gamma = (1, 1.0) if a == b == 1 else matching_geometry(inputs, units, a, b)
        layers.append((inputs, units, num_blocks, gamma))
    return layers


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
