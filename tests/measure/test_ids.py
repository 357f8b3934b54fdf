"""Ids, masks, vocabularies and outputs as users bring them."""

import dataclasses
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import sparsecore as sc

B, T, D, V = 3, 4, 6, 8
IDS = torch.arange(B * T).view(B, T) % V


def tracked(model, layers, ids=IDS, x=IDS, about=None, **options):
    with sc.track(model, layers, gradients=False, **options) as tracker:
        tracker.words(input_ids=ids, **(about or {}))
        model(x)
    return tracker


def embedding():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(V, D))


@pytest.mark.parametrize(
    "ids",
    [
        IDS.to(torch.uint8), IDS.short(), IDS.int(), IDS.to(torch.uint16), IDS.numpy(),
        IDS.tolist(), IDS.numpy().astype(np.uint32), pd.DataFrame(IDS.numpy()),
    ],
    ids=["uint8", "int16", "int32", "uint16", "array", "list", "uint32", "frame"],
)  # fmt: skip
def test_ids_of_any_integer_type(ids):
    expected = tracked(embedding(), ["0"]).table()
    assert tracked(embedding(), ["0"], ids).table().equals(expected)


def test_a_series_of_ids_for_one_text():
    table = tracked(embedding(), ["0"], pd.Series([1, 2, 2]), torch.tensor([1, 2, 2])).table()
    assert table.set_index("word")["frequency"].to_dict() == {1: 1, 2: 2}


@pytest.mark.parametrize("ids", [[[0.5, 1.0]], [["a", "b"]], [[1], [1, 2]], IDS == 1, IDS * 1j])
def test_what_is_no_array_of_integers_is_one_line(ids):
    with sc.track(embedding(), ["0"]) as tracker, pytest.raises(sc.InputError, match="integers"):
        tracker.words(input_ids=ids)


@pytest.mark.parametrize("dense", [False, True])
def test_empty_batches_and_batches_of_padding_count_for_nothing(dense):
    model = embedding()
    options = {"vocabulary": range(V), "dense": dense, "gradients": False}
    with sc.track(model, ["0"], **options) as tracker:
        tracker.words(input_ids=IDS[:0])
        model(IDS[:0])
        tracker.words(input_ids=torch.full_like(IDS, -100))
        model(IDS)
    sums = tracker.sums
    assert all(len(value) == 1 or not value[:, 4].any() for value in sums.values())
    with sc.track(model, ["0"], **options) as tracker:
        tracker.words(input_ids=[])
        model(IDS[0, :0])


def test_masks_and_ignored_ids():
    mask = torch.ones(B, T)
    mask[:, -1] = 0
    for about, left in (
        ({"attention_mask": mask}, 9),
        ({"attention_mask": mask.bool().tolist()}, 9),
        ({"ignore_index": 0}, 10),
    ):
        table = tracked(embedding(), ["0"], about=about).table()
        assert table["frequency"].sum() == left
    with pytest.raises(sc.InputError, match=r"attention_mask must be shaped as the ids, \(3, 4\)"):
        tracked(embedding(), ["0"], about={"attention_mask": mask[:, :2]})


WORDS = [f"w{i}" for i in range(V)]


class Tokenizer:
    def get_vocab(self):
        return {word: i for i, word in reversed(list(enumerate(WORDS)))}


@pytest.mark.parametrize(
    "vocabulary",
    [np.array(WORDS), pd.Index(WORDS), pd.Series(WORDS), tuple(WORDS), Tokenizer(),
     Tokenizer().get_vocab()],
    ids=["array", "index", "series", "tuple", "tokenizer", "mapping"],
)  # fmt: skip
def test_vocabularies_of_any_kind(vocabulary):
    table = tracked(embedding(), ["0"], vocabulary=vocabulary).table()
    assert table["word"].tolist() == WORDS


def test_ids_without_a_word_have_a_name_and_ids_out_of_range_are_refused():
    table = tracked(embedding(), ["0"], vocabulary={"a": 0, "h": 7}).table()
    assert table["word"].tolist() == ["a", *(f"[{i}]" for i in range(1, 7)), "h"]
    with pytest.raises(sc.InputError, match="input_ids hold 7, but the vocabulary has 3 words"):
        tracked(embedding(), ["0"], vocabulary=["a", "b", "c"])


@pytest.mark.parametrize(
    "counts",
    [
        pd.Series(range(10, 10 + V), index=WORDS)[::-1],
        Counter({w: 10 + i for i, w in enumerate(WORDS)}),
        torch.arange(10, 10 + V),
        torch.arange(10, 10 + V, dtype=torch.bfloat16, requires_grad=True),
        {i: 10 + i for i in range(V)},
    ],
    ids=["series by word", "counter", "tensor", "bfloat16", "by id"],
)
def test_counts_go_to_their_words(counts):
    table = tracked(embedding(), ["0"], vocabulary=WORDS, counts=counts).table()
    assert table.set_index("word")["frequency"].to_dict() == {
        w: 10 + i for i, w in enumerate(WORDS)
    }


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_layers_beside_padded_ones(batch_first, enforce_sorted):
    torch.manual_seed(0)
    lengths = torch.tensor([4, 3, 1] if enforce_sorted else [1, 4, 3])

    class Packs(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(V, D)
            self.lstm = nn.LSTM(D, D, batch_first=batch_first)

        def forward(self, ids):
            packed = pack_padded_sequence(
                self.embedding(ids), lengths, batch_first, enforce_sorted=enforce_sorted
            )
            return pad_packed_sequence(self.lstm(packed)[0], batch_first)[0]

    model, ids = Packs(), IDS if batch_first else IDS.T
    with sc.track(model, ["embedding", "lstm"]) as tracker:
        tracker.words(input_ids=ids)
        out = model(ids)
        out.sum().backward()
    table = tracker.table()
    inside = torch.arange(T) < lengths[:, None]
    rows = table.query("layer == 'lstm' and signal == 'activation'").set_index("word")
    assert rows["frequency"].to_dict() == Counter(IDS[inside].tolist())
    chi = sc.chi(out.detach() if batch_first else out.detach().transpose(0, 1))
    for word in rows.index:
        expected = chi[inside & (word == IDS)].mean().item()
        assert rows.loc[word, "chi"] == pytest.approx(expected, rel=1e-5)
    assert table.query("layer == 'embedding' and signal == 'gradient'")["frequency"].sum() == 12


def test_a_series_with_a_word_twice_is_refused():
    twice = pd.Series([1, 2], index=["a", "a"])
    for name, remedy in (("counts", r": add them up first"), ("vocabulary", "")):
        with pytest.raises(sc.InputError, match=f"{name} has 'a' more than once.*{remedy}"):
            tracked(embedding(), ["0"], **({"vocabulary": WORDS} | {name: twice}))


def test_rows_need_the_name_of_a_file(tmp_path):
    with pytest.raises(sc.InputError, match="is a folder: give the name of a Parquet file"):
        sc.track(embedding(), ["0"], rows=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(sc.InputError, match=r"cannot write .*rows\.parquet"):
        sc.track(embedding(), ["0"], rows=tmp_path / "file" / "rows.parquet")


def test_packed_ids_for_packed_layers():
    packed = pack_padded_sequence(torch.randn(T, B, D), [4, 3, 1])
    ids = pack_padded_sequence(IDS.T, [4, 3, 1])
    table = tracked(nn.Sequential(nn.GRU(D, D)), ["0"], ids, packed).table()
    assert table["frequency"].sum() == 8


def test_nested_ids_for_nested_layers():
    parts = [torch.tensor([1, 2, 3]), torch.tensor([4])]
    ids = torch.nested.nested_tensor(parts, layout=torch.jagged)
    table = tracked(embedding(), ["0"], ids, ids).table()
    assert table["word"].tolist() == [1, 2, 3, 4]


@dataclasses.dataclass
class Output:
    loss: torch.Tensor
    hidden: torch.Tensor
    note: str = "hidden is what is tracked"


@dataclasses.dataclass(frozen=True)
class Frozen:
    hidden: torch.Tensor


OUTPUTS = {
    "dataclass": lambda h: Output(h.mean(), h),
    "frozen dataclass": Frozen,
    "mapping": lambda h: {"loss": h.mean(), "hidden": h},
    "tuple": lambda h: (h.mean(), (h, None)),
    "list": lambda h: [h],
    "indices first": lambda h: (torch.zeros(B, T, 2).long(), h),
    "weights first": lambda h: (torch.ones(B, T, T, T), h),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_vectors_are_found_and_put_back_in_what_a_layer_returns(kind):
    class Wraps(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(D, D)

        def forward(self, h):
            return OUTPUTS[kind](self.linear(h))

    class Reads(nn.Module):
        def forward(self, output):
            (hidden,) = [
                found.tensor
                for found in sc.measure.outputs.tensors(output)
                if found.tensor.shape == (B, T, D)
            ]
            return hidden.relu_().sum()

    model = nn.Sequential(*embedding(), Wraps(), Reads())
    with sc.track(model, ["1"]) as tracker:
        tracker.words(input_ids=IDS)
        model(IDS).backward()
    counts = tracker.table().groupby("signal")["frequency"].sum()
    assert counts.to_dict() == {"activation": 12, "gradient": 12}


def test_an_output_without_vectors_is_described():
    class Mean(nn.Module):
        def forward(self, h):
            return h.mean()

    with pytest.raises(sc.InputError, match=r"'1' has a tensor of shape \(\)"):
        tracked(nn.Sequential(*embedding(), Mean()), ["1"])


def test_total_gradients_without_batches():
    torch.manual_seed(0)
    lstm = nn.LSTM(D, D)
    x, ids = torch.randn(T, D), torch.arange(T)
    tables = []
    for given, words in ((x, ids), (x.unsqueeze(1), ids.unsqueeze(1))):
        with sc.track(nn.Sequential(lstm), ["0"], gradient="total") as tracker:
            tracker.words(input_ids=words)
            lstm(given)[0].pow(2).sum().backward()
        tables.append(tracker.table())
    torch.testing.assert_close(torch.tensor(tables[0]["l1"]), torch.tensor(tables[1]["l1"]))
