"""The automata reader's arithmetic equals that of sparsecore.pruning, path by path."""

import json

import pytest
import torch
from torch import nn

from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN
from sparsecore.pruning.compact import kept_lengths
from sparsecore.pruning.groups import group_norms
from sparsecore.pruning.paths import best_paths
from sparsecore.pruning.patterns import explain
from sparsecore.report.explorers import AutomataReader
from sparsecore.report.explorers.bundle import STATIC
from sparsecore.report.pages.automata import open_automata
from tests.browser import run_node

IMPORT = f"import * as r from {json.dumps((STATIC / 'rational.js').as_uri())};"
LENGTHS = [3, 1, 4, 2]
WORDS = "it is not at all worth the time".split()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    rnn = RationalRNN(5, LENGTHS).double()
    with torch.no_grad():
        rnn.bias.uniform_(-1, 1)
        rnn.main[4] *= 0.05  # states that pruning removes
        rnn.loop[4] *= 0.05
        rnn.bias[4] = 0.0
    return rnn, nn.Linear(4, 2).double(), torch.randn(len(WORDS), 5, dtype=torch.float64)


def scores_of(rnn, x):
    """Of each state for each word: main transition, self-loop before the sigmoid."""
    return [s.detach() for s in (rnn.main @ x.T, rnn.loop @ x.T + rnn.bias[:, None])]


def javascript(model, script):
    rnn, _, x = model
    main, loop = scores_of(rnn, x)
    layer = {"lengths": LENGTHS, "main": main.tolist(), "loop": loop.tolist()}
    layer["norms"] = group_norms(rnn).tolist()
    start = f"{IMPORT} const layer = {json.dumps(layer)}; const x = {list(range(len(x)))};"
    return run_node(f"{start} const w = r.arcs(layer, x); {script}")


def test_scores_are_the_layers(model):
    found = javascript(model, "print(r.scores(layer, layer.lengths, w));")
    scores, _ = model[0](model[2])
    assert found == pytest.approx(scores[-1].tolist(), rel=1e-10)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.5, 2.0, 9.0])
def test_the_same_states_are_kept_and_give_the_same_scores(model, threshold):
    rnn = model[0]
    counts, scores = javascript(
        model,
        f"const k = r.kept(layer.lengths, layer.norms, {threshold});"
        "print([k.counts, r.scores(layer, k.counts, w)]);",
    )
    (expected,) = kept_lengths(rnn, threshold)
    assert counts == expected
    smaller = RationalRNN(5, LENGTHS).double()
    smaller.load_state_dict(rnn.state_dict())
    first = 0
    with torch.no_grad():
        for length, count in zip(LENGTHS, expected, strict=True):
            for parameter in (smaller.main, smaller.loop, smaller.bias):
                parameter[first + count : first + length] = 0
            first += length
    assert scores == pytest.approx(smaller(model[2])[0][-1].tolist(), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("largest", [True, False])
def test_best_paths_are_the_same(model, largest):
    side = "high" if largest else "low"
    found = javascript(
        model,
        "let first = 0; print(layer.lengths.flatMap((n) => {"
        f"const p = r.bestPaths(w, first, n).{side}; first += n; return p; }}));",
    )
    expected = best_paths(model[0], model[2], largest)
    assert [one["score"] for one in found] == pytest.approx(expected.score[0].tolist(), rel=1e-10)
    for one, steps in zip(found, expected.steps[0].tolist(), strict=True):
        assert one["steps"] == [t for t in steps if t >= 0]


def test_what_an_automaton_does_is_told_alike(model):
    rnn, classifier, x = model
    _, words = explain(rnn, classifier, x, WORDS)
    found = javascript(
        model,
        "const s = r.scores(layer, layer.lengths, w); let first = 0;"
        "print(layer.lengths.map((n, d) => {"
        "const t = r.tellingPath(w, first, n, s[d]); first += n;"
        "return { state: t.state, score: t.path.score, roles: r.roles(t.path.steps, x.length) };"
        "}));",
    )
    for d, one in enumerate(found):
        rows = words[words["wfsa"] == d]
        assert one["state"] == rows["state"].iloc[0]
        assert one["score"] == pytest.approx(rows["path_score"].iloc[0], rel=1e-10)
        assert [r["role"] for r in one["roles"]] == rows["role"].tolist()
        assert [r["transition"] for r in one["roles"]] == rows["transition"].tolist()


def test_texts_are_cut_into_words_like_the_corpus():
    path = json.dumps((STATIC / "automata.js").as_uri())
    found = run_node(
        f"import {{ tokenise }} from {path}; print(tokenise(\"It's NOT worth it, don't buy!\"));"
    )
    assert found == ["it", "'s", "not", "worth", "it", ",", "do", "n't", "buy", "!"]


def reader(model, **changed):
    rnn, classifier, x = model
    main, loop = scores_of(rnn, x)
    options = {
        "lengths": LENGTHS,
        "main": main.numpy(),
        "loop": loop.numpy(),
        "norms": group_norms(rnn).detach().numpy(),
        "weight": (classifier.weight[1] - classifier.weight[0]).detach().numpy(),
        "offset": 0.1,
        "labels": ["negative", "positive"],
        "words": WORDS,
        "samples": [{"label": "negative", "text": " ".join(WORDS)}],
    }
    return AutomataReader(**{**options, **changed})


def test_the_widget_carries_the_model(model):
    made = reader(model)
    assert made.text == " ".join(WORDS)
    data = json.loads(json.dumps(made.data))
    assert data["words"] == WORDS
    assert data["main"]["columns"] == len(WORDS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lengths": [3, 1, 4]}, "main must have a row for each of 8 states, got 10"),
        ({"words": []}, "at least one word"),
        ({"words": ["a", "b"]}, "main must have a score for each of 2 words, got 8"),
        ({"phrases": [[["a"]]]}, "phrases must have a list for each of 10 states"),
        ({"weight": [0.1]}, "weight must have 4 numbers, got 1"),
    ],
)
def test_sizes_that_do_not_fit_are_named(model, changed, message):
    with pytest.raises(InputError, match=message):
        reader(model, **changed)


def test_the_committed_model_tells_praise_from_blame_and_pruning_moves_it():
    found = open_automata("quick", "reviews", ["a b"]).readable
    assert AutomataReader(**found).text == "a b"
    words, layer = found["words"], {n: found[n].tolist() for n in ("main", "loop", "norms")}
    layer["lengths"] = found["lengths"]
    texts = ["an excellent book , i love it", "boring , a waste of my money"]
    ids = [[words.index(word) for word in f"<s> {text} </s>".split()] for text in texts]
    scores = run_node(
        f"""{IMPORT} const layer = {json.dumps(layer)};
        print({ids}.map((read) => [layer.lengths, r.keptLengths(layer.lengths, layer.norms, 5)]
          .map((left) => r.scores(layer, left, r.arcs(layer, read)))));"""
    )
    logits = scores @ found["weight"] + found["offset"]  # text, all states or few
    assert logits[0, 0] > 0.5 and logits[1, 0] < -0.5
    assert abs(logits[0, 1] - logits[0, 0]) > 0.1
