"""A language model in the page: its signals are PyTorch's, and 8 bits change χ by so much."""

import json

import numpy as np
import pytest
import torch

from sparsecore.data.text import normalise, tokenize
from sparsecore.errors import InputError
from sparsecore.measure.token_view import sentence_chi
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.report.explorers import SentenceExplorer
from sparsecore.report.explorers.bundle import STATIC
from sparsecore.report.explorers.numbers import from_eight_bits
from sparsecore.report.pages.sentences import about_networks, open_networks
from tests.browser import run_node

WORDS = ["<unk>", "<eos>", *(f"w{n}" for n in range(58))]
COUNTS = range(60, 0, -1)
IDS = [1, 5, 9, 0, 33, 5, 1]
ERROR = 0.004  # of χ, by 8 bits a weight


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    made = LSTMLanguageModel(len(WORDS), 12, 16, 2, 0.2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)  # as wide as trained ones
    return made


def explorer(model):
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    return SentenceExplorer(WORDS, COUNTS, {"trained": weights}, ["w3 w7."])


@pytest.fixture(scope="module")
def found(model):
    path, numbers = (json.dumps((STATIC / f"{n}.js").as_uri()) for n in ("language", "numbers"))
    return run_node(
        f"""import * as l from {path};
        import {{ matrix }} from {numbers};
        const data = {json.dumps(explorer(model).data)};
        const weights = Object.fromEntries(
          Object.entries(data.networks.trained).map(([n, m]) => [n, matrix(m)]));
        print(l.readSentence({{ ...data.sizes, weights }}, {IDS}).map((one) => ({{ ...one,
          signals: Object.fromEntries(
            Object.entries(one.signals).map(([n, v]) => [n, Array.from(v)])) }})));"""
    )


def chi_table(model):
    table = sentence_chi(model, IDS, WORDS)
    table["name"] = table["layer"] + "_" + table["signal"]
    return table.pivot(index="position", columns="name", values="chi")


def rounded(model):
    copy = LSTMLanguageModel(len(WORDS), 12, 16, 2, 0.2)
    with torch.no_grad():
        for own, other in zip(copy.parameters(), model.parameters(), strict=True):
            own.copy_(torch.from_numpy(from_eight_bits(other.detach().numpy())))
    return copy


def test_every_chi_is_that_of_pytorch_with_the_same_rounded_weights(model, found):
    expected = chi_table(rounded(model))
    names = list(found[0]["chi"])
    assert names[0] == "embedding_activation" and len(names) == 5
    for name in names:
        assert [one["chi"][name] for one in found] == pytest.approx(
            expected[name].tolist(), rel=2e-5
        ), name


def test_eight_bits_change_no_chi_by_more_than_stated(model, found):
    expected = chi_table(model)
    differences = [
        abs(one["chi"][n] - expected[n][t]) for t, one in enumerate(found) for n in one["chi"]
    ]
    assert 0 < max(differences) < ERROR


def test_surprisal_and_what_was_expected_are_pytorchs(model, found):
    copy = rounded(model).eval()
    with torch.no_grad():
        log_p = copy.logits(copy(torch.tensor(IDS[:-1])[:, None])[0]).log_softmax(-1)[:, 0]
    for t, one in enumerate(found):
        assert one["surprisal"] == pytest.approx(-log_p[t, IDS[t + 1]].item(), rel=1e-5)
        ranked = log_p[t].exp().topk(5)
        assert [id_ for id_, _ in one["expected"]] == ranked.indices.tolist()
        assert [p for _, p in one["expected"]] == pytest.approx(ranked.values.tolist(), rel=1e-4)


def test_sentences_are_cut_as_python_cuts_them():
    texts = [
        "The name of the file is given as a string.",
        "It's not in the list, so don't look; we'll wait!",
        "A long-term plan (of 3.5 or 1,000 words) can't fail...",
        "“Quoted” words, and what’s cannot?",
    ]
    path = json.dumps((STATIC / "tokens.js").as_uri())
    code = f"import {{ wordsOf }} from {path}; print({json.dumps(texts)}.map(wordsOf));"
    assert run_node(code) == [tokenize(normalise(text)) for text in texts]


def test_a_number_is_off_by_half_a_step_at_most():
    values = np.random.default_rng(0).normal(size=(5, 40))
    steps = np.abs(values).max(axis=1, keepdims=True) / 127
    assert np.all(np.abs(from_eight_bits(values) - values) <= steps * 0.5001)
    assert from_eight_bits(np.zeros((2, 3))).tolist() == [[0.0] * 3] * 2


def test_cells_are_shaded_about_zero_where_differences_are_shown():
    path = json.dumps((STATIC / "sentence.js").as_uri())
    found = run_node(
        f"""import {{ shade, short }} from {path};
        print([shade(-2, [-2, 1], true), shade(1, [-2, 1], true), shade(1, [1, 3], false),
               short(-0.1234, true), short(0.1234)]);"""
    )
    assert found == [-1, 0.5, 0, "−.123", ".123"]


def test_what_three_digits_do_not_show_is_not_shaded():
    path = json.dumps((STATIC / "sentence.js").as_uri())
    found = run_node(
        f"""import {{ shade }} from {path};
        print([shade(0.50001, [0.5, 0.5002], false), shade(0.0001, [0.0001, 0], true)]);"""
    )
    assert found == [0.5, 0.2]


def test_weights_of_other_words_are_refused(model):
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    networks = {"trained": weights}
    with pytest.raises(InputError, match="weights must be those of 61 words, got 60"):
        SentenceExplorer([*WORDS, "more"], [*COUNTS, 1], networks, [])
    with pytest.raises(InputError, match="counts must be those of 60 words, got 2"):
        SentenceExplorer(WORDS, [1, 2], networks, [])
    for wrong in (float("nan"), 1.5, "3"):
        with pytest.raises(InputError, match="counts must be whole numbers"):
            SentenceExplorer(WORDS, [wrong, *COUNTS[1:]], networks, [])
    with pytest.raises(InputError, match="words must hold '<unk>'"):
        SentenceExplorer(WORDS[1:], COUNTS[1:], networks, [])
    with pytest.raises(InputError, match="at least one network"):
        SentenceExplorer(WORDS, COUNTS, {}, [])


def test_an_untrained_network_is_as_large_and_as_wide_as_pytorchs(model):
    path = json.dumps((STATIC / "language.js").as_uri())
    sizes = json.dumps(explorer(model).data["sizes"])
    found = run_node(
        f"""import {{ untrained }} from {path};
        print(Object.fromEntries(Object.entries(untrained({sizes}).weights)
          .map(([n, w]) => [n, [w.length, Math.max(...w.map(Math.abs))]])));"""
    )
    fresh = LSTMLanguageModel(len(WORDS), 12, 16, 2, 0.2).state_dict()
    assert {n: size for n, (size, _) in found.items()} == {n: w.numel() for n, w in fresh.items()}
    for name, (_, widest) in found.items():
        assert widest == pytest.approx(fresh[name].abs().max().item(), rel=0.1), name


def test_the_committed_networks_are_of_their_words():
    networks = open_networks("quick", "enwiki")
    assert list(networks.weights) == ["trained with SGD", "trained with Adam"]
    for weights in networks.weights.values():
        H = weights["decoder.weight"].shape[1]
        whole = LSTMLanguageModel(len(networks.words), H, H).state_dict()
        shapes = {n: tuple(w.shape) for n, w in whole.items()}
        assert {n: w.shape for n, w in weights.items()} == shapes
    assert len(networks.counts) == len(networks.words) == len(set(networks.words))
    assert "in 8 bits" in about_networks(networks).data
