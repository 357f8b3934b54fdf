"""What was asked for and did not come is said once, by name."""

import copy
import warnings

import pytest
import torch
from torch import nn

import sparsecore as sc
from sparsecore.errors import InputError

IDS = torch.arange(12).view(3, 4)


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(12, 6), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 12))


def run(tracker, net, backward=True):
    tracker.words(input_ids=IDS)
    out = net(IDS)
    if backward:
        out.sum().backward()


def warned(net, layers, backward=True, **options):
    """The one warning of a block with one pass, or nothing."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with sc.track(net, layers, **options) as tracker:
            run(tracker, net, backward)
    ours = [str(w.message) for w in caught if issubclass(w.category, sc.TrackingWarning)]
    assert len(ours) <= 1
    return ours[0] if ours else ""


def test_nothing_is_said_where_all_came():
    assert warned(model(), ["0", "1", "3"]) == ""


def test_layers_that_never_ran():
    net = model()
    net[2].unused = nn.Linear(2, 2)
    text = warned(net, ["1", "2.unused"])
    assert "'2.unused' never ran" in text and "'1'" not in text


def test_projection_inside_attention():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(12, 6)
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

        def forward(self, ids):
            h = self.embedding(ids)
            return self.attention(h, h, h)[0]

    text = warned(Attends(), ["attention", "attention.out_proj"])
    assert "'attention.out_proj' never ran: nn.MultiheadAttention reads its weights" in text


def test_frozen_layers_and_passes_without_backward():
    net = model()
    net[0].requires_grad_(False)
    net[1].requires_grad_(False)
    text = warned(net, ["0", "1", "3"])
    assert "no gradient came for '0', '1': what leads there is frozen" in text and "'3'" not in text
    assert "no backward pass reached it" in warned(model(), ["1"], backward=False)
    assert warned(model(), ["1"], backward=False, gradients=False) == ""
    with torch.no_grad():
        assert "give gradients=False" in warned(model(), ["0", "1"], backward=False)


@pytest.mark.parametrize("layers", [["0", "4"], ["*"]])
def test_second_name_of_a_shared_module(layers):
    net = model()
    net.append(net[0])
    net.forward = lambda ids: net[3](net[2](net[1](net[4](ids))))  # pyrefly: ignore[bad-assignment]
    text = warned(net, layers)
    assert "'4' is the same module as '0'" in text
    assert warned(net, ["4"]) == ""


def test_values_that_are_not_finite():
    net = model()
    with torch.no_grad():
        net[0].weight[:2, 0] = torch.nan
        net[0].weight[2, 0] = torch.inf
    tracker = sc.track(net, ["0"], gradients=False)
    with (
        pytest.warns(sc.TrackingWarning, match=r"3 positions of '0' \(activation\) hold NaN"),
        tracker,
    ):
        run(tracker, net, backward=False)
    table = tracker.table().set_index("word")
    assert table["count"].sum() == 9 and table["frequency"].sum() == 12
    assert table.loc[[0, 1, 2], "chi"].isna().all()


def test_it_is_said_once_although_the_block_is_entered_again():
    net = model()
    net[2].unused = nn.Linear(2, 2)
    tracker = sc.track(net, ["1", "2.unused"])
    with pytest.warns(sc.TrackingWarning), tracker:
        run(tracker, net)
    with tracker:
        run(tracker, net)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("whole", [True, False])
def test_compiled_models_are_tracked_and_go_on_compiled(whole):
    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x):
            return torch.tanh(self.linear(x))

    net = nn.Sequential(nn.Embedding(12, 6), Block(), nn.Linear(6, 12))
    compiled = torch.compile(net, backend="eager") if whole else net
    if not whole:
        net[1].compile(backend="eager")
    before = compiled(IDS)
    assert warned(compiled, ["_orig_mod.1.linear" if whole else "1.linear"]) == ""
    torch.testing.assert_close(compiled(IDS), before)


def graphs_of(net):
    """How many graphs a compiled copy of a model has after a call; 0: it ran eagerly."""
    graphs = []

    def backend(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    torch.compile(copy.deepcopy(net), backend=backend)(IDS)
    return len(graphs)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("first_to_close", [0, 1])
def test_after_overlapping_trackers_code_is_compiled_again(first_to_close):
    net = model()
    compiled_before = graphs_of(net)
    trackers = [sc.track(net, ["0"]), sc.track(net, ["0"])]
    for tracker in trackers:
        tracker.__enter__()
    with pytest.raises(InputError, match="tracking already"):
        trackers[0].__enter__()
    assert graphs_of(net) == 0
    trackers.pop(first_to_close).__exit__(None, None, None)
    assert graphs_of(net) == 0  # one is open still
    trackers[0].__exit__(None, None, None)
    trackers[0].__exit__(None, None, None)  # a second time changes nothing
    assert graphs_of(net) == compiled_before > 0
