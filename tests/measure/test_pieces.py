"""Which word a piece belongs to, and that windows read everything once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore import InputError
from sparsecore.measure.pieces import Pieces, Windows, cut
from tests.tiny_lm import byte_level

pytest.importorskip("transformers")


def words_of(text, **options):
    """(piece as it stands in the text, word) pairs."""
    tokenizer = byte_level()
    pieces = cut(tokenizer, [text], "every", **options)
    names = [pieces.words[w] if w >= 0 else None for w in pieces.word]
    return list(zip(tokenizer.convert_ids_to_tokens(pieces.ids.tolist()), names, strict=True))


def occurrences(text):
    pieces = cut(byte_level(), [text], "every")
    return [pieces.words[w] for w in pieces.word[pieces.first]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The quick fox doesn't.", ["The", "quick", "fox", "doesn't", "."]),
        ("3.14, 1,000 and 2.", ["3.14", ",", "1,000", "and", "2", "."]),
        ("long-term '90s", ["long", "-", "term", "'", "90s"]),
        ("naïve café", ["naïve", "café"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("wait... what?!", ["wait", "...", "what", "?!"]),
        ("a\u0308b c", ["a\u0308b", "c"]),
    ],
)
def test_words_are_runs_of_letters_and_of_signs(text, words):
    assert occurrences(text) == words


def test_pieces_of_white_space_stand_for_themselves():
    assert ("Ċ", "Ċ") in words_of("dog.\nThen")


def test_special_tokens_in_a_text_are_no_word():
    pairs = words_of("fox</s>jump")
    assert ("</s>", None) in pairs and pairs[-1][1] == "jump"


def test_words_of_ones_own_are_kept():
    pieces = cut(byte_level(), [["do", "n't", "", "jump over"]], "every")
    assert [pieces.words[w] for w in pieces.word[pieces.first]] == ["do", "n't", "jump over"]


@settings(max_examples=40)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_every_character_that_is_not_blank_belongs_to_a_word(texts):
    tokenizer = byte_level()
    if not any(tokenizer(text, add_special_tokens=False).input_ids for text in texts):
        return
    pieces = cut(tokenizer, texts, "every")
    assert pieces.ends[-1] == len(pieces.ids) == len(pieces.word)
    assert pieces.counts.sum() == (pieces.first & (pieces.word >= 0)).sum()
    for rule in ("first", "last"):
        kept = pieces.counted(rule)
        assert np.array_equal(
            np.bincount(kept[kept >= 0], minlength=len(pieces.words)), pieces.counts
        )


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.integers(0, 2),
    st.integers(1, 9),
    st.data(),
)
def test_windows_read_and_predict_every_piece_once(sizes, front, room, data):
    stride = data.draw(st.integers(1, room))
    batch_size = data.draw(st.integers(1, 4))
    number = sum(sizes)
    pieces = Pieces(
        np.arange(number) + 10, np.arange(number), np.ones(number, bool), np.cumsum(sizes),
        [str(i) for i in range(number)], [1, 2][:front],
    )  # fmt: skip
    windows = Windows(pieces, "every", front + room, stride, batch_size)
    read, predicted, labels, positions = [], [], [], 0
    for i in range(len(windows)):
        batch = windows.batch(i)
        assert batch.input_ids.shape[0] <= batch_size
        assert batch.input_ids.shape[1] <= front + room
        new = batch.words["input"] >= 0
        assert (batch.input_ids[new] == batch.words["input"][new] + 10).all()
        assert batch.attention_mask[new].all()
        ahead = batch.labels >= 0
        assert (batch.labels[ahead] == batch.words["target"][ahead] + 10).all()
        read += batch.words["input"][new].tolist()
        predicted += batch.words["target"][batch.words["target"] >= 0].tolist()
        labels += batch.labels[ahead].tolist()
        positions += batch.size
    starts = {0, *np.cumsum(sizes)[:-1].tolist()}
    assert sorted(read) == list(range(number)) and positions == number
    assert sorted(predicted) == [i for i in range(number) if front or i not in starts]
    assert len(labels) == len(predicted)


def test_a_word_that_opens_a_text_is_predicted_only_behind_a_first_token():
    bare, behind = (cut(byte_level(bos), ["zq zq"], "every") for bos in (False, True))
    assert bare.counts.tolist() == [2] and len(bare.ids) > 2
    assert (bare.predicted() >= 0).sum() < (behind.predicted() >= 0).sum() == len(behind.ids)


def test_a_tokenizer_without_offsets_gives_pieces_only():
    class Slow:
        is_fast = False
        all_special_ids = (0,)

        def __call__(self, text, **options):
            ids = [ord(sign) for sign in text]
            return {"input_ids": ids, "special_tokens_mask": [0] * len(ids)}

        def convert_ids_to_tokens(self, ids):
            return [chr(i) for i in ids]

    assert cut(Slow(), ["abba"], "pieces").counts.tolist() == [2, 2]
    with pytest.raises(InputError, match="give words='pieces', or a fast tokenizer"):
        cut(Slow(), ["abba"], "every")


def test_no_more_than_the_first_pieces_are_read():
    assert len(cut(byte_level(), ["The quick fox"] * 3, "every", max_pieces=7).ids) == 7
