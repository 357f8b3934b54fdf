"""Masks say where the weights are: as many as the layers have, and in the same places."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.layers.geometry import bin_rows, lstm_parameters
from sparsecore.layers.masks import embedding_mask, hidden_mask, input_mask, stack_table


@pytest.mark.parametrize(
    ("make", "gates"), [(sc.SparseLSTM, 4), (sc.SparseGRU, 3), (sc.SparseRNN, 1)]
)
def test_masks_are_where_the_layer_has_weights(make, gates):
    layer = make(11, 7, 3, 0.55)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1.0)
    dense = layer.to_dense()
    w_hh, w_hi = hidden_mask(7, 3, gates), input_mask(11, 7, 3, 0.55, gates)
    assert np.array_equal(w_hh, dense.weight_hh_l0.detach().numpy() != 0)
    assert np.array_equal(w_hi, dense.weight_ih_l0.detach().numpy() != 0)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.data())
def test_masks_have_the_promised_entries(inputs, hidden, extra, data):
    num_blocks = data.draw(st.integers(1, hidden))
    least = 1 / min(num_blocks, inputs)
    gamma = least + extra * (1 - least)
    w_hh, w_hi = hidden_mask(hidden, num_blocks), input_mask(inputs, hidden, num_blocks, gamma)
    count = 4 * (w_hh.sum() + w_hi.sum() + 2 * hidden)
    assert count == lstm_parameters(inputs, hidden, num_blocks, gamma)
    assert w_hi.any(axis=0).all()  # every input feeds at least one block


@given(st.integers(2, 300), st.integers(1, 12), st.floats(0, 1))
def test_staircase_has_the_rows_of_each_bin_at_the_frequent_end(words, dim, extra):
    density = 1 / dim + extra * (1 - 1 / dim)
    mask = embedding_mask(words, dim, density)
    assert mask.sum(axis=0).tolist() == bin_rows(words, dim, density)
    assert (np.diff(mask.astype(int), axis=0) >= 0).all()  # once long, long for all below
    assert mask[:, 0].all()


def test_figure_4_of_the_paper():
    layers = [(200, 1150, 1, 0.5), (1150, 1150, 0.5, 0.5), (1150, 200, 0.5, 1)]
    table = stack_table([sc.SparseLSTM(*g[:2], *sc.matching_geometry(*g)) for g in layers])
    assert table["layer"].tolist() == [1] * 4 + [2] * 5 + [3] * 2
    assert table["block"].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 5, 1, 2]
    assert table[["inputs", "outputs"]].iloc[-2].tolist() == [675, 100]  # "675 → 100"
    assert table["outputs"].groupby(table["layer"]).sum().tolist() == [1150, 1150, 200]
    assert table["parameters"].sum() == 5_058_304
    assert (table["end"] - table["begin"] == table["inputs"]).all()


def test_any_model_is_taken_apart():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.lower = sc.SparseGRU(6, 8, 2, 0.75, num_layers=2, bidirectional=True)
            self.rest = nn.ModuleList([nn.Linear(16, 5), nn.LSTM(5, 3, num_layers=2)])

    model = Model()
    table = stack_table(model)
    assert table["layer"].tolist() == [1, 1, 2, 2, 3, 4]
    assert table["input_size"].tolist() == [6, 6, 16, 16, 5, 3]
    assert table["inputs"].tolist() == [4, 5, 12, 12, 5, 3]
    assert table["outputs"].tolist() == [8, 8, 8, 8, 3, 3]
    recurrent = [model.lower, model.rest[1]]
    assert table["parameters"].sum() == sum(p.numel() for m in recurrent for p in m.parameters())


def test_a_model_without_recurrent_layers_is_refused():
    with pytest.raises(InputError, match="no recurrent layer"):
        stack_table(nn.Linear(2, 2))
