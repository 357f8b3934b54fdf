"""The two rules that choose a vocabulary, against references that work on lists of strings."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.data.vocabulary import Vocabulary, filter_rare, keep_commonest, keep_sentences

WORDS = ["<unk>", "<eos>", "a", "b", "c", "d", "e"]


def reference_filter(splits, threshold):
    """Two passes, as the paper says it."""
    counts = Counter(word for sentence in splits["train"] for word in sentence)
    first = {word for word, n in counts.items() if n >= threshold} | {"<unk>"}
    kept = {k: [s for s in v if set(s) <= first] for k, v in splits.items()}
    again = Counter(word for sentence in kept["train"] for word in sentence)
    second = {word for word, n in again.items() if n >= threshold}
    return {k: [[w if w in second else "<unk>" for w in s] for s in v] for k, v in kept.items()}


def encode(sentences):
    ids = [i for s in sentences for i in [*map(WORDS.index, s), 1]]
    return np.array(ids, np.int32)


def decode(ids, vocabulary):
    sentences, sentence = [], []
    for i in ids:
        if i == 1:
            sentences.append(sentence)
            sentence = []
        else:
            sentence.append(vocabulary.words[i])
    return sentences


words = st.sampled_from([word for word in WORDS if word != "<eos>"])
split = st.lists(st.lists(words, min_size=1, max_size=5), max_size=12)


@given(st.fixed_dictionaries({"train": split, "valid": split, "test": split}), st.integers(1, 5))
def test_filter_equals_its_reference(splits, threshold):
    result = filter_rare({k: encode(v) for k, v in splits.items()}, WORDS, threshold)
    expected = reference_filter(splits, threshold)
    for name, sentences in expected.items():
        assert decode(result.splits[name], result.vocabulary) == sentences
        assert result.kept[name] == len(sentences)
        assert result.dropped[name] == len(splits[name]) - len(sentences)


@given(split, st.integers(1, 5))
def test_vocabulary_counts_the_training_text(train, threshold):
    ids = encode(train)
    result = filter_rare({"train": ids, "valid": ids, "test": ids}, WORDS, threshold)
    vocabulary = result.vocabulary
    assert vocabulary.words[:2] == ["<unk>", "<eos>"]
    assert vocabulary.counts.sum() == len(result.splits["train"])
    assert list(vocabulary.counts[2:]) == sorted(vocabulary.counts[2:], reverse=True)
    assert all(count >= threshold for count in vocabulary.counts[2:])
    assert len(vocabulary.index) == len(vocabulary)


@given(st.fixed_dictionaries({"train": split, "valid": split, "test": split}), st.integers(1, 6))
def test_commonest_words_stay_and_no_sentence_is_dropped(splits, max_types):
    result = keep_commonest({k: encode(v) for k, v in splits.items()}, WORDS, max_types)
    counts = Counter(w for sentence in splits["train"] for w in sentence if w != "<unk>")
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    assert result.vocabulary.words == ["<unk>", "<eos>", *ranked[:max_types]]
    assert result.vocabulary.counts[2:].tolist() == [counts[word] for word in ranked[:max_types]]
    assert result.replaced == len(ranked[max_types:])
    for name, sentences in splits.items():
        expected = [[w if w in ranked[:max_types] else "<unk>" for w in s] for s in sentences]
        assert decode(result.splits[name], result.vocabulary) == expected
        assert (result.kept[name], result.dropped[name]) == (len(sentences), 0)


def test_a_literal_unk_drops_no_sentence():
    ids = encode([["a", "<unk>"], ["a", "b"]])
    result = filter_rare({"train": ids, "valid": ids, "test": ids}, WORDS, 2)
    assert result.kept["train"] == 1
    assert decode(result.splits["train"], result.vocabulary) == [["<unk>", "<unk>"]]


def test_keep_sentences_of_nothing():
    kept, number, dropped = keep_sentences(np.zeros(0, np.int32), np.ones(3, bool))
    assert (len(kept), number, dropped) == (0, 0, 0)


def test_vocabulary_survives_a_file(tmp_path):
    vocabulary = Vocabulary(["<unk>", "<eos>", "the", "½"], np.array([3, 2, 9, 1]))
    vocabulary.save(tmp_path / "v.parquet")
    loaded = Vocabulary.load(tmp_path / "v.parquet")
    assert loaded.words == vocabulary.words
    assert loaded.counts.tolist() == vocabulary.counts.tolist()
    assert loaded.index["the"] == 2
