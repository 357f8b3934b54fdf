"""Parameter counts of the models of Tables 1 and 4, to the unit, and the refusal of others.

The paper's printed totals hold a constant output layer of the reference implementation besides
(one weight a dimension of the embedding), which our models do without.
"""

import dataclasses

import pytest

from sparsecore.errors import InputError
from sparsecore.experiments.language.config import Language, sparse_match
from sparsecore.layers.geometry import lstm_parameters
from sparsecore.models.awd_lstm import build_model, parameter_counts
from sparsecore.models.stacks import stack_geometry

WORDS = 10_000
ROWS = {  # k, h, stack, f, δ_E -> parameters of the layers, of the model as printed
    "T1 dense": (400, 1150, "dense", 1.0, 1.0, 20_211_600, 24_222_000),
    "T1 sparse": (400, 1725, "sparse_hidden", 0.66666, 1.0, 19_812_900, 23_823_300),
    "T4 dense 1/2": (200, 575, "dense", 1.0, 1.0, 5_058_300, 7_068_500),
    "T4 sparse 1/2": (200, 1150, "sparse_hidden", 0.5, 1.0, 5_058_304, 7_068_504),
    "T4 sparse emb. 1/2": (400, 1150, "sparse_all", 0.5, 0.5, 5_060_160, 7_070_560),
    "T4 dense 1/3": (133, 383, "dense", 1.0, 1.0, 2_245_728, 3_585_861),
    "T4 sparse 1/3": (133, 1150, "sparse_hidden", 1 / 3, 1.0, 2_249_968, 3_590_101),
    "T4 sparse emb. 1/3": (400, 1150, "sparse_all", 1 / 3, 1 / 3, 2_250_960, 3_594_680),
}


def sizes(k, h, stack="dense", f=1.0, density=1.0, **more):
    fields = {"embedding_size": k, "hidden_size": h, "stack": stack, "reduction": f}
    return Language(**fields, embedding_density=density, **more)


def stack_parameters(config):
    return [lstm_parameters(*geometry) for geometry in stack_geometry(config)]


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_parameters_of_the_paper_s_models(row):
    k, h, stack, f, density, layers, printed = row
    config = sizes(k, h, stack, f, density)
    assert sum(stack_parameters(config)) == layers
    counts = parameter_counts(build_model(config, WORDS))
    assert counts["rnn_parameters"] == layers
    assert counts["parameters"] == printed - k


@pytest.mark.parametrize(
    ("row", "geometry"),
    [
        ("T1 sparse", [(3, 1.0), (3, 0.555151), (2, 0.7826)]),
        ("T4 sparse 1/2", [(4, 0.495), (5, 0.2991), (2, 0.587)]),
        ("T4 sparse emb. 1/2", [(5, 0.39125), (5, 0.2991), (5, 0.2665)]),
        ("T4 sparse 1/3", [(8, 0.2032), (10, 0.1211), (3, 0.4104)]),
        ("T4 sparse emb. 1/3", [(10, 0.1397), (10, 0.1211), (10, 0.1138)]),
    ],
)
def test_geometry_of_the_paper_s_models(row, geometry):
    found = stack_geometry(sizes(*ROWS[row][:5]))
    assert [n for _, _, n, _ in found] == [n for n, _ in geometry]
    assert [gamma for *_, gamma in found] == pytest.approx([g for _, g in geometry], abs=1e-4)


def test_layers_of_the_dense_model():
    assert stack_parameters(sizes(400, 1150)) == [7_139_200, 10_589_200, 2_483_200]


@pytest.mark.parametrize("hidden", [96, 144, 288, 1150])
def test_the_sparse_match_is_wider_with_as_many_parameters(hidden):
    dense = sizes(max(16, round(hidden * 0.35)), hidden)
    sparse = sparse_match(dense)
    assert sparse.hidden_size == 1.5 * hidden
    assert sum(stack_parameters(sparse)) == pytest.approx(sum(stack_parameters(dense)), rel=0.03)
    same = {"hidden_size": hidden, "stack": "dense", "reduction": 1.0}
    assert dataclasses.replace(sparse, **same) == dense


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stack": "sparse_hiden"}, r"unknown stack 'sparse_hiden' \(did you mean 'sparse_hidden'"),
        ({"reduction": 0.0}, r"reduction must be in \(0, 1\], got 0.0"),
        ({"stack": "sparse_hidden", "reduction": 0.01}, "no sparse layer 400 -> 1150 is as small"),
        ({"embedding_density": 0.05}, r"density must lie in \[1/num_bins, 1\]"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": 1.5}, "epochs must be a whole number, got 1.5"),
        ({"dropouth": 1.0}, r"dropouth must be in \[0, 1\), got 1.0"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"beta": -1.0}, "beta must be at least 0"),
        ({"average_by": 0}, "average_by must be at least 1, or none"),
        ({"finetune_epochs": -1}, "finetune_epochs must be at least 0"),
    ],
)
def test_bad_fields_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Language(**changes)
