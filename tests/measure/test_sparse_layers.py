"""The language model of the experiment with predefined-sparse layers, chosen by one parameter."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.experiments import registry
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.experiments.emergent.task import recurrent_layer
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.runs.execute import execute


def test_chi_is_tracked_in_sparse_layers_too(text_file):
    config = Emergent(
        corpus=str(text_file),
        threshold=2,
        class_threshold=2,
        embedding_size=8,
        hidden_size=9,
        num_blocks=2,
        gamma=0.6,
        batch_size=4,
        sequence_length=9,
        epochs=2,
        device="cpu",
    )
    run = execute(config, progress=False)
    assert run.done and list(run.epochs["epoch"]) == [0, 1, 2]
    assert run.epochs["valid_loss"].iloc[-1] < run.epochs["valid_loss"].iloc[0] - 0.3
    table = run.statistics()
    counts = table.groupby(["epoch", "layer", "signal", "role"])["count"].sum()
    assert counts.nunique() == 1  # every position of every signal
    for layer in ("lstm1", "lstm2"):
        chosen = table[table["layer"] == layer]
        assert set(chosen["signal"]) == {"activation", "gradient"}
        assert chosen["chi"].between(9**-0.5 - 1e-4, 1).all()
    weights = load_file(run.path / "weights.safetensors")
    assert weights["lstm2.blocks.1.weight_hh_l0"].shape == (4 * 5, 5)


def test_one_parameter_swaps_the_layers():
    assert recurrent_layer(Emergent()) is nn.LSTM
    layer = recurrent_layer(Emergent(num_blocks=4, gamma=0.5))(200, 200)
    assert isinstance(layer, SparseLSTM) and (layer.num_blocks, layer.gamma) == (4, 0.5)


def test_dense_runs_keep_their_names_and_sparse_ones_differ():
    class Text:
        sha256 = "0"

    def identity(**changes):
        return registry.identity(Emergent(device="cpu", **changes), Text())

    assert "num_blocks" not in identity() and "gamma" not in identity()
    different = [identity(), identity(num_blocks=2), identity(num_blocks=2, gamma=0.5)]
    assert all(a != b for k, a in enumerate(different) for b in different[:k])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_blocks": 0}, "num_blocks must be at least 1, got 0"),
        ({"num_blocks": 201}, r"num_blocks must lie in \[1, 200\]"),
        ({"num_blocks": 4, "gamma": 0.2}, r"gamma must lie in \[1/num_blocks, 1\] = \[0.25, 1\]"),
        ({"gamma": 0.5}, r"gamma must lie in \[1/num_blocks, 1\] = \[1, 1\], got 0.5"),
        ({"num_blocks": 2, "gradient": "total"}, "'upward' with num_blocks above 1, got 'total'"),
    ],
)
def test_illegal_geometry_is_refused_before_any_work(changes, message):
    with pytest.raises(InputError, match=message):
        Emergent(**changes)


def test_total_gradients_of_a_sparse_layer_are_refused():
    model = nn.ModuleDict({"lstm": sc.SparseLSTM(4, 6, num_blocks=2)})
    with pytest.raises(InputError, match=r"'lstm' to be nn.LSTM or nn.GRU, got SparseLSTM"):
        sc.track(model, ["lstm"], gradient="total")


def test_upward_gradients_of_a_sparse_layer_are_those_of_the_dense_one():
    torch.manual_seed(0)
    layer = sc.SparseLSTM(4, 6, num_blocks=2)
    x, ids = torch.randn(5, 3, 4), torch.arange(15).view(5, 3)
    tables = []
    for module in (layer, layer.to_dense()):
        model = nn.ModuleDict({"lstm": module})
        with sc.track(model, ["lstm"]) as tracker:
            tracker.words(input_ids=ids)
            model["lstm"](x)[0].pow(3).sum().backward()
        tables.append(tracker.table())
    assert tables[0]["chi"].to_list() == pytest.approx(tables[1]["chi"].to_list(), abs=1e-5)
