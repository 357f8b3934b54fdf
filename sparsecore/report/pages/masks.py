"""What the page "Where the zeros are" shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sparsecore.layers.geometry import matching_geometry
from sparsecore.layers.masks import embedding_counts, embedding_mask, layer_counts, stack_table
from sparsecore.report.pages.parts import html_table, markdown

DENSE_STACK = [(200, 575), (575, 575), (575, 200)]  # Fig. 4(a)
SPARSE_STACK = [(200, 1150, 1.0, 0.5), (1150, 1150, 0.5, 0.5), (1150, 200, 0.5, 1.0)]  # Fig. 4(b)

ROWS = 2000  # of a picture, at most


def layer_table(input_size: int, hidden_size: int, num_blocks: int, gamma: float) -> Any:
    """Parameters of the sparse layer, and of two dense ones to compare."""
    counts = layer_counts(input_size, hidden_size, num_blocks, gamma)
    numbers = ["hidden_size", "W_hi", "W_hh", "biases", "parameters"]
    shown = counts.assign(**{name: counts[name].map("{:,}".format) for name in numbers})
    return html_table(shown.rename(columns={"hidden_size": "hidden units"}))


def layer_sentence(input_size: int, hidden_size: int, num_blocks: int, gamma: float) -> Any:
    """What the table of the layer says, in words."""
    sparse, wide, narrow = layer_counts(input_size, hidden_size, num_blocks, gamma).to_dict(
        "records"
    )
    return markdown(
        f"The sparse layer has {sparse['hidden_size']:,} hidden units with "
        f"{100 * sparse['parameters'] / wide['parameters']:.0f} % of the parameters of a dense "
        f"layer as wide. With that many parameters a dense layer on the same {input_size:,} inputs "
        f"has {narrow['hidden_size']:,} units."
    )


def staircases(num_words: int, embedding_dim: int, densities: Sequence[float]) -> dict[float, Any]:
    """The masks of the embeddings by density, in rows enough for a picture."""
    return {
        density: thinned(embedding_mask(num_words, embedding_dim, density)) for density in densities
    }


def thinned(mask: np.ndarray) -> np.ndarray:
    """At most 2,000 rows of a mask, evenly spread, the first and the last among them."""
    if len(mask) <= ROWS:
        return mask
    return mask[np.linspace(0, len(mask) - 1, ROWS).round().astype(int)]


def embedding_table(num_words: int, embedding_dim: int, densities: Sequence[float]) -> Any:
    """Parameters of the embeddings, and how long their words' vectors are."""
    counts = embedding_counts(num_words, embedding_dim, densities)
    shown = pd.DataFrame(
        {
            "δ": counts["density"].map("{:g}".format),
            "parameters": counts["parameters"].map("{:,}".format),
            "of the dense": counts["share"].mul(100).map("{:.1f}\u00a0%".format),
            f"words with all {embedding_dim}": counts["full_words"].map("{:,}".format),
            "words with one": counts["single_words"].map("{:,}".format),
        }
    )
    return html_table(shown)


def dense_stack() -> pd.DataFrame:
    """The dense network of Fig. 4(a), component by component."""
    from torch import nn

    return stack_table([nn.LSTM(*sizes, device="meta") for sizes in DENSE_STACK])


def sparse_stack() -> pd.DataFrame:
    """The sparse network of Fig. 4(b), component by component."""
    from sparsecore.layers.sparse_rnn import SparseLSTM

    layers = [
        SparseLSTM(i, h, *matching_geometry(i, h, a, b), device="meta")
        for i, h, a, b in SPARSE_STACK
    ]
    return stack_table(layers)


def stacks_sentence() -> Any:
    """How many parameters the two stacks have."""
    dense, sparse = dense_stack()["parameters"].sum(), sparse_stack()["parameters"].sum()
    return markdown(f"The dense stack has {dense:,} parameters, the sparse one {sparse:,}.")
