"""Sizes of the stacks of Demeester et al. 2018: dense, or sparse with as many parameters.

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

from sparsecore.errors import check_choice
from sparsecore.layers.geometry import matching_geometry

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


def stack_geometry(config: Any) -> list[Geometry]:
    """(inputs, units, N, γ) of each layer of a configuration's model, bottom to top.

    Args:
        config: with stack, embedding_size (k), hidden_size (h), num_layers (n) and reduction (f).

    Raises:
        InputError: an unknown kind of stack, or a layer that cannot be as small as asked.
    """
    check_choice("stack", config.stack, STACKS)
    n = config.num_layers
    widths = [config.embedding_size, *[config.hidden_size] * (n - 1), config.embedding_size]
    layers: list[Geometry] = []
    for layer in range(n):
        a, b = STACKS[config.stack](layer, n, config.reduction)
        inputs, units = widths[layer : layer + 2]
        num_blocks, gamma = (1, 1.0) if a == b == 1 else matching_geometry(inputs, units, a, b)
        layers.append((inputs, units, num_blocks, gamma))
    return layers
