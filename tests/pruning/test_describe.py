"""Automata set by hand, and the tables from which they are drawn."""

import pytest
import torch

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.pruning.describe import automaton, one_hot, reading, states_of

VOCABULARY = ["not", "good", "but"]
WORDS = "it was not so good at all".split()


def not_good():
    """Main-path weights of 1 for its two words, self-loops of 0.5."""
    return automaton(VOCABULARY, main=[{"not": 1.0}, {"good": 1.0}])


def test_scores_can_be_checked_with_a_pencil():
    scores, cn = not_good()(one_hot(WORDS, VOCABULARY))
    first = [0, 0, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]
    second = [0, 0, 0, 0, 1 / 2, 1 / 4, 1 / 8]
    expected = [a + b for a, b in zip(first, second, strict=True)]
    assert scores.flatten().tolist() == pytest.approx(expected)
    assert cn.tolist() == pytest.approx([1 / 16, 1 / 8])


def test_a_reading_follows_the_states_and_the_best_path():
    table = reading(not_good(), one_hot(WORDS, VOCABULARY), WORDS)
    assert len(table) == 3 * len(WORDS)
    path = table[table["on_path"]]
    assert path["state"].tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert path.loc[path["step"], "word"].tolist() == ["not", "good"]
    second = table.loc[table["state"] == 2, "value"]
    assert second.tolist() == pytest.approx([0, 0, 0, 0, 0.5, 0.25, 0.125])


def test_a_text_too_short_has_no_path():
    table = reading(not_good(), one_hot(["good"], VOCABULARY), ["good"])
    assert not table["on_path"].any()


def test_states_say_what_compact_keeps():
    torch.manual_seed(0)
    rnn = sc.RationalRNN(3, [3, 2])
    with torch.no_grad():
        for weight in (rnn.main, rnn.loop, rnn.bias):
            weight[1] = 0
    table = states_of(rnn)
    assert table["kept"].tolist() == [True, False, False, True, True]
    assert sc.compact(rnn).lengths == (1, 2)
    assert table.loc[1, "norm"] == 0


def test_bad_input_is_one_line():
    with pytest.raises(InputError, match=r"no word 'goood'.*did you mean 'good'"):
        automaton(VOCABULARY, main=[{"goood": 1.0}])
    with pytest.raises(InputError, match="loop must name 1 states as main does, got 2"):
        automaton(VOCABULARY, main=[{}], loop=[{}, {}])
    with pytest.raises(InputError, match="stay must lie between 0 and 1, got 1"):
        automaton(VOCABULARY, main=[{}], stay=1)
    with pytest.raises(InputError, match="wfsa must be 0 to 0, got 1"):
        reading(not_good(), one_hot(WORDS, VOCABULARY), WORDS, wfsa=1)
    with pytest.raises(InputError, match="for T = 2 words"):
        reading(not_good(), one_hot(WORDS, VOCABULARY), WORDS[:2])
    with pytest.raises(InputError, match="one layer and one direction"):
        states_of(sc.RationalRNN(3, [1], bidirectional=True))
