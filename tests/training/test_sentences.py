"""Batches of labelled sentences: every word once, padding told apart, orders that repeat."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.data.tagged import PAD_ID, Sentences
from sparsecore.errors import InputError
from sparsecore.training.sentences import IGNORED, PaddedSentences, shuffled


def split(lengths):
    total = sum(lengths)
    return Sentences(
        np.arange(2, 2 + total, dtype=np.int32),
        np.arange(total, dtype=np.int32) % 7,
        np.array(lengths, np.int32),
    )


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 5))
def test_in_order_has_every_word_once(lengths, batch_size):
    text = PaddedSentences(split(lengths), torch.device("cpu"))
    words, labels = [], []
    for batch in text.in_order(batch_size):
        real = batch.labels != IGNORED
        assert torch.equal(real.sum(0), batch.lengths)
        assert (batch.words[~real] == PAD_ID).all()
        words += batch.words.t()[real.t()].tolist()
        labels += batch.labels.t()[real.t()].tolist()
    assert sorted(words) == list(range(2, 2 + sum(lengths)))
    assert [(w - 2) % 7 for w in words] == labels


@given(st.integers(1, 300), st.integers(1, 7), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_has_each_sentence_at_most_once(number, batch_size, seed, epoch):
    sizes = np.random.default_rng(number).integers(1, 50, number)
    if number < batch_size:
        with pytest.raises(InputError, match=f"too few for batch_size={batch_size}"):
            shuffled(sizes, batch_size, seed, epoch)
        return
    rows = shuffled(sizes, batch_size, seed, epoch)
    assert rows.shape == (number // batch_size, batch_size)
    assert len(np.unique(rows)) == rows.size and rows.max() < number
    assert np.array_equal(rows, shuffled(sizes, batch_size, seed, epoch))


def test_orders_differ_and_batches_have_little_padding():
    sizes = np.random.default_rng(0).integers(1, 60, 4000)
    first, second = shuffled(sizes, 20, 0, 0), shuffled(sizes, 20, 0, 1)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, shuffled(sizes, 20, 1, 0))
    longest = sizes[first].max(1)
    assert longest.mean() < 1.1 * sizes.mean()
    assert abs(np.corrcoef(np.arange(200), longest)[0, 1]) < 0.3  # batches are shuffled
