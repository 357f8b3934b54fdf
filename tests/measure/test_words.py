"""Word classes by majority, and the frequency-matched samples against a search of all pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.data.tagging import UPOS
from sparsecore.errors import InputError
from sparsecore.measure.words import CLOSED, OPEN, matched_samples, word_classes


def tags_of(*rows: dict[str, int]) -> np.ndarray:
    return np.array([[row.get(tag, 0) for tag in UPOS] for row in rows], dtype=np.int64)


def test_classes_are_disjoint_and_universal() -> None:
    assert not set(OPEN) & set(CLOSED)
    assert set(OPEN) | set(CLOSED) | {"NUM", "PUNCT", "SYM", "X"} == set(UPOS)


def test_a_word_belongs_to_its_majority_if_that_is_frequent_enough() -> None:
    words = ["<unk>", "<eos>", "the", "report", "half", "rare", "seven", "never"]
    tags = tags_of(
        {"NOUN": 900},
        {},
        {"DET": 990, "ADV": 10},
        {"NOUN": 120, "VERB": 80},
        {"NOUN": 150, "VERB": 150},  # half is not a majority
        {"NOUN": 99},  # 99 < 100
        {"NUM": 300},  # of neither class
        {},
    )
    table = word_classes(words, np.arange(8) + 1000, tags)
    assert table["word"].tolist() == words
    assert table["frequency"].tolist() == list(range(1000, 1008))
    assert table["pos"].tolist() == ["", "", "DET", "NOUN", "", "", "NUM", ""]
    assert table["word_class"].tolist() == ["none"] * 2 + ["closed", "open"] + ["none"] * 4
    np.testing.assert_allclose(table["share"], [1, np.nan, 0.99, 0.6, 0.5, 1, 1, np.nan])


@given(
    st.lists(st.lists(st.integers(0, 300), min_size=17, max_size=17), min_size=1, max_size=20),
    st.integers(1, 200),
    st.floats(0.3, 0.9),
)
def test_membership_means_what_it_says(rows: list[list[int]], least: int, majority: float) -> None:
    tags = np.array(rows)
    words = [f"w{i}" for i in range(len(rows))]
    table = word_classes(words, tags.sum(1), tags, least, majority)
    for row, pos, word_class in zip(rows, table["pos"], table["word_class"], strict=True):
        if pos:
            count = row[UPOS.index(pos)]
            assert count >= least and count > majority * sum(row) and count == max(row)
            expected = "open" if pos in OPEN else "closed" if pos in CLOSED else "none"
            assert word_class == expected
        else:
            assert word_class == "none"
            assert not any(n >= least and n > majority * sum(row) for n in row)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tags": np.zeros((2, 16))}, r"tags \(2, 17\)"),
        ({"counts": np.zeros(3)}, r"counts must have shape \(2,\)"),
        ({"tags": -np.ones((2, 17))}, "negative"),
        ({"min_count": 0}, "min_count must be a whole number of 1 or more, not 0"),
        ({"min_count": 1.5}, "min_count must be a whole number of 1 or more, not 1.5"),
        ({"majority": 1.0}, "majority must be at least 0 and below 1; got 1.0"),
    ],
)
def test_bad_arguments_are_named(change: dict, message: str) -> None:
    good = {"words": ["a", "b"], "counts": np.ones(2), "tags": np.zeros((2, 17))}
    with pytest.raises(InputError, match=message):
        word_classes(**(good | change))


def frequency_table(open_counts: list[int], closed_counts: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "word": [f"o{i:03}" for i in range(len(open_counts))]
            + [f"c{i:03}" for i in range(len(closed_counts))],
            "word_class": ["open"] * len(open_counts) + ["closed"] * len(closed_counts),
            "frequency": open_counts + closed_counts,
        }
    )


counts = st.lists(st.integers(1, 60), min_size=3, max_size=12)


@given(counts, counts, st.integers(1, 3), st.sampled_from([0.0, 0.01, 0.3]), st.randoms())
def test_samples_are_the_best_of_all_pairs_of_ranges(
    open_counts: list[int], closed_counts: list[int], size: int, tolerance: float, random
) -> None:
    table = frequency_table(open_counts, closed_counts)
    order = list(range(len(table)))
    random.shuffle(order)
    sample = matched_samples(table.iloc[order], size, tolerance)

    assert sample["word_class"].tolist() == ["open"] * size + ["closed"] * size
    assert not sample["word"].duplicated().any()
    for name, all_counts in (("open", open_counts), ("closed", closed_counts)):
        chosen = sample.loc[sample["word_class"] == name, "frequency"].tolist()
        ranked = sorted(all_counts, reverse=True)
        assert any(ranked[i : i + size] == chosen for i in range(len(ranked)))

    def sums(values: list[int]) -> list[int]:
        ranked = sorted(values, reverse=True)
        return [sum(ranked[i : i + size]) for i in range(len(ranked) - size + 1)]

    def score(a: float, b: float) -> tuple[float, float]:
        ratio = max(a, b) / min(a, b)
        return (1.0 if ratio <= 1 + tolerance else ratio, -(a + b))

    best = min(score(a, b) for a, b in itertools.product(sums(open_counts), sums(closed_counts)))
    found = sample.groupby("word_class")["frequency"].sum()
    assert score(found["open"], found["closed"]) == pytest.approx(best)


def test_of_equally_close_ranges_the_most_frequent_is_taken() -> None:
    table = frequency_table([1000, 500, 20, 10], [5000, 501, 20, 10])
    assert matched_samples(table, 1)["frequency"].tolist() == [500, 501]
    assert matched_samples(table, 1, tolerance=0)["frequency"].tolist() == [20, 20]


def test_too_few_words_says_how_many_there_are() -> None:
    table = frequency_table([5, 4, 3], [9, 0])
    with pytest.raises(InputError, match="need 2 closed-class words and there are 1;"):
        matched_samples(table, 2)
    with pytest.raises(InputError, match="need 120 open-class words and there are 3;"):
        matched_samples(table)


def test_a_table_without_classes_is_refused() -> None:
    table = frequency_table([1], [1])
    with pytest.raises(InputError, match="no column 'word_class'"):
        matched_samples(table.drop(columns="word_class"))
    with pytest.raises(InputError, match="size must be a whole number of 1 or more, not 0"):
        matched_samples(table, 0)
    with pytest.raises(InputError, match="tolerance must be at least 0"):
        matched_samples(table, 1, tolerance=-1)
