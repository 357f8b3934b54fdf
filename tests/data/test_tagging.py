"""The shipped tagger, the counts of its tags, and the fast path against the plain one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore.data import tagging
from sparsecore.data.conllu import Sentence
from sparsecore.data.tagging import (
    OWN_FOLDER,
    UPOS,
    count_tags,
    fast_tagger,
    load_tagger,
    pipe_tagger,
    tag_counts,
)
from sparsecore.errors import InputError
from tools.train_tagger import accuracy, fit

# Written for this test; tagged by hand after the guidelines of Universal Dependencies.
GOLD = """
the/DET old/ADJ farmer/NOUN walked/VERB slowly/ADV to/ADP his/PRON house/NOUN ./PUNCT
she/PRON has/AUX not/PART seen/VERB the/DET letter/NOUN that/PRON they/PRON sent/VERB ./PUNCT
we/PRON can/AUX meet/VERB at/ADP seven/NUM or/CCONJ eight/NUM if/SCONJ you/PRON like/VERB ./PUNCT
in/ADP 1998/NUM the/DET company/NOUN was/AUX sold/VERB for/ADP 20/NUM dollars/NOUN ./PUNCT
i/PRON do/AUX n't/PART think/VERB so/ADV ,/PUNCT but/CCONJ he/PRON may/AUX be/AUX right/ADJ ./PUNCT
because/SCONJ it/PRON rained/VERB ,/PUNCT the/DET children/NOUN stayed/VERB inside/ADV ./PUNCT
who/PRON is/AUX the/DET woman/NOUN with/ADP the/DET red/ADJ car/NOUN ?/PUNCT
there/PRON are/VERB many/ADJ good/ADJ reasons/NOUN to/PART read/VERB this/DET book/NOUN ./PUNCT
they/PRON wanted/VERB to/PART know/VERB whether/SCONJ the/DET bus/NOUN had/AUX left/VERB ./PUNCT
please/INTJ call/VERB me/PRON when/ADV you/PRON and/CCONJ your/PRON brother/NOUN arrive/VERB ./PUNCT
"""


def gold() -> list[Sentence]:
    lines = [[item.rsplit("/", 1) for item in line.split()] for line in GOLD.strip().splitlines()]
    return [Sentence([w for w, _ in line], [t for _, t in line], []) for line in lines]


@pytest.fixture(scope="module")
def nlp() -> Any:
    return load_tagger()


def stream(sentences: list[Sentence]) -> tuple[np.ndarray, list[str]]:
    words = ["<unk>", "<eos>", *sorted({w for s in sentences for w in s.words})]
    index = {word: i for i, word in enumerate(words)}
    ids = [index[w] for s in sentences for w in [*s.words, "<eos>"]]
    return np.array(ids, dtype=np.int32), words


def corpus(sha256: str = "0" * 64) -> Any:
    ids, words = stream(gold())
    return SimpleNamespace(sha256=sha256, train=ids, vocabulary=SimpleNamespace(words=words))


def test_the_shipped_tagger_is_small_plain_and_explained() -> None:
    files = [path for path in OWN_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 2_500_000
    assert not [path for path in files if path.suffix in {".pkl", ".pickle", ".py"}]
    readme = (OWN_FOLDER / "README.md").read_text()
    for wanted in ("CC BY-SA 4.0", "tools.train_tagger", "sha256", "seed"):
        assert wanted in readme


def test_the_shipped_tagger_is_good(nlp: Any) -> None:
    assert accuracy(nlp, gold()) >= 0.92
    performance = nlp.meta["performance"]
    assert min(performance.values()) >= 0.92


def test_accuracy_counts_right_words(nlp: Any) -> None:
    words = ["the", "house", "."]
    assert accuracy(nlp, [Sentence(words, ["DET", "NOUN", "PUNCT"], [])]) == 1
    assert accuracy(nlp, [Sentence(words, ["DET", "NOUN", "X"], [])]) == pytest.approx(2 / 3)
    assert accuracy(nlp, [Sentence(["THE", "HOUSE", "."], ["DET", "NOUN", "PUNCT"], [])]) == 1
    with pytest.raises(InputError, match="at least one"):
        accuracy(nlp, [])


@settings(max_examples=25)
@given(data=st.data(), block=st.sampled_from([1, 3, 7, 2048]))
def test_fast_tags_equal_plain_tags(nlp: Any, data: Any, block: int) -> None:
    _, words = stream(gold())
    ids = data.draw(st.lists(st.integers(0, len(words) - 1), max_size=60))
    ids = np.array(ids, dtype=np.int64)
    fast, plain = fast_tagger(nlp, words), pipe_tagger(nlp, words)
    for start, stop in tagging._blocks(ids, 1, block):
        np.testing.assert_array_equal(fast(ids[start:stop]), plain(ids[start:stop]))


@given(st.lists(st.integers(0, 3), max_size=50), st.integers(1, 12))
def test_blocks_cover_the_stream_and_end_with_sentences(ids: list[int], size: int) -> None:
    stream = np.array(ids, dtype=np.int64)
    blocks = list(tagging._blocks(stream, 1, size))
    assert [i for start, stop in blocks for i in range(start, stop)] == list(range(len(ids)))
    for start, stop in blocks[:-1]:
        assert 0 < stop - start <= size
        assert stream[stop - 1] == 1 or 1 not in stream[start:stop]


def test_every_occurrence_is_counted_once(
    nlp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path))
    text = corpus()
    table = tag_counts(text, progress=False)
    words = text.vocabulary.words
    assert table.dtype == np.int64 and table.shape == (len(words), len(UPOS))
    occurrences = np.bincount(text.train, minlength=len(words))
    occurrences[words.index("<eos>")] = 0
    np.testing.assert_array_equal(table.sum(1), occurrences)
    assert table[words.index("the"), UPOS.index("DET")] == occurrences[words.index("the")]

    plain = count_tags(pipe_tagger(nlp, words), text.train, words)
    np.testing.assert_array_equal(table, plain)
    short = tag_counts(text, max_tokens=20, progress=False)
    np.testing.assert_array_equal(
        short, count_tags(pipe_tagger(nlp, words), text.train[:20], words)
    )


def test_counts_are_kept_by_corpus_tagger_and_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path))
    first = tag_counts(corpus(), progress=False)
    calls = []

    def counting(name: str) -> Any:
        calls.append(name)
        return load_tagger(name)

    monkeypatch.setattr(tagging, "load_tagger", counting)
    np.testing.assert_array_equal(tag_counts(corpus(), progress=False), first)
    assert calls == []
    tag_counts(corpus("1" * 64), progress=False)
    tag_counts(corpus(), max_tokens=5, progress=False)
    assert len(calls) == 2
    cached = list((tmp_path / "cache" / "tags").iterdir())
    assert len(cached) == 3 and all(list(folder.glob("*.npy")) for folder in cached)


def test_a_pipeline_on_disk_can_be_named(
    nlp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "home"))
    nlp.to_disk(tmp_path / "mine")
    found = tag_counts(corpus(), tagger=str(tmp_path / "mine"), progress=False)
    np.testing.assert_array_equal(found, tag_counts(corpus(), progress=False))


def test_bad_names_and_lengths_get_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import spacy

    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "home"))
    with pytest.raises(InputError, match=r"no spaCy pipeline 'sparsecor' .*'sparsecore'") as error:
        tag_counts(corpus(), tagger="sparsecor", progress=False)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="'numpy' is not a spaCy pipeline that loads here"):
        load_tagger("numpy")
    with pytest.raises(InputError, match="max_tokens must be at least 1, or None for all; got 0"):
        tag_counts(corpus(), max_tokens=0)
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(InputError, match="gives no universal parts of speech"):
        tag_counts(corpus(), tagger=str(tmp_path / "blank"), progress=False)
    assert not list((tmp_path / "home").rglob("*.npy"))


def test_training_is_the_same_for_the_same_seed() -> None:
    def weights(seed: int) -> bytes:
        return fit(gold(), seed=seed, epochs=2, dropout=0.1).get_pipe("tagger").model.to_bytes()

    assert weights(3) == weights(3)
    assert weights(3) != weights(4)
