"""A pretrained Transformer read word by word: a tiny random model, and rules on made-up words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import sparsecore as sc
from sparsecore.experiments.transformer import task as reading
from sparsecore.experiments.transformer.findings import PARTS, decide, untested
from sparsecore.experiments.transformer.tables import lstm_correlations, study, tables_of, words_of
from sparsecore.experiments.transformer.task import Setting
from sparsecore.measure.pieces import count_words

KINDS = {"residual": (1, 2), "neurons": (1, 2), "attention": (1, 2), "norm": (0,)}
WORDS = [f"{a}{b}" for a in "abcdefgh" for b in "xyz"]


def made_up(slope: float = 0.02, n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Words whose chi rises with log frequency in every signal, through surprisal in none."""
    rng = np.random.default_rng(seed)
    frequency = np.floor(1e5 / np.arange(1, n + 1)).astype(int)
    surprisal = rng.normal(8, 2, n)
    rows = []
    for kind, blocks in (
        ("residual", (1, 2)),
        ("neurons", (1, 2)),
        ("attention", (1, 2)),
        ("norm", (0,)),
    ):
        for block in blocks:
            for signal, role in reading.ROLES.items():
                chi = 0.1 + slope * np.log(frequency) + 0.01 * rng.normal(size=n)
                rows.append(
                    pd.DataFrame(
                        {
                            "word": [f"w{i}" for i in range(n)],
                            "frequency": frequency,
                            "surprisal": surprisal,
                            "kind": kind,
                            "block": block,
                            "signal": signal,
                            "role": role,
                            "count": 10,
                            "chi": chi,
                            "chi_without": chi - 0.05,
                        }
                    )
                )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def tiny():
    """A Llama of two blocks with a tokenizer that has single pieces for some words."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    from tests.tiny_lm import llama

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=299, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([" " + " ".join(WORDS)] * 20, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made)
    return llama(positions=512), tokenizer


@pytest.fixture(scope="module")
def text() -> str:
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, len(WORDS) + 1)
    return " " + " ".join(rng.choice(WORDS, 1400, p=share / share.sum()))


def test_windows_in_any_order_and_pieces_give_the_table_of_track_lm(tiny, text, tmp_path):
    model, tokenizer = tiny
    layers = [layer for kind in reading.signals(model).values() for layer in kind]
    keep = [d for d in range(16) if d not in (3, 5)]
    expected = sc.track_lm(
        model, tokenizer, [text], layers, length=512, stride=496, progress=False,
        measures={"chi_without": lambda v: sc.chi(v[..., keep] if v.shape[-1] == 16 else v)},
    )  # fmt: skip
    save = tmp_path / "sums.safetensors"
    options = {"save": save, "outliers": (3, 5), "seed": 4}
    reading.measure(model, tokenizer, text, Setting(windows=1, **options))
    read = []
    table, facts = reading.measure(model, tokenizer, text, Setting(**options), say=read.append)
    assert facts["pieces"] == facts["of"] and len(read) == facts["windows"] - 1
    keys = ["word", "layer", "signal", "role"]
    columns = ["frequency", "surprisal", "count", "chi", "chi_without"]
    found = table.set_index(keys)[columns].sort_index()
    assert set(table["word"]) == set(WORDS) & set(expected["word"])
    chosen = expected.set_index(keys)[columns].sort_index().loc[found.index]
    pd.testing.assert_frame_equal(found, chosen)
    assert set(zip(table["signal"], table["role"], strict=True)) == set(reading.ROLES.items())
    for other in ({"seed": 5}, {"outliers": (3,)}):
        with pytest.raises(sc.InputError, match="of another model, text, seed or layers"):
            reading.measure(model, tokenizer, text, Setting(**{**options, **other}))


def test_surprisal_of_a_part_of_the_text_is_a_mean_over_that_part(tiny, text):
    model, tokenizer = tiny
    part, facts = reading.measure(model, tokenizer, text, Setting(windows=1))
    assert facts["pieces"] < facts["of"] / 2
    whole, _ = reading.measure(model, tokenizer, text, Setting())
    means = [
        np.average(t["surprisal"], weights=t["count"])
        for t in (x[(x["kind"] == "norm") & (x["role"] == "target")] for x in (part, whole))
    ]
    assert means[0] == pytest.approx(means[1], rel=0.1)


def test_tables_of_a_tiny_model_have_every_block_and_part(tiny, text):
    table, _ = reading.measure(*tiny, text, Setting())
    tables = tables_of(table, resamples=50)
    blocks = tables["correlations"].groupby("kind")["block"].agg(lambda x: sorted(set(x)))
    assert blocks.to_dict() == {kind: list(places) for kind, places in KINDS.items()}
    assert tables["findings"]["finding"].tolist() == [part[0] for part in PARTS]
    assert set(tables["words"]["kind"]) == {"norm", "residual"}


def test_a_planted_outlier_dimension_is_found(tiny, text):
    model, tokenizer = tiny
    weight = model.model.embed_tokens.weight
    before = weight[:, 7].clone()
    try:
        with torch.no_grad():
            weight[:, 7] += 50 * weight.abs().median()
        found = reading.outlier_dimensions(model, tokenizer, text)
    finally:
        with torch.no_grad():
            weight[:, 7] = before
    assert found["dimension"].tolist() == [7]
    assert found["blocks"].tolist() == [2]
    assert reading.outlier_dimensions(model, tokenizer, text).empty


def test_a_model_of_another_build_is_refused():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.GPT2Config(vocab_size=9, n_embd=4, n_layer=1, n_head=1, n_positions=8)
    with pytest.raises(sc.InputError, match="built as Llama's"):
        reading.signals(transformers.GPT2LMHeadModel(config))


def test_an_unknown_kind_of_layer_is_named(tiny, text):
    with pytest.raises(sc.InputError, match=r"unknown kind of layer 'neuron'.*'neurons'"):
        reading.measure(*tiny, text, Setting(layers=["neuron"]))


@pytest.mark.parametrize(("slope", "outcome"), [(0.02, "yes"), (-0.02, "no")])
def test_findings_follow_the_slope(slope, outcome):
    found = decide(made_up(slope), 200)
    assert set(found["outcome"]) == {outcome}
    assert found["essential"].tolist() == [part[1] for part in PARTS]


def test_the_mean_over_blocks_is_the_mean_of_their_correlations():
    words = made_up()
    own = words[(words["kind"] == "residual") & (words["signal"] == "activation")]
    each = [np.corrcoef(np.log(b["frequency"]), b["chi"])[0, 1] for _, b in own.groupby("block")]
    assert decide(words, 50)["value"][0] == pytest.approx(np.mean(each))


def test_a_wide_interval_that_holds_zero_has_not_tested():
    assert untested({"low": -0.1, "high": 0.2})
    assert not untested({"low": -0.05, "high": 0.05})
    assert not untested({"low": 0.1, "high": 0.5})


def test_rare_and_unpredicted_words_are_left_out():
    words = made_up(n=12)
    words.loc[words["word"] == "w1", "count"] = 9
    words.loc[words["word"] == "w2", "surprisal"] = np.nan
    words.loc[words["word"] == "w3", "frequency"] = 0
    assert set(words_of(words)["word"]) == {f"w{i}" for i in range(12)} - {"w1", "w2", "w3"}


def test_the_lstm_is_asked_about_the_same_words():
    words = pd.DataFrame({"word": ["The", "the", "a", "b", "zz"], "signal": "activation"})
    words = pd.concat([words, words.assign(signal="gradient")])
    known = pd.DataFrame({"word": ["the", "a", "b", "other"], "frequency": [100, 10, 1, 5]})
    for layer in ("embedding", "lstm1", "lstm2"):
        known[f"chi_{layer}_activation_input"] = [3.0, 2.0, 1.0, 9.0]
        known[f"chi_{layer}_gradient_target"] = [1.0, 2.0, 3.0, 9.0]
    found = lstm_correlations(words, known).set_index(["layer", "signal"])
    assert (found["words"] == 3).all()
    assert found["rho"]["lstm2", "activation"] == 1.0
    assert found["rho"]["lstm2", "gradient"] == -1.0


def test_the_figure_draws_each_kind_over_blocks_and_what_stands_beside():
    from matplotlib import pyplot as plt

    from sparsecore.experiments.transformer.tables import correlations
    from sparsecore.report import figures

    table = correlations(words_of(made_up()), resamples=20)
    lstm = pd.DataFrame(
        [["lstm2", "gradient", "pearson_log", 0.5, 0.4, 0.6]],
        columns=["layer", "signal", "method", "rho", "low", "high"],
    )
    ax = figures.rho_by_block(table, "gradient", lstm=lstm)
    names = {text.get_text().replace("\n", " ") for text in ax.texts}
    assert ax.get_legend() is None
    assert {"residual stream", "MLP neurons", "last norm", "upper LSTM of part one"} <= names
    own = table.query("signal == 'gradient' and value == 'chi' and method == 'pearson_log'")
    residual = own[own["kind"] == "residual"].sort_values("block")["rho"]
    (line,) = [line for line in ax.lines if line.get_label() == "residual stream"]
    assert np.asarray(line.get_ydata()).tolist() == residual.tolist()
    plt.close("all")


def test_parameters_without_a_model_are_refused():
    from sparsecore.report.pages.transformer import open_page

    with pytest.raises(sc.InputError, match="give model="):
        open_page("smollm2-135m", corpus="ptb")
    with pytest.raises(sc.InputError, match="no reference tables 'smol'"):
        open_page("smol")


def test_a_corpus_gives_outliers_frequencies_and_text_by_its_parts(tiny, text, tmp_path):
    half = len(text) // 2
    parts = {"train": text[:half], "valid": text[half:], "test": text}
    for part, content in parts.items():
        (tmp_path / f"{part}.txt").write_text(content, encoding="utf-8")
    tables, facts = study(*tiny, str(tmp_path), Setting(windows=2))
    assert facts["windows"] == 2
    assert tables["outliers"].equals(reading.outlier_dimensions(*tiny, parts["valid"]))
    words = tables["words"].set_index("word")["frequency"]
    counted = count_words(parts["train"])
    assert len(words) and all(counted[word] == n for word, n in words.items())
