"""The tagging experiment end to end on a planted rule: what it learns, writes, resumes, refuses."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError, TrainingError
from sparsecore.experiments.tagging import task
from sparsecore.experiments.tagging.config import (
    TUNING_SEED,
    Tagging,
    choose,
    fields_of,
    grid_of,
    settings_of,
    study,
    tune,
)
from sparsecore.runs.execute import execute
from sparsecore.runs.store import list_runs
from sparsecore.training.run_folder import Run
from tests.experiments.interrupt import interrupt, slow


def planted_text(sentences, seed=0):
    """``b``-words are verbs after a ``to`` and nouns elsewhere: the word alone does not tell."""
    generator = np.random.default_rng(seed)
    lines = []
    for _ in range(sentences):
        for _ in range(generator.integers(2, 6)):
            word = f"b{generator.zipf(1.6) % 30}"
            if generator.random() < 0.5:
                lines.append(f"to TO\n{word} VB")
            else:
                lines.append(f"the DT\n{word} NN")
        lines.append("")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    for number, (split, size) in enumerate({"train": 300, "dev": 40, "test": 40}.items()):
        (folder / f"{split}.txt").write_text(planted_text(size, number))
    return str(folder)


def small(corpus, **changes):
    fields = {"corpus": corpus, "epochs": 3, "learning_rate": 2e-2, "device": "cpu"}
    return Tagging(**{**fields, **changes})


SPARSE = {
    "embedding_dim": 6,
    "density": 0.5,
    "word_dropout": 0.1,
    "embedding_dropout": 0.1,
    "weight_drop": 0.1,
}


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    """The uninterrupted run with every dropout on, computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(tmp_path_factory.mktemp("finished")))
        return execute(small(corpus, **SPARSE), progress=False)


def tables(run: Run):
    """Every file whose content must not depend on interruptions, as bytes."""
    names = ("epochs", "results", "frequencies")
    files = [*(run.path / f"{name}.parquet" for name in names), run.path / "weights.safetensors"]
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize("changes", [{}, {"density": 0.2}, {"density": 0.2, "order": "none"}])
def test_a_planted_rule_is_learned(corpus, changes):
    run = execute(small(corpus, **changes), progress=False)
    row = run.results.iloc[0]
    assert row["test_accuracy"] > 0.95 and row["dev_accuracy"] > 0.95


def test_run_folder(finished, corpus):
    assert finished.done and not (finished.path / "checkpoint.safetensors").exists()
    row = finished.results.iloc[0]
    words = len(task.prepare(small(corpus), False).words)
    assert row["embedding_parameters"] == round(0.5 * 6 * words)
    assert row["achieved_density"] == pytest.approx(0.5) and row["average_size"] == 3
    model = 2 * 4 * 10 * (6 + 10 + 2) + 10 * 21 + 4 * 11  # LSTMs, projection, output
    assert row["parameters"] == row["embedding_parameters"] + model
    assert row["test_correct"] / row["test_words"] == row["test_accuracy"]
    assert list(finished.epochs["epoch"]) == [1, 2, 3]
    assert finished.epochs["dev_accuracy"].iloc[-1] == row["dev_accuracy"]
    by_class = finished.table("frequencies")
    assert by_class["words"].sum() == row["test_words"]
    assert by_class["correct"].sum() == row["test_correct"]


@pytest.mark.parametrize("steps", [22, *slow([1, 15, 44])])
def test_interrupted_anywhere_resumes_to_equal_tables(finished, corpus, monkeypatch, steps):
    run, begun = interrupt(small(corpus, **SPARSE), monkeypatch, steps)
    assert begun == 45 + 1  # 15 batches an epoch; one was begun twice
    assert tables(run) == tables(finished)


def test_orders_give_length_to_other_words(corpus):
    inputs = task.prepare(small(corpus), False)
    stored = {}
    for order in ("up", "none", "down"):
        model = task.build_model(small(corpus, density=0.3, order=order), inputs)
        stored[order] = (model.embedding.dense() != 0).sum(1).numpy()
    by_count = np.argsort(-inputs.counts, kind="stable")
    assert (np.diff(stored["up"][by_count]) <= 0).all()
    assert (np.diff(stored["down"][by_count]) >= 0).all()
    assert sorted(stored["none"]) == sorted(stored["up"])
    assert abs(np.corrcoef(stored["none"], np.arange(len(by_count)))[0, 1]) < 0.5


def test_divergence_is_named(corpus):
    with pytest.raises(TrainingError, match=r"diverged in epoch 1 .* smaller learning_rate"):
        execute(small(corpus, learning_rate=1e38), progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"density": 0.01}, r"density must be in \[1/num_bins, 1\] = \[0.05, 1\], got 0.01"),
        ({"density": 1.5}, r"density must be in \[1/num_bins, 1\]"),
        ({"num_bins": 30}, "num_bins must be at most embedding_dim, got 30"),
        ({"order": "sideways"}, "order must be 'up' or 'down' or 'none', got 'sideways'"),
        ({"tags": "penn"}, "tags must be 'xpos' or 'upos', got 'penn'"),
        ({"word_dropout": 1.0}, r"word_dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_bad_fields_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Tagging(**changes)


def test_bad_presets_fields_and_batches_are_refused(corpus):
    with pytest.raises(InputError, match=r"unknown preset 'smal' \(did you mean 'small'"):
        Tagging.preset("smal")
    with pytest.raises(InputError, match=r"unknown parameter 'densty' \(did you mean 'density'"):
        Tagging.preset("quick", densty=0.5)
    with pytest.raises(InputError, match="batch_size must be at most the 300 training sentences"):
        execute(small(corpus, batch_size=301), progress=False)
    assert not list_runs()


def test_choose_takes_the_best_on_dev():
    rows = [
        (20, 1.0, "up", 0.0, 0.0, 0.0, 0.90, 0.99),
        (20, 1.0, "up", 0.1, 0.0, 0.0, 0.92, 0.80),
        (20, 1.0, "up", 0.2, 0.0, 0.0, 0.92, 0.95),  # equal on dev: the first stays
        (2, 1.0, "up", 0.0, 0.0, 0.0, 0.81, 0.99),
        (2, 1.0, "up", 0.1, 0.0, 0.0, 0.80, 0.99),
    ]
    names = "embedding_dim density order word_dropout embedding_dropout weight_drop".split()
    results = pd.DataFrame(rows, columns=[*names, "dev_accuracy", "test_accuracy"])
    chosen = choose(results)
    assert chosen[20, 1.0, "up"]["word_dropout"] == 0.1
    assert chosen[2, 1.0, "up"]["word_dropout"] == 0.0
    again = choose(pd.concat([results, results[:1].assign(dev_accuracy=0.98)]))  # mean 0.94
    assert again[20, 1.0, "up"]["word_dropout"] == 0.0


def test_the_grids():
    assert len(grid_of("paper")) == 3 * 4 * 3  # Table 2
    assert all(point in grid_of("paper") for point in grid_of("small"))
    assert len(tune("paper")) == 36 * len(settings_of("paper")) and tune("quick") == []
    assert {config.seed for config in tune("small")} == {TUNING_SEED}


@pytest.mark.parametrize("preset", ["quick", "small", "paper"])
def test_a_study_pairs_dense_and_sparse_of_equal_size(preset):
    rows = [fields_of(setting) | grid_of("small")[0] for setting in settings_of(preset)]
    configs = study(preset, pd.DataFrame(rows).assign(dev_accuracy=0.9), corpus="x")
    assert len({dataclasses.astuple(config) for config in configs}) == len(configs)
    assert len(configs) >= 2 * len(settings_of(preset)) and TUNING_SEED not in {
        config.seed for config in configs
    }
    dense = {c.embedding_dim for c in configs if c.density == 1}
    sparse = {round(20 * c.density, 9) for c in configs if c.density < 1 and c.order == "up"}
    assert dense == sparse | {20}
    assert {c.order for c in configs} == {"up", "none", "down"}


def test_a_study_waits_for_its_tuning_runs_and_takes_what_they_choose(corpus, monkeypatch):
    from sparsecore.experiments.tagging import config as experiment

    setting = (4, 1.0, "up")
    monkeypatch.setitem(experiment.GRID, "small", [(0.0, 0.0, 0.0), (0.3, 0.0, 0.0)])
    monkeypatch.setattr(experiment, "settings_of", lambda _: [setting])
    own = {"corpus": corpus, "epochs": 1, "learning_rate": 2e-2, "device": "cpu"}
    with pytest.raises(InputError, match=r"0 of the 2 runs .* sparsecore sweep tagging --stage"):
        study("small", **own)
    dev = [execute(c, progress=False).results["dev_accuracy"][0] for c in tune("small", **own)]
    configs = study("small", **own)
    assert configs[:2] == tune("small", **own) and [c.seed for c in configs[2:]] == [0, 1, 2, 3]
    assert {c.word_dropout for c in configs[2:]} == {[0.0, 0.3][int(np.argmax(dev))]}
    with pytest.raises(InputError, match="density is one of what the study varies"):
        study("small", **own, density=0.5)
