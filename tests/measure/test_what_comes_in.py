"""Vocabularies, counts and layers of forms that could be read two ways: read right, or refused."""

import pandas as pd
import pytest
import torch
from torch import nn

import sparsecore as sc

WORDS = ["a", "b", "c"]
IDS = torch.tensor([[0, 1, 2, 0, 2]])


def track(model=None, layers=("0",), **options):
    model = nn.Sequential(nn.Embedding(3, 4)) if model is None else model
    with sc.track(model, layers, **options) as tracker:
        tracker.words(input_ids=IDS)
        model(IDS).sum().backward()
    return tracker.table()


@pytest.mark.parametrize(
    "vocabulary",
    [
        dict(enumerate(WORDS)),
        pd.Series([0, 1, 2], index=WORDS),
        pd.Series(WORDS).sort_values(ascending=False),
        iter(WORDS),
        dict.fromkeys(WORDS).keys(),
    ],
    ids=["id -> word", "Series word -> id", "Series in another order", "iterator", "keys"],
)
def test_vocabularies_say_which_id_a_word_has(vocabulary):
    table = track(vocabulary=vocabulary)
    assert table["word"].tolist() == [WORDS[i] for i in table["word_id"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocabulary": set(WORDS)}, "words by id, got the set"),
        ({"vocabulary": {"a": 2, "b": 2, "c": 1}}, "two words one id"),
        ({"vocabulary": {"a": "x"}}, "must map words to ids"),
        ({"vocabulary": WORDS, "counts": pd.DataFrame({"n": [1, 2, 3]})}, "counts must be numbers"),
    ],
)
def test_what_has_no_order_or_is_something_else_is_refused(options, message):
    with pytest.raises(sc.InputError, match=message):
        track(**options)


class Convolution(nn.Module):
    """As many channels as positions, so that shapes do not tell them apart."""

    def __init__(self):
        super().__init__()
        self.embedding, self.conv = nn.Embedding(3, 4), nn.Conv1d(4, 5, 1)

    def forward(self, ids):
        return self.conv(self.embedding(ids).mT)


def test_vectors_of_a_convolution_lie_along_axis_1():
    model = Convolution()
    with pytest.raises(sc.InputError, match=r"'conv' has its vectors along axis 1: give transform"):
        track(model, ["conv"])
    table = track(model, ["conv"], transform=lambda h: h.movedim(1, -1), gradients=False)
    expected = sc.chi(model(IDS).movedim(1, -1))[0]
    assert table.set_index("word")["chi"][1] == pytest.approx(expected[1].item())


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_without_a_shape_are_tracked():
    model = nn.Sequential(nn.Linear(2, 3))
    x = torch.nested.nested_tensor([torch.randn(n, 2) for n in (3, 2)], layout=torch.strided)
    with sc.track(model, ["0"], gradients=False) as tracker:
        tracker.words(input_ids=[0, 1, 2, 0, 2])
        model(x)
    assert tracker.table()["frequency"].tolist() == [2, 1, 2]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_in_one_line():
    model = torch.jit.script(nn.Sequential(nn.Embedding(3, 4)))
    with pytest.raises(sc.InputError, match="TorchScript, which takes no hooks"):
        track(model)
