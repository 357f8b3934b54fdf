"""Patterns, inputs, transforms, further measures and rows of single tokens."""

from functools import partial

import pandas as pd
import pytest
import torch
from torch import nn

import sparsecore as sc
from sparsecore.measure.measures import MEASURES, kurtosis, top_share

B, T, D, V = 2, 3, 8, 7
IDS = torch.arange(B * T).view(B, T) % V


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.act, self.down = nn.Linear(D, 2 * D), nn.ReLU(), nn.Linear(2 * D, D)

    def forward(self, h):
        return self.down(self.act(self.up(h)))


class Rotary(nn.Module):
    def forward(self, h):
        return torch.ones(1, T, 2), torch.zeros(1, T, 2)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.rotary = nn.Embedding(V, D), Rotary()
        self.layers = nn.ModuleList(nn.ModuleDict({"mlp": Mlp()}) for _ in range(2))

    def forward(self, ids):
        h = self.embed(ids)
        self.rotary(h)
        for layer in self.layers:
            h = h + layer["mlp"](h)
        return h


def tracked(layers, **options):
    model = Net()
    with sc.track(model, layers, **options) as tracker:
        tracker.words(input_ids=IDS)
        model(IDS).pow(2).sum().backward()
    return model, tracker.table()


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        (["*.mlp.act"], ["layers.0.mlp.act", "layers.1.mlp.act"]),
        (["layers.1.mlp", "*mlp"], ["layers.1.mlp", "layers.0.mlp"]),
        (["*.down:input"], ["layers.0.mlp.down:input", "layers.1.mlp.down:input"]),
        ({"first": "*.0.mlp.act", "last": "layers.1.mlp"}, ["first", "last"]),
    ],
)
def test_layers_by_pattern(layers, names):
    assert list(tracked(layers)[1]["layer"].unique()) == names


def test_layers_of_a_pattern_that_have_no_vectors_for_the_ids_are_left_out_and_named():
    with pytest.warns(sc.TrackingWarning, match="'rotary' is left out: it has positions"):
        _, table = tracked(["*"])
    assert "rotary" not in set(table["layer"]) and len(table["layer"].unique()) == 9


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["*.mlp.atc"], r"no layers like '\*.mlp.atc' \(did you mean '\*.mlp.act'"),
        (["layers.0.mpl"], "did you mean 'layers.0.mlp'"),
        ({"both": "*.act"}, "matches 2 layers, which cannot all be 'both'"),
        ([3], "a name, a pattern or a module, got 3"),
    ],
)
def test_layers_that_are_not_there(layers, message):
    with pytest.raises(sc.InputError, match=message):
        sc.track(Net(), layers)


def test_the_input_of_a_layer_is_the_output_of_the_one_before():
    _, table = tracked(["layers.0.mlp.act", "layers.0.mlp.down:input"])
    act, down = (rows.reset_index(drop=True) for _, rows in table.groupby("layer"))
    columns = ["word", "signal", "frequency", "count", "chi", "l1"]
    pd.testing.assert_frame_equal(act[columns], down[columns])
    assert set(act["signal"]) == {"activation", "gradient"}


def test_tracking_an_input_changes_nothing():
    model = Net()
    model(IDS).pow(2).sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    again, _ = tracked(["*.down:input", "*.mlp"])
    for parameter, value in zip(again.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, value)


def test_heads_are_averaged_and_other_axes_moved():
    heads = lambda h: h.unflatten(-1, (2, D // 2))  # noqa: E731
    model, table = tracked(["embed", "layers.0.mlp"], transform={"embed": heads})
    chi = sc.chi(heads(model.embed.weight.detach())).mean(-1)
    rows = table.query("layer == 'embed' and signal == 'activation'").set_index("word")
    assert rows["frequency"].tolist() == [1] * 6
    assert rows["chi"].tolist() == pytest.approx(chi[rows.index.tolist()].tolist(), rel=1e-5)

    class Channels(nn.Module):
        def forward(self, h):
            return h.movedim(-1, 1)  # B D T

    net = nn.Sequential(nn.Embedding(V, D), Channels())
    with sc.track(net, ["0", "1"], transform={"1": lambda h: h.movedim(1, -1)}) as tracker:
        tracker.words(input_ids=IDS)
        net(IDS).pow(2).sum().backward()
    chi = tracker.table().groupby("layer")["chi"].apply(list)
    assert chi["0"] == pytest.approx(chi["1"])
    with pytest.raises(sc.InputError, match="transform: no tracked layer 'embde'"):
        sc.track(Net(), ["embed"], transform={"embde": heads})


def test_further_measures_are_columns():
    own = {"largest": lambda v: v.abs().amax(-1), "top_2": partial(top_share, k=2)}
    measures = {**{name: name for name in MEASURES}, **own}
    model, table = tracked(["*.act"], measures=measures)
    h = model.embed(IDS).detach()
    act = model.layers[0]["mlp"].act(model.layers[0]["mlp"].up(h)).detach()
    rows = table.query("layer == 'layers.0.mlp.act' and signal == 'activation'").set_index("word")
    expected = {**MEASURES, **own}
    for name, measure in expected.items():
        values = measure(act).flatten().tolist()
        assert rows[name].tolist() == pytest.approx(values, rel=1e-5), name
    assert table["chi"].pow(-2).tolist() == pytest.approx(table["effective_units"].tolist())


def test_negative_measures_have_the_right_mean():
    _, table = tracked(["embed"], measures={"mean": lambda v: v.mean(-1)})
    rows = table.query("signal == 'activation'").set_index("word")
    torch.manual_seed(0)
    weight = nn.Embedding(V, D).weight.detach()
    assert rows["mean"].tolist() == pytest.approx(weight.mean(-1)[:6].tolist(), rel=1e-5)
    assert (rows["mean"] < 0).any()


def test_shares_of_a_vector_that_is_off_still_count():
    net = nn.Sequential(nn.Embedding(V, D), nn.ReLU())
    with torch.no_grad():
        net[0].weight[0] = -1.0
    with sc.track(net, ["1"], gradients=False, measures=["zero_share", "hoyer"]) as tracker:
        tracker.words(input_ids=IDS)
        net(IDS)
    row = tracker.table().set_index("word").loc[0]
    assert row["zero_share"] == 1 and row["count"] == 0
    assert pd.isna(row["hoyer"]) and pd.isna(row["chi"])


def test_kurtosis_of_a_gaussian_is_3():
    v = torch.randn(50_000, generator=torch.Generator().manual_seed(0))
    assert kurtosis(v).item() == pytest.approx(3, abs=0.1)
    assert kurtosis(v * 1e-30).item() == pytest.approx(kurtosis(v).item(), rel=1e-4)


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        (["hoier"], "unknown measure 'hoier' \\(did you mean 'hoyer'"),
        ({"chi": "hoyer"}, "cannot be called 'chi'"),
        ({"own": 3}, "must be a name or a function"),
        ({"own": lambda v: v}, r"made \(2, 3, 8\) of vectors \(2, 3, 8\), not \(2, 3\)"),
    ],
)
def test_measures_that_cannot_be(measures, message):
    with pytest.raises(sc.InputError, match=message):
        tracked(["embed"], measures=measures)


def test_rows_of_single_tokens(tmp_path):
    path = tmp_path / "rows" / "tokens.parquet"
    _, table = tracked(["embed", "*.act"], rows=path, measures=["hoyer"])
    rows = pd.read_parquet(path)
    assert list(rows.columns) == [
        "pass", "position", "input_id", "target_id", "layer", "signal", "chi", "l1", "hoyer",
    ]  # fmt: skip
    assert len(rows) == 3 * 2 * B * T and set(rows["target_id"]) == {-1}
    means = rows.groupby(["layer", "signal", "input_id"], observed=True)["chi"].mean()
    keys = table.set_index(["layer", "signal", "word"])["chi"]
    assert means[keys.index.to_list()].tolist() == pytest.approx(keys.tolist(), rel=1e-6)


def test_a_finished_file_of_rows_is_not_written_again(tmp_path):
    model = Net()
    tracker = sc.track(model, ["embed"], rows=tmp_path / "tokens.parquet", gradients=False)
    with tracker:
        tracker.words(input_ids=IDS)
        model(IDS)
    with pytest.raises(sc.InputError, match=r"tokens.parquet is finished"):
        tracker.__enter__()


def test_ids_are_no_vectors():
    with pytest.raises(sc.InputError, match=r"'embed:input' has .* track one with a tensor"):
        tracked(["embed:input"])


class InOneAxis(nn.Module):
    """A block whose layers see (B·T, D), as those of OPT and of mixtures do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.mlp = nn.Embedding(V, D), Mlp()
        self.experts = nn.ModuleList([Mlp()])

    def forward(self, ids):
        h = self.embed(ids).flatten(0, 1)
        return (self.mlp(h) + self.experts[0](h)).view(B, T, D)


def test_positions_in_one_axis_are_those_of_the_ids_and_one_expert_is_refused():
    model = InOneAxis()
    with sc.track(model, ["mlp"], gradients=False, flat=True) as tracker:
        tracker.words(input_ids=IDS)
        model(IDS)
    table = tracker.table().set_index("word_id")["chi"]
    expected = sc.chi(model.mlp(model.embed(IDS)))
    assert table.to_dict() == pytest.approx(
        dict(zip(IDS.flatten().tolist(), expected.flatten().tolist(), strict=True)), rel=1e-5
    )
    with sc.track(model, ["experts.0"], gradients=False, flat=True) as tracker:
        tracker.words(input_ids=IDS)
        with pytest.raises(sc.InputError, match="one expert has an order of its own"):
            model(IDS)


def test_sums_of_another_kind_are_refused():
    model = Net()
    with sc.track(
        model, ["embed"], gradients=False, vocabulary=[str(n) for n in range(V)], dense=True
    ) as tracker:
        tracker.words(input_ids=IDS)
        model(IDS)
    with pytest.raises(sc.InputError, match="must be the words by id, got the int 7"):
        sc.track(model, ["embed"], vocabulary=V)
    key = ("embed", "activation", "input")
    with pytest.raises(sc.InputError, match="have to be made again"):
        tracker._table.load({key: torch.zeros(2, 6, dtype=torch.int64)})
