"""Which entries of the weight matrices can be trained: masks, and tables of how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from torch import nn

from sparsecore.errors import InputError
from sparsecore.layers.geometry import (
    bin_rows,
    bin_widths,
    block_sizes,
    equal_dense_size,
    input_windows,
    lstm_parameters,
)
from sparsecore.layers.sparse_rnn import SparseGRU, SparseLSTM, SparseRNN
from sparsecore.ops.cells import num_directions

SPARSE = (SparseLSTM, SparseGRU, SparseRNN)


def hidden_mask(hidden_size: int, num_blocks: int = 1, gates: int = 1) -> np.ndarray:
    """The trainable entries of W_hh: a block-diagonal matrix.

    Args:
        hidden_size: h.
        num_blocks: N.
        gates: how many such matrices lie one below the other, as in PyTorch's ``weight_hh_l0``
            (4 for an LSTM, 3 for a GRU).

    Returns:
        gates·h rows, h columns; True where a weight is.

    Source: Demeester et al. 2018, §3.1, Fig. 1(a).

    >>> hidden_mask(4, 2).astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 0, 0],
           [0, 0, 1, 1],
           [0, 0, 1, 1]])
    """
    owner = _owners(hidden_size, num_blocks)
    return np.tile(owner[:, None] == owner[None, :], (gates, 1))


def input_mask(
    input_size: int, hidden_size: int, num_blocks: int = 1, gamma: float = 1.0, gates: int = 1
) -> np.ndarray:
    """The trainable entries of W_hi: a window of γ·i inputs for each block, moving along.

    Args:
        input_size: i.
        hidden_size: h.
        num_blocks: N.
        gamma: γ.
        gates: as in :func:`hidden_mask`.

    Returns:
        gates·h rows, i columns; True where a weight is.

    Source: Demeester et al. 2018, §3.1, Fig. 1(b).

    >>> input_mask(5, 4, 2, 0.6).astype(int)
    array([[1, 1, 1, 0, 0],
           [1, 1, 1, 0, 0],
           [0, 0, 1, 1, 1],
           [0, 0, 1, 1, 1]])
    """
    owner = _owners(hidden_size, num_blocks)
    seen = np.zeros((num_blocks, input_size), dtype=bool)
    for row, window in zip(seen, input_windows(input_size, num_blocks, gamma), strict=True):
        row[window] = True
    return np.tile(seen[owner], (gates, 1))


def _owners(hidden_size: int, num_blocks: int) -> np.ndarray:
    """The block of each hidden unit."""
    return np.repeat(np.arange(num_blocks), block_sizes(hidden_size, num_blocks))


def embedding_mask(
    num_embeddings: int, embedding_dim: int, density: float, num_bins: int | None = None
) -> np.ndarray:
    """The trainable entries of the embedding matrix: a staircase.

    Args:
        num_embeddings: V; the first row is the least frequent word, the last the most frequent.
        embedding_dim: k.
        density: δ.
        num_bins: M, by default k.

    Returns:
        V rows, k columns; True where a weight is.

    Source: Demeester et al. 2018, §4.1, Fig. 2.

    >>> embedding_mask(6, 3, 0.5).astype(int).tolist()
    [[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    num_bins = embedding_dim if num_bins is None else num_bins
    rows = bin_rows(num_embeddings, embedding_dim, density, num_bins)
    longest = np.repeat(rows, bin_widths(embedding_dim, num_bins))  # words that have each dimension
    return np.arange(num_embeddings)[:, None] >= num_embeddings - longest[None, :]


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


def stack_table(model: nn.Module | Sequence[nn.Module]) -> pd.DataFrame:
    """The composition of a model's recurrent layers, bottom to top, as the paper's Fig. 4 draws it.

    Args:
        model: a module that has recurrent layers (sparse or dense) somewhere, or the layers
            themselves in their order.

    Returns:
        A row for each component R_{layer, block}, both counted from 1: ``inputs`` (of ``begin`` to
        ``end`` of the layer's ``input_size``), ``outputs`` (both directions), ``parameters``.

    Raises:
        InputError: there is no recurrent layer.

    Source: Demeester et al. 2018, §5.2, Fig. 4.

    >>> stack_table(SparseLSTM(200, 1150, 4, 0.495))[["block", "inputs", "outputs", "parameters"]]
       block  inputs  outputs  parameters
    0      1      99      287      445424
    1      2      99      288      448128
    2      3      99      287      445424
    3      4      99      288      448128
    """
    layers = [model] if isinstance(model, nn.Module) else list(model)
    found = [layer for module in layers for layer in _recurrent(module)]
    if not found:
        raise InputError("there is no recurrent layer (nn.LSTM, SparseLSTM, …) in the model")
    rows: list[dict[str, int]] = []
    for layer in found:
        components = _components(layer)
        for begin in range(0, len(components), _blocks_of(layer)):
            level = rows[-1]["layer"] + 1 if rows else 1
            parts = components[begin : begin + _blocks_of(layer)]
            rows += [{"layer": level, "block": n, **part} for n, part in enumerate(parts, 1)]
    return pd.DataFrame(rows)


def _recurrent(module: nn.Module) -> list[nn.Module]:
    """Recurrent layers of a module, in order; the components of a sparse one are not layers."""
    if isinstance(module, (*SPARSE, nn.RNNBase)):
        return [module]
    return [layer for child in module.children() for layer in _recurrent(child)]


def _blocks_of(layer: nn.Module) -> int:
    return layer.num_blocks if isinstance(layer, SPARSE) else 1


def _components(layer: nn.Module) -> list[dict[str, int]]:
    """Inputs, outputs and parameters of each dense component, layer by layer."""
    if isinstance(layer, SPARSE):
        windows = [window for level in layer.windows for window in level]
        sizes = [level[-1].stop for level in layer.windows for _ in level]
        return [
            {
                "inputs": window.stop - window.start,
                "begin": window.start,
                "end": window.stop,
                "input_size": size,
                # pyrefly: ignore[bad-assignment, unsupported-operation]
                "outputs": block.hidden_size * num_directions(layer),
                "parameters": sum(p.numel() for p in block.parameters()),
            }
            for window, size, block in zip(windows, sizes, layer.blocks, strict=True)
        ]
    assert isinstance(layer, nn.RNNBase)
    outputs = (layer.proj_size or layer.hidden_size) * num_directions(layer)
    components = []
    for level in range(layer.num_layers):
        size = layer.input_size if level == 0 else outputs
        own = [p for name, p in layer.named_parameters() if _level(name) == level]
        components.append(
            {
                "inputs": size,
                "begin": 0,
                "end": size,
                "input_size": size,
                "outputs": outputs,
                "parameters": sum(p.numel() for p in own),
            }
        )
    return components


def _level(name: str) -> int:
    """The layer that PyTorch's parameter belongs to: ``weight_ih_l0_reverse`` -> 0."""
    return int(name.removesuffix("_reverse").rpartition("_l")[2])
