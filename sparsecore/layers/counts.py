"""How many parameters predefined sparseness leaves, beside dense layers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from sparsecore.layers.geometry import bin_rows, bin_widths, lstm_parameters
from sparsecore.layers.masks import hidden_mask, input_mask


def equal_dense_size(input_size: int, parameters: int) -> int:
    """Hidden units h of the dense LSTM on i inputs with about so many parameters.

    The whole number nearest to the positive root of 4 h (h + i + 2) = parameters, at least 1.

    >>> equal_dense_size(200, lstm_parameters(200, 1150, 4, 0.495))
    575
    """
    half = (input_size + 2) / 2
    return max(1, round(math.sqrt(half**2 + parameters / 4) - half))


def layer_counts(
    input_size: int, hidden_size: int, num_blocks: int = 1, gamma: float = 1.0
) -> pd.DataFrame:
    """Parameters of a sparse LSTM layer and of the dense ones that one would compare it with.

    Args:
        input_size, hidden_size, num_blocks, gamma: i, h, N, γ.

    Returns:
        Three rows: ``sparse``, ``dense, as wide``, ``dense, as many parameters``. Columns: layer,
        hidden_size, W_hi, W_hh, biases, parameters.

    Source: Demeester et al. 2018, §3.2.
    """
    sparse = {
        "layer": "sparse",
        "hidden_size": hidden_size,
        "W_hi": 4 * int(input_mask(input_size, hidden_size, num_blocks, gamma).sum()),
        "W_hh": 4 * int(hidden_mask(hidden_size, num_blocks).sum()),
        "biases": 8 * hidden_size,
        "parameters": lstm_parameters(input_size, hidden_size, num_blocks, gamma),
    }
    narrow = equal_dense_size(input_size, sparse["parameters"])
    dense = [
        {
            "layer": name,
            "hidden_size": size,
            "W_hi": 4 * size * input_size,
            "W_hh": 4 * size * size,
            "biases": 8 * size,
            "parameters": lstm_parameters(input_size, size),
        }
        for name, size in (("dense, as wide", hidden_size), ("dense, as many parameters", narrow))
    ]
    return pd.DataFrame([sparse, *dense])


def embedding_counts(
    num_embeddings: int, embedding_dim: int, densities: Iterable[float]
) -> pd.DataFrame:
    """Parameters of sparse embeddings with a bin for every dimension, a row for each density.

    Args:
        num_embeddings, embedding_dim, densities: V, k, and the values of δ.

    Returns:
        density, parameters, share (of the dense V·k), full_words (how many words have all k
        dimensions), single_words (how many have one).

    Source: Demeester et al. 2018, §4.1.

    >>> embedding_counts(43_815, 20, [0.25])[["parameters", "full_words"]].values.tolist()
    [[219075, 673]]
    """
    rows = []
    for density in densities:
        longest = bin_rows(num_embeddings, embedding_dim, density)
        widths = bin_widths(embedding_dim, embedding_dim)
        parameters = sum(r * w for r, w in zip(longest, widths, strict=True))
        rows.append(
            {
                "density": density,
                "parameters": parameters,
                "share": parameters / (num_embeddings * embedding_dim),
                "full_words": min(longest),
                "single_words": num_embeddings - longest[1] if embedding_dim > 1 else 0,
            }
        )
    return pd.DataFrame(rows)
