"""Words belong to one forward pass and are spent by it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import sparsecore as sc

B, T, D, V = 2, 4, 6, 9
FIRST = torch.arange(B * T).view(B, T) % 4  # words 0 to 3
SECOND = 4 + torch.arange(B * T).view(B, T) % 5  # words 4 to 8

WORDS = torch.stack([FIRST, SECOND])


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(V, D), nn.Linear(D, V)
        self.inner, self.norm = nn.Linear(D, D), nn.LayerNorm(D)
        self.reentrant = reentrant

    def block(self, h):
        return h + torch.tanh(self.inner(self.norm(h)))

    def forward(self, ids):
        h = self.embedding(ids)
        if self.reentrant is None:
            return self.head(self.block(h))
        return self.head(checkpoint(self.block, h, use_reentrant=self.reentrant))


def loss_of(model, ids):
    return F.cross_entropy(model(ids).flatten(0, 1), ids.flatten())


@pytest.mark.parametrize("order", ["each", "sum", "first in first out", "last in first out"])
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("autocast", [False, True])
def test_recomputation_counts_once_and_for_its_own_words(autocast, reentrant, order):
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        counts_once_and_for_its_own_words(reentrant, order)


def counts_once_and_for_its_own_words(reentrant, order):
    tables = []
    for how in (reentrant, None):
        model = Checkpointed(how)
        with sc.track(model, ["inner", "norm", "head"]) as tracker:
            losses = []
            for ids in (FIRST, SECOND):
                tracker.words(input_ids=ids)
                losses.append(loss_of(model, ids))
                if order == "each":
                    losses.pop().backward()
            if order == "sum":
                losses = [sum(losses)]
            for loss in reversed(losses) if order == "last in first out" else losses:
                loss.backward()
        tables.append(tracker.table())
    for column in ("word", "layer", "signal", "frequency", "count"):
        assert tables[0][column].tolist() == tables[1][column].tolist()
    for column in ("chi", "l1"):
        torch.testing.assert_close(torch.tensor(tables[0][column]), torch.tensor(tables[1][column]))


def test_an_evaluation_with_checkpoints_stays_out_of_the_pass_around_it():
    model = Checkpointed(True)
    with sc.track(model, ["inner"]) as tracker:
        tracker.words(input_ids=FIRST)
        loss = loss_of(model, FIRST)
        with tracker.paused():
            loss_of(model, SECOND).backward()
        loss.backward()
    table = tracker.table()
    assert table.groupby("signal")["count"].sum().to_dict() == {"activation": 8, "gradient": 8}
    assert set(table["word"]) == {0, 1, 2, 3}


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(V, D), nn.Linear(D, D), nn.Linear(D, V))


@pytest.mark.parametrize("layers", [["1"], ["0", "1", "2"]])
def test_a_pass_without_words_is_an_error_and_not_the_batch_before(layers):
    model = plain()
    with sc.track(model, layers) as tracker:
        tracker.words(input_ids=FIRST)
        loss_of(model, FIRST).backward()
        with pytest.raises(sc.InputError, match=r"model runs again without words\(\)"):
            model(SECOND)
        with tracker.paused():
            model(SECOND)
        tracker.words(input_ids=SECOND)
        loss_of(model, SECOND).backward()
    assert (tracker.table().groupby(["layer", "signal"])["count"].sum() == 16).all()


def test_layers_called_one_by_one_need_words_for_each_round():
    embedding, linear, head = model = plain()
    with sc.track(model, ["0", "1"], gradients=False) as tracker:
        tracker.words(input_ids=FIRST)
        head(linear(embedding(FIRST)))
        with pytest.raises(sc.InputError, match=r"layer '0' runs again without words\(\)"):
            embedding(FIRST)
    assert tracker.table().groupby("layer")["count"].sum().to_dict() == {"0": 8, "1": 8}


def test_later_runs_of_a_shared_layer_stand_under_names_of_their_own():
    class Looped(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.layer = nn.Embedding(V, D), nn.Linear(D, D)

        def forward(self, ids):
            h = self.embedding(ids)
            for _ in range(3):
                h = torch.tanh(self.layer(h))
            return h

    torch.manual_seed(0)
    model = Looped()
    with sc.track(model, ["embedding", "layer"]) as tracker:
        tracker.words(input_ids=FIRST)
        model(FIRST).sum().backward()
    table = tracker.table()
    assert list(table["layer"].unique()) == ["embedding", "layer", "layer#2", "layer#3"]
    assert (table.groupby(["layer", "signal"])["frequency"].sum() == 8).all()
    h = model.layer(torch.tanh(model.layer(model.embedding(FIRST)))).detach()
    rows = table.query("layer == 'layer#2' and signal == 'activation'").set_index("word")
    expected = sc.chi(h)[FIRST == 2].mean().item()
    assert rows.loc[2, "chi"] == pytest.approx(expected, rel=1e-5)


def test_a_cell_that_runs_per_step_is_refused_with_ids_of_the_whole_text():
    model = nn.ModuleDict({"cell": nn.GRUCell(D, D)})
    with sc.track(model, ["cell"], gradients=False) as tracker:
        tracker.words(input_ids=FIRST)
        with pytest.raises(sc.InputError, match=r"'cell' has positions \(2,\), but ids \(2, 4\)"):
            model["cell"](torch.randn(B, D))


def test_ids_are_those_of_the_call_although_the_buffer_is_used_again():
    model, buffer = plain(), FIRST.clone()
    with sc.track(model, ["1"]) as tracker:
        tracker.words(input_ids=buffer)
        loss = loss_of(model, FIRST)
        buffer.copy_(SECOND)
        loss.backward()
    assert set(tracker.table()["word"]) == {0, 1, 2, 3}


def test_gradients_of_an_earlier_pass_count_for_its_words():
    model = plain()
    with sc.track(model, ["1"]) as tracker:
        tracker.words(input_ids=FIRST)
        loss = loss_of(model, FIRST)
        tracker.words(input_ids=SECOND)
        (loss + loss_of(model, SECOND)).backward()
    table = tracker.table().query("signal == 'gradient'").set_index("word")
    assert table["count"].to_dict() == {
        w: int((torch.stack([FIRST, SECOND[:]]) == w).sum()) for w in range(V)
    }


def test_entering_twice_is_refused_and_again_is_not():
    model = plain()
    tracker = sc.track(model, ["1"], gradients=False)
    with tracker, pytest.raises(sc.InputError, match="is tracking already"):
        tracker.__enter__()
    with tracker:
        tracker.words(input_ids=FIRST)
        model(FIRST)
    assert tracker.table()["count"].sum() == 8 and not model[1]._forward_hooks


def test_backward_after_the_block_or_in_a_pause_is_not_counted():
    model = plain()
    tracker = sc.track(model, ["1"])

    def two_passes():
        with tracker:
            tracker.words(input_ids=FIRST)
            loss = loss_of(model, FIRST)
            with tracker.paused():
                loss.backward()
            tracker.words(input_ids=FIRST)
            return loss_of(model, FIRST)

    with pytest.warns(sc.TrackingWarning, match="no gradient came for '1'"):
        late = two_passes()
    late.backward()
    assert set(tracker.table()["signal"]) == {"activation"}


def test_a_pass_that_ends_in_an_error_does_not_count():
    class Breaks(nn.Module):
        broken = True

        def forward(self, h):
            if self.broken:
                raise RuntimeError("out of memory")
            return h

    model = nn.Sequential(nn.Embedding(V, D), Breaks())
    tracker = sc.track(model, ["0"], gradients=False)

    def again():
        with tracker:
            tracker.words(input_ids=FIRST)
            with pytest.raises(RuntimeError):
                model(FIRST)
            model[1].broken = False
            tracker.words(input_ids=FIRST)
            model(FIRST)

    with pytest.warns(sc.TrackingWarning, match="1 forward passes ended in an error"):
        again()
    assert tracker.table()["count"].sum() == 8


def test_an_error_inside_the_block_removes_the_hooks_without_a_warning():
    model = plain()
    tracker = sc.track(model, ["1"])

    def fails():
        with tracker:
            tracker.words(input_ids=FIRST)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert not model[1]._forward_hooks
    assert not model._forward_pre_hooks


def test_values_added_twice_for_one_pass_are_refused():
    model, ones = plain(), torch.ones(B, T)
    with sc.track(model, ["1"], gradients=False) as tracker:
        tracker.words(input_ids=FIRST)
        model(FIRST)
        tracker.add("softmax", "gradient", ones, ones)
        with pytest.raises(sc.InputError, match="'softmax' was added before"):
            tracker.add("softmax", "gradient", ones, ones)
