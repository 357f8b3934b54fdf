"""Values of every size and type are counted as what they are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import sparsecore as sc
from sparsecore.ops.word_sums import (
    COLUMNS,
    add_packed,
    empty_sums,
    index_words,
    means,
    pack,
    quantise,
    sum_rows,
    unpack,
)

IDS = torch.tensor([[0, 1, 2, 0]])


class Returns(nn.Module):
    """A layer whose output is given."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, ids):
        return self.value


def table_of(value, **options):
    model = nn.Sequential(Returns(value))
    with sc.track(model, ["0"], gradients=False, **options) as tracker:
        tracker.words(input_ids=IDS)
        model(IDS)
    return tracker.table().set_index("word")


@pytest.mark.parametrize("size", [1e-37, 1e-30, 1e-17, 1.0, 2.0**41, 1e13, 1e30])
def test_l1_of_any_size_that_float32_has(size):
    table = table_of(torch.full((1, 4, 5), size))
    assert table["l1"].tolist() == pytest.approx([5 * size] * 3, rel=1e-6)
    assert table["count"].tolist() == [2, 1, 1]


sizes = st.floats(2**-126, 2.0**120, width=32)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(-1, 3), sizes), min_size=1, max_size=20), st.randoms())
def test_sums_without_absent_words_are_exact_in_any_order(rows, random):
    def summed(rows):
        words = torch.tensor([word for word, _ in rows], dtype=torch.int64)
        l1 = torch.tensor([value for _, value in rows])
        return sum_rows(index_words(words), quantise(torch.full_like(l1, 0.5), l1))

    shuffled, cut = random.sample(rows, len(rows)), random.randrange(len(rows))
    whole = summed(rows)
    assert torch.equal(add_packed(summed(shuffled[:cut]), summed(shuffled[cut:])), whole)
    ids, sums = unpack(whole)
    found = means(sums)[1]
    for word, mean in zip(ids.tolist(), found.tolist(), strict=True):
        values = [value for other, value in rows if other == word]
        assert mean == pytest.approx(sum(values) / len(values), rel=1e-12)


def test_l1_that_no_float32_can_be_counts_as_not_finite():
    rows = quantise(torch.tensor([0.5]).double(), torch.tensor([2.0**141]).double())
    assert rows[0, 4:7].tolist() == [0, 1, 1] and not rows[0, 7:].any()
    assert empty_sums(3).shape == (3, rows.shape[1])


def test_complex_vectors_have_the_chi_of_their_magnitudes():
    value = torch.tensor([3 + 4j, 0, 5j, 0]).expand(1, 4, 4)
    table = table_of(value)
    assert table["chi"].tolist() == pytest.approx([0.5**0.5] * 3)
    assert table["l1"].tolist() == pytest.approx([10.0] * 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_other_types_of_numbers(dtype):
    table = table_of(torch.tensor([4, 0, 0, 4]).to(dtype).expand(1, 4, 4))
    assert table["chi"].tolist() == pytest.approx([0.5**0.5] * 3)
    assert table["l1"].tolist() == pytest.approx([8.0] * 3)


def test_frequency_is_positions_seen_and_count_is_vectors_that_are_not_zero():
    value = torch.ones(1, 4, 3)
    value[0, [0, 1]] = 0.0
    table = table_of(value)
    assert table["frequency"].tolist() == [2, 1, 1]
    assert table["count"].tolist() == [1, 0, 1]
    assert table["chi"].isna().tolist() == [False, True, False]


def test_dense_sums_give_the_same_table():
    value = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0))
    options = {"vocabulary": list("abcdef")}
    sparse, dense = table_of(value, **options), table_of(value, dense=True, **options)
    assert sparse.equals(dense)


def test_sums_hold_only_words_that_occur():
    model = nn.Sequential(nn.Embedding(50_000, 4))
    with sc.track(model, ["0"], gradients=False, vocabulary=[""] * 50_000) as tracker:
        tracker.words(input_ids=IDS + 49_000, target_ids=IDS)
        model(IDS + 49_000)
    assert {key: tuple(s.shape) for key, s in tracker.sums.items()} == {
        ("0", "activation", "input"): (4, 6),
        ("0", "activation", "target"): (4, 6),
    }


def test_many_layers_take_a_tenth_of_what_sums_of_all_words_take():
    """Zipfian ids, activations and small gradients, in the proportions of 120 layers."""
    V, N, layers = 4915, 2000, 3
    generator = torch.Generator().manual_seed(0)
    weights = 1 / torch.arange(1, V + 1) ** 1.05
    ids = weights.multinomial(N + 1, replacement=True, generator=generator)
    model = nn.Sequential(*(nn.Identity() for _ in range(layers)))
    tracker = sc.track(model, [str(i) for i in range(layers)], vocabulary=range(V))
    tracker.words(ids[:-1], ids[1:])
    for layer in tracker.layers:
        for signal, size in (("activation", 300.0), ("gradient", 1e-3)):
            chi = 0.05 + 0.1 * torch.rand(N, generator=generator)
            tracker.add(layer, signal, chi, size * torch.randn(N, generator=generator).exp())
    dense = len(tracker.sums) * V * 5 * 8  # chi and l1 in two columns each, and the count
    kept = sum(sums.untyped_storage().nbytes() for sums in tracker.sums.values())
    assert kept < dense / 10


limbs = st.integers(0, 2**62)


@settings(max_examples=50)
@given(
    st.lists(st.lists(limbs, min_size=COLUMNS, max_size=COLUMNS), max_size=4),
    st.sampled_from([1, -1]),
)
def test_packing_loses_nothing(rows, sign):
    sums = torch.tensor(rows, dtype=torch.int64).reshape(-1, COLUMNS)
    sums[:, [2, 3, *range(7, COLUMNS)]] *= sign
    words = torch.arange(len(rows)) * 7
    ids, found = unpack(pack(words, sums))
    assert ids.equal(words) and found[:, 4:7].equal(sums[:, 4:7])
    for a, b in zip(means(found), means(sums), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0, equal_nan=True)


def test_saved_sums_go_on_and_other_kinds_are_refused():
    model = nn.Sequential(nn.Embedding(3, 4))

    def tracker(**options):
        return sc.track(model, ["0"], gradients=False, vocabulary=list("abc"), **options)

    with tracker() as first:
        first.words(input_ids=IDS)
        model(IDS)
    second = tracker()
    second.load_sums(first.sums)
    second.load_sums(first.sums, add=True)
    assert second.table()["count"].tolist() == [4, 2, 2]
    with pytest.raises(sc.InputError, match="a tracker with dense=True needs"):
        tracker(dense=True).load_sums(first.sums)


def test_a_compact_table_says_the_same():
    value = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(Returns(value))
    options = {"vocabulary": ["b", "a", "a"], "measures": ["hoyer"], "gradients": False}
    with sc.track(model, ["0"], **options) as tracker:
        tracker.words(input_ids=IDS, target_ids=IDS)
        model(IDS)
    plain, compact = tracker.table(), tracker.table(compact=True)
    assert list(compact.columns) == list(plain.columns)
    for name in plain:
        if compact[name].dtype == "category":
            assert compact[name].tolist() == plain[name].tolist()
        else:
            assert compact[name].dtype.itemsize == 4
            assert compact[name].tolist() == pytest.approx(plain[name].tolist(), rel=1e-6)
