"""Counts of parameters: to the unit as the layers have them."""

import numpy as np
import pytest
from torch import nn

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.layers.geometry import equal_dense_size
from sparsecore.layers.masks import embedding_counts, layer_counts


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_counts_are_those_of_the_layers():
    table = layer_counts(37, 29, 3, 0.5)
    sparse, wide, narrow = table.to_dict("records")
    assert sparse["parameters"] == size(sc.SparseLSTM(37, 29, 3, 0.5))
    assert wide["parameters"] == size(nn.LSTM(37, 29))
    assert narrow["parameters"] == size(nn.LSTM(37, narrow["hidden_size"]))
    parts = table["W_hi"] + table["W_hh"] + table["biases"]
    assert parts.tolist() == table["parameters"].tolist()


@pytest.mark.parametrize("gates", [4, 3, 1])
@pytest.mark.parametrize("inputs", [1, 50, 400])
def test_equal_dense_layer_is_the_nearest_of_all_sizes(inputs, gates):
    sizes = np.arange(1, 1000)
    parameters = gates * sizes * (sizes + inputs + 2)
    for wanted in np.random.default_rng(0).integers(1, parameters[-2], 300).tolist():
        nearest = int(sizes[np.abs(parameters - wanted).argmin()])  # the first: the smaller
        assert equal_dense_size(inputs, wanted, gates) == nearest, wanted
    for size in (1, 7, 999):
        assert equal_dense_size(inputs, int(parameters[size - 1]), gates) == size


def test_equal_dense_size_refuses_sizes_below_1():
    with pytest.raises(InputError, match="parameters must be at least 1, got 0"):
        equal_dense_size(50, 0)
    with pytest.raises(InputError, match="input_size must be at least 1, got 0"):
        equal_dense_size(0, 50)


def test_embeddings_of_table_3():
    table = embedding_counts(43_815, 20, [1.0, 0.25, 0.1]).set_index("density")
    assert table["parameters"].tolist() == [876_300, 219_075, 87_630]
    assert table.loc[1.0, ["full_words", "single_words"]].tolist() == [43_815, 0]
    assert table["share"].tolist() == pytest.approx([1, 0.25, 0.1], abs=1e-4)
