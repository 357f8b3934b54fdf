"""Counts of parameters: to the unit as the layers have them."""

import pytest
from torch import nn

import sparsecore as sc
from sparsecore.layers.counts import embedding_counts, equal_dense_size, layer_counts


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


@pytest.mark.parametrize("parameters", [1, 900, 12_345, 10_589_200])
def test_equal_dense_layer_is_the_nearest(parameters):
    best = equal_dense_size(50, parameters)

    def miss(hidden):
        return abs(4 * hidden * (hidden + 52) - parameters)

    assert miss(best) <= min(miss(best + 1), miss(best - 1) if best > 1 else miss(best + 1))


def test_embeddings_of_table_3():
    table = embedding_counts(43_815, 20, [1.0, 0.25, 0.1]).set_index("density")
    assert table["parameters"].tolist() == [876_300, 219_075, 87_630]
    assert table.loc[1.0, ["full_words", "single_words"]].tolist() == [43_815, 0]
    assert table["share"].tolist() == pytest.approx([1, 0.25, 0.1], abs=1e-4)
