"""Best paths and the tables made of them, against brute force over all paths."""

import itertools
import math

import pandas as pd
import pytest
import torch

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN
from sparsecore.pruning import paths as paths_module
from sparsecore.pruning.patterns import explain, phrases, strongest


def layer(lengths, seed=0, width=3, **options):
    torch.manual_seed(seed)
    rnn = RationalRNN(width, lengths, **options).double()
    for parameter in rnn.parameters():
        torch.nn.init.normal_(parameter)
    return rnn


def brute_force(rnn, x, largest):
    """(score, tokens) of the best path into each state, by trying all; None where there is none."""
    f = torch.sigmoid(x @ rnn.loop.t() + rnn.bias)
    u = x @ rnn.main.t()
    u = u * (1 - f) if rnn.semiring == "plus_times" else torch.sigmoid(u)
    add = rnn.semiring == "max_plus"
    best = []
    row = 0
    for d, length in enumerate(rnn.lengths):
        for i in range(1, length + 1):
            candidates = []
            for path in itertools.combinations(range(len(x)), i):
                weights = []
                for t in range(path[0], len(x)):
                    at = sum(p <= t for p in path)
                    if t in path:
                        weights.append(u[t, row + at - 1].item())
                    elif rnn.last_loop_one[d] and at == length:
                        weights.append(0.0 if add else 1.0)
                    else:
                        weights.append(f[t, row + at - 1].item())
                candidates.append((sum(weights) if add else math.prod(weights), path))
            choose = max if largest else min
            best.append(choose(candidates, default=None))
        row += length
    return best


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"last_loop_one": True}, {"semiring": "max_plus"}, {"semiring": "max_times"}],
    ids=str,
)
def test_paths_equal_brute_force(options, largest, monkeypatch):
    monkeypatch.setattr(paths_module, "LANES", 2)
    for seed in range(6):
        rnn = layer([4, 1, 3], seed, **options)
        x = torch.randn(7, 3, 3, dtype=torch.float64)
        padding = [0, 2, 5]
        for b, count in enumerate(padding):
            x[:count, b] = 0
        score, steps = sc.best_paths(rnn, x, largest)
        assert score.shape == (3, 8) and steps.shape == (3, 8, 4)
        for b, count in enumerate(padding):
            for s, expected in enumerate(brute_force(rnn, x[count:, b], largest)):
                if expected is None:
                    assert score[b, s] == (-math.inf if largest else math.inf)
                    assert (steps[b, s] == -1).all()
                    continue
                assert score[b, s].item() == pytest.approx(expected[0], rel=1e-10, abs=1e-12)
                taken = [t - count for t in steps[b, s].tolist() if t >= 0]
                assert taken == list(expected[1])


def test_of_equal_candidates_the_main_path_is_taken():
    rnn = RationalRNN(1, [1], semiring="max_times")
    with torch.no_grad():
        rnn.main.zero_()
        rnn.loop.zero_()
        rnn.bias.fill_(100.0)  # a self-loop of 1, and u is 0.5 at every token
    x = torch.ones(4, 1, 1)
    assert sc.best_paths(rnn, x).steps.flatten().tolist() == [3]
    assert sc.best_paths(rnn, x, largest=False).steps.flatten().tolist() == [3]


def test_a_mask_and_other_shapes_of_input():
    rnn = layer([2], batch_first=True)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [False, False, True, True, True]])
    score, steps = sc.best_paths(rnn, x, mask=mask)
    alone = sc.best_paths(rnn, x[1, 2:])
    torch.testing.assert_close(score[1:], alone.score)
    assert (steps[1] - 2).tolist() == [
        [t if t >= 0 else -3 for t in row] for row in alone.steps[0].tolist()
    ]


def test_layers_and_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="one layer and one direction"):
        sc.best_paths(RationalRNN(3, [1], num_layers=2), torch.zeros(2, 1, 3))
    with pytest.raises(InputError, match=r"input_size=3 .* got \(2, 1, 4\)"):
        sc.best_paths(RationalRNN(3, [1]), torch.zeros(2, 1, 4))
    with pytest.raises(InputError, match=r"without E, got \(2, 2\)"):
        sc.best_paths(
            RationalRNN(3, [1]), torch.zeros(2, 1, 3), mask=torch.ones(2, 2, dtype=torch.bool)
        )


WORDS = ["it", "was", "not", "worth", "the", "time", "very", "good", "</s>"]


def not_worth():
    """An automaton over one-hot words, set by hand: "not … worth" scores high, "very good" low."""
    rnn = RationalRNN(len(WORDS), [2]).double()
    with torch.no_grad():
        for weight in (rnn.main, rnn.loop):
            weight.zero_()
        rnn.main[0, WORDS.index("not")] = 5.0
        rnn.main[1, WORDS.index("worth")] = 5.0
        rnn.main[0, WORDS.index("very")] = -5.0
        rnn.main[1, WORDS.index("good")] = 5.0
        rnn.bias.fill_(1.0)
    return rnn


def encoded(texts):
    """(T, B, E) one-hot vectors, padded in front, and the words."""
    tokens = [text.split() for text in texts]
    x = torch.zeros(max(map(len, tokens)), len(tokens), len(WORDS), dtype=torch.float64)
    for b, words in enumerate(tokens):
        for t, word in enumerate(words, len(x) - len(words)):
            x[t, b, WORDS.index(word)] = 1.0
    return x, tokens


TEXTS = [
    "it was the time </s>",
    "it was not the worth </s>",
    "it was very good </s>",
    "not worth it was the </s>",
    "the </s>",
]


def test_phrases_name_the_pattern():
    table = phrases(not_worth(), *encoded(TEXTS), top_k=2)
    two = table[table["state"] == 2].to_dict("records")
    top, second, bottom = two[0], two[1], two[2]
    assert (top["end"], top["rank"], bottom["end"]) == ("top", 1, "bottom")
    assert (top["transition_1"], top["transition_2"]) == ("not", "the_SL worth")
    assert (top["document"], top["after"]) == (1, "</s>_SL")
    assert top["phrase"] == "not the_SL worth </s>_SL"
    assert second["after"] == "…_SL"
    assert bottom["phrase"] == "very good </s>_SL"
    assert bottom["score"] < 0 < top["score"]
    one = table[(table["state"] == 1) & (table["end"] == "top")]
    assert (one["transition_2"] == "").all()


def test_a_corpus_in_parts_gives_the_table_of_the_whole():
    rnn = not_worth()
    whole = phrases(rnn, *encoded(TEXTS), top_k=2)
    parts = [
        phrases(rnn, *encoded(TEXTS[start : start + 2]), top_k=2, first_document=start)
        for start in (0, 2, 4)
    ]
    joined = strongest(parts, top_k=2)
    columns = ["wfsa", "state", "end", "rank"]
    whole, joined = (t.sort_values(columns).reset_index(drop=True) for t in (whole, joined))
    pd.testing.assert_frame_equal(whole, joined)


def test_explanation_adds_up_to_the_decision():
    rnn = layer([2, 1, 3])
    classifier = torch.nn.Linear(3, 2, dtype=torch.float64)
    x, tokens = torch.randn(5, 3, dtype=torch.float64), list("abcde")
    decision, words = explain(rnn, classifier, x, tokens)
    logits = classifier(rnn(x)[0][-1])
    assert decision["contribution"].sum() == pytest.approx((logits[1] - logits[0]).item())
    assert decision["share"].abs().sum() == pytest.approx(1)
    assert decision["wfsa"].tolist() == [0, 1, 2, -1]
    for _, path in words.groupby("wfsa"):
        assert path["word"].tolist() == tokens
        assert path["weight"].prod() == pytest.approx(path["path_score"].iloc[0])
        assert (path["role"] == "taken").sum() == path["state"].iloc[0]


def test_explanation_shows_what_is_taken_and_what_is_skipped():
    x, tokens = encoded(["it was not the worth </s>"])
    classifier = torch.nn.Linear(1, 2, dtype=torch.float64)
    _, words = explain(not_worth(), classifier, x[:, 0], tokens[0])
    assert words["role"].tolist() == ["before", "before", "taken", "loop", "taken", "loop"]
    assert words["transition"].tolist() == [0, 0, 1, 0, 2, 0]


def test_tables_refuse_what_does_not_fit():
    rnn = not_worth()
    x, tokens = encoded(TEXTS)
    with pytest.raises(InputError, match="the words of 5 texts, got 4"):
        phrases(rnn, x, tokens[:4])
    with pytest.raises(InputError, match="has 6 tokens, but x only 3 positions"):
        phrases(rnn, x[:3], tokens)
    with pytest.raises(InputError, match="top_k must be at least 1"):
        phrases(rnn, x, tokens, top_k=0)
    with pytest.raises(InputError, match="must map 1 scores to 2 logits, got 3 to 2"):
        explain(rnn, torch.nn.Linear(3, 2), x[:, 0], tokens[0])
    with pytest.raises(InputError, match="for T = 4 tokens"):
        explain(rnn, torch.nn.Linear(1, 2), x[:, 0], tokens[0][:4])
