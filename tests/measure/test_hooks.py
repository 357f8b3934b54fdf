"""A layer's gradient is seen once, whatever the layer returns and whatever is done to it."""

import copy
import io
import threading
from types import MappingProxyType

import pytest
import torch
import torch.autograd.forward_ad as fwAD
import torch.nn.functional as F
from torch import nn

import sparsecore as sc

B, T, D, V = 3, 5, 6, 11
IDS = torch.arange(B * T).view(B, T) % V


class Net(nn.Module):
    """An embedding, a layer, and what is done to its output before it is read."""

    def __init__(self, layer, after=lambda h: h):
        super().__init__()
        self.embedding, self.layer, self.head = nn.Embedding(V, D), layer, nn.Linear(D, V)
        self.after = after

    def forward(self, ids):
        h = self.layer(self.embedding(ids))
        changed = self.after(h)
        return self.head(h if changed is None else changed)


def loss_of(model, ids=IDS):
    return F.cross_entropy(model(ids).flatten(0, 1), ids.flatten())


def tracked(model, layers=("layer",), **options):
    with sc.track(model, layers, **options) as tracker:
        tracker.words(input_ids=IDS)
        loss_of(model).backward()
    return tracker.table()


def net(layer=None, after=lambda h: h):
    torch.manual_seed(0)
    return Net(layer or nn.Linear(D, D), after)


def clear_last(h):
    h[:, -1].zero_()


def clear_by_alias(h):
    h.view(-1)[::2].mul_(0.5)


IN_PLACE = {
    "relu": lambda h: F.relu_(h),
    "dropout": lambda h: F.dropout(h, 0.5, inplace=True),
    "addition": lambda h: h.add_(1),
    "slice": clear_last,
    "view": clear_by_alias,
}
LAYERS = {
    "3-D linear": lambda: nn.Linear(D, D),
    "norm": lambda: nn.LayerNorm(D),
    "gelu": nn.GELU,
    "dropout that is off": lambda: nn.Dropout(0.0),
    "identity": nn.Identity,
}


@pytest.mark.parametrize("after", IN_PLACE)
@pytest.mark.parametrize("layer", LAYERS)
def test_changes_in_place_leave_every_gradient(layer, after):
    model = net(LAYERS[layer](), IN_PLACE[after])
    expected = [p.grad for p in grads(model)]
    counts = tracked(model).groupby("signal")["frequency"].sum()
    assert counts.to_dict() == {"activation": B * T, "gradient": B * T}
    for parameter, value in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, value)
        parameter.grad = None


def places(model, source):
    """Where ``source`` leaves its values, and where the model finds those of its tracked layer."""
    found = []
    source.register_forward_hook(lambda m, i, output: found.append(output.data_ptr()))
    with sc.track(model, ["layer"]) as tracker:
        model.layer.register_forward_hook(lambda m, i, output: found.append(output.data_ptr()))
        tracker.words(input_ids=IDS)
        loss_of(model).backward()
    return found


def test_the_output_of_a_linear_layer_is_not_copied():
    """Which would cost as much as all the rest of its hook."""
    model = net()
    before, after = places(model, model.layer)
    assert before == after


def test_a_product_that_is_handed_through_is_copied_as_any_input():
    class Through(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.first = nn.Embedding(V, D), nn.Linear(D, V)
            self.layer = nn.Identity()

        def forward(self, ids):
            h = self.first(self.embedding(ids))
            return self.layer(h).mul_(2) + h.detach() * 0

    torch.manual_seed(0)
    model = Through()
    before, after = places(model, model.first)
    assert before != after


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # PyTorch's own
def test_forward_derivatives_go_through_tracked_linear_layers():
    model, embeddings = net(), torch.randn(B, T, D)
    forward = nn.Sequential(model.layer, model.head)

    def tangent():
        with fwAD.dual_level():
            dual = fwAD.make_dual(embeddings, torch.ones_like(embeddings))
            return fwAD.unpack_dual(forward(dual)).tangent

    expected = tangent()
    with sc.track(forward, ["0"], gradients=True) as tracker:
        tracker.words(input_ids=IDS)
        found = tangent()
        tracker.words(input_ids=IDS)
        forward(embeddings).sum().backward()
    torch.testing.assert_close(found, expected)


def test_a_layer_that_works_in_place_has_its_gradient():
    model = net(nn.ReLU(inplace=True))
    expected = [p.grad for p in grads(model)]
    counts = tracked(model).groupby("signal")["frequency"].sum()
    assert counts.to_dict() == {"activation": B * T, "gradient": B * T}
    for parameter, value in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, value)


def grads(model):
    """Copies of the parameters with the gradients of an untracked pass, which is then undone."""
    torch.manual_seed(5)
    loss_of(model).backward()
    copies = []
    for parameter in model.parameters():
        twin = torch.empty_like(parameter)
        twin.grad, parameter.grad = parameter.grad, None
        copies.append(twin)
    torch.manual_seed(5)
    return copies


def test_gradient_of_a_view_is_that_of_the_output_alone():
    """Identity hands its input on: what reaches the input by other ways is not its gradient."""

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.layer = nn.Embedding(V, D), nn.Identity()

        def forward(self, ids):
            x = self.embedding(ids)
            return self.layer(x).pow(3).sum() + 1000 * x.pow(2).sum()

    torch.manual_seed(0)
    model = Residual()
    with sc.track(model, ["embedding", "layer"]) as tracker:
        tracker.words(input_ids=IDS)
        model(IDS).backward()
    x = model.embedding(IDS).detach()
    l1 = tracker.table().query("signal == 'gradient'").groupby("layer")["l1"].mean()
    rows = tracker.table().query("signal == 'gradient' and layer == 'layer'").set_index("word")
    inside = (3 * x.square()).abs().sum(-1)
    for b, t in ((0, 0), (1, 3)):
        word = int(IDS[b, t])
        assert rows.loc[word, "l1"] == pytest.approx(inside[word == IDS].mean().item(), rel=1e-5)
    assert l1["embedding"] > 10 * l1["layer"]


def test_a_returned_parameter_gathers_no_hooks():
    class Bias(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.randn(B, T, D))

        def forward(self, x):
            return self.bias

    model = net(Bias())
    with sc.track(model, ["layer"]) as tracker:
        for _ in range(3):
            tracker.words(input_ids=IDS)
            loss_of(model).backward()
    assert not model.layer.bias._backward_hooks
    assert tracker.table().groupby("signal")["count"].sum().to_dict() == {
        "activation": 45,
        "gradient": 45,
    }


class Named(tuple):
    """What a layer may return: a tuple whose constructor takes its items one by one."""

    def __new__(cls, first, second):
        return super().__new__(cls, (first, second))


@pytest.mark.parametrize(
    ("pack", "read"),
    [
        (lambda h, x: {"last": h, "all": (x, h)}, lambda out: out["all"][-1]),
        (lambda h, x: [h, [x, h]], lambda out: out[1][1]),
        (lambda h, x: Named(h, x), lambda out: out[0]),
        (lambda h, x: MappingProxyType({"h": h}), lambda out: out["h"]),
    ],
)
def test_the_gradient_comes_by_whatever_name_the_output_is_read(pack, read):
    class Packs(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(D, D)

        def forward(self, x):
            return pack(self.linear(x).view(x.shape), x)

    net = Net(Packs(), read)
    with sc.track(net, ["layer", "layer.linear"]) as tracker:
        tracker.words(input_ids=IDS)
        net(IDS).sum().backward()
    table = tracker.table().query("signal == 'gradient'").set_index(["layer", "word"])
    assert table.loc["layer", "count"].sum() == B * T
    for column in ("chi", "l1"):
        torch.testing.assert_close(
            torch.tensor(table.loc["layer", column].to_numpy()),
            torch.tensor(table.loc["layer.linear", column].to_numpy()),
        )


def test_no_gradient_of_an_output_that_the_loss_does_not_read():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(D, D, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[1][0][0]

    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(V, D), Last())
    tracker = sc.track(model, ["0", "1.lstm"])

    def step():
        with tracker:
            tracker.words(input_ids=IDS)
            model(IDS).sum().backward()

    with pytest.warns(sc.TrackingWarning, match="no gradient came for '1.lstm'"):
        step()
    found = tracker.table().groupby(["layer", "signal"])["count"].sum()
    assert found.to_dict() == {
        ("0", "activation"): 15,
        ("0", "gradient"): 15,
        ("1.lstm", "activation"): 15,
    }


@pytest.mark.parametrize("how", ["no_grad", "inference", "inference first"])
def test_passes_without_gradients(how):
    model = net()
    off = torch.no_grad() if how == "no_grad" else torch.inference_mode()
    with sc.track(model, ["layer"], gradients=how == "inference first") as tracker:
        with off:
            tracker.words(input_ids=IDS)
            model(IDS)
        if how == "inference first":
            tracker.words(input_ids=IDS)
            loss_of(model).backward()
    passes = 1 + (how == "inference first")
    assert tracker.table().query("signal == 'activation'")["count"].sum() == passes * B * T


def test_per_sample_gradients_are_refused_by_name():
    model = net()
    weights = {name: p.detach() for name, p in model.named_parameters()}

    def loss(weights):
        out = torch.func.functional_call(model, weights, (IDS,))
        return F.cross_entropy(out.flatten(0, 1), IDS.flatten())

    with sc.track(model, ["layer"]) as tracker:
        tracker.words(input_ids=IDS)
        with pytest.raises(sc.InputError, match=r"'layer' runs inside torch.func \(vmap, grad\)"):
            torch.func.grad(loss)(weights)
        with tracker.paused():
            torch.func.grad(loss)(weights)


def test_a_scaled_loss_has_its_scale_taken_out():
    tables = []
    for scale in (1.0, 2.0**16):
        model = net()
        with sc.track(model, ["layer"]) as tracker:
            tracker.words(input_ids=IDS, gradient_scale=torch.tensor(1 / scale))
            (loss_of(model) * scale).backward()
        tables.append(tracker.table())
    torch.testing.assert_close(torch.tensor(tables[0]["l1"]), torch.tensor(tables[1]["l1"]))
    assert (tables[0]["chi"] == tables[1]["chi"]).all()


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_second_backward_is_refused_or_paused(create_graph):
    model = net()
    with sc.track(model, ["layer"]) as tracker:
        tracker.words(input_ids=IDS)
        loss = loss_of(model)
        weight = model.layer.weight
        (first,) = torch.autograd.grad(loss, weight, retain_graph=True, create_graph=create_graph)
        again = first.square().sum() if create_graph else loss
        with pytest.raises(sc.InputError, match="'layer' came twice for one forward pass"):
            again.backward(retain_graph=True)
        with tracker.paused():
            again.backward()
    assert tracker.table().query("signal == 'gradient'")["count"].sum() == B * T


@pytest.mark.parametrize("copied", ["deepcopy", "pickle"])
def test_copies_made_inside_the_block_are_plain_models(copied):
    model = net()
    with sc.track(model, ["layer"]) as tracker:
        tracker.words(input_ids=IDS)
        loss_of(model).backward()
        if copied == "deepcopy":
            twin = copy.deepcopy(model)
        else:
            model.after = None  # a lambda cannot be pickled
            file = io.BytesIO()
            torch.save(model, file)
            file.seek(0)
            twin = torch.load(file, weights_only=False)
            twin.after = lambda h: h
        twin(IDS)
    twin(IDS[:1])
    assert tracker.table().query("signal == 'activation'")["count"].sum() == B * T


def test_another_thread_is_refused():
    model, errors = net(), []

    def work():
        try:
            model(IDS)
        except sc.InputError as error:
            errors.append(str(error))

    with sc.track(model, ["layer"], gradients=False) as tracker:
        tracker.words(input_ids=IDS)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert "runs in another thread" in errors[0]
