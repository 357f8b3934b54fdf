"""Reciting end to end on a small text: a model learns it by heart, is measured, and resumes."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from sparsecore.data.language import prepare_corpus
from sparsecore.errors import InputError, TrainingError
from sparsecore.experiments.reciting.config import (
    RATES,
    SEEDS,
    TUNING_SEED,
    Reciting,
    rows,
    study,
    tune,
)
from sparsecore.experiments.reciting.task import Task
from sparsecore.runs.execute import execute
from sparsecore.runs.store import list_runs
from sparsecore.training.batches import random_windows
from sparsecore.training.language import piece_columns
from sparsecore.training.loop import train
from tests.experiments.interrupt import contents, interrupt, slow, undisturbed

CPU = torch.device("cpu")


def small(text_file, **changes):
    fields = {
        "corpus": str(text_file),
        "tokenised": False,
        "max_tokens": 120,
        "embedding_size": 16,
        "hidden_size": 24,
        "num_layers": 1,
        "sequence_length": 10,
        "batch_size": 2,
        "learning_rate": 2.0,
        "epochs": 6,
        "device": "cpu",
    }
    return Reciting(**{**fields, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The uninterrupted run, computed once."""
    return undisturbed(small, tmp_path_factory.mktemp("finished"))


def test_a_small_model_recites_a_small_text_whole(text_file):
    run = execute(small(text_file, max_tokens=60, embedding_size=32, epochs=150), progress=False)
    row = pd.read_parquet(run.path / "results.parquet").iloc[0]
    assert row["accuracy"] == 1.0 and row["evaluated_accuracy"] == 1.0
    epochs = pd.read_parquet(run.path / "epochs.parquet")
    assert row["epochs"] == row["best_epoch"] == len(epochs) < 150  # it stops when it knows all
    assert (epochs["accuracy"].iloc[:-1] < 1).all()


def test_accuracies_of_an_epoch_by_hand(text_file, tmp_path):
    """Each word is predicted by the weights before the update that learns from it."""
    config = small(text_file, momentum=0.0, clip=1e9)
    corpus = prepare_corpus(str(text_file), threshold=1, progress=False)
    ours, naive = Task(config, corpus, tmp_path), Task(config, corpus, tmp_path)
    ours.epochs = range(1, 2)
    train(ours, tmp_path, progress=False)
    torch.manual_seed(config.seed)
    naive.build(CPU)
    model, text, right, state = naive.model, naive.text, 0, None
    windows = random_windows(len(text) - 1, 10, np.random.default_rng([0, 1]))
    for start, length in windows:
        inputs, targets = text[start : start + length], text[start + 1 : start + length + 1]
        hidden, _, state = model(inputs, state)
        logits = hidden @ model.embedding.dense().t() + model.bias
        right += int((logits.argmax(-1) == targets).sum())
        model.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        with torch.no_grad():
            for weight in model.parameters():
                assert weight.grad is not None
                weight -= 2.0 * length / 10 * weight.grad
        state = [(h.detach(), c.detach()) for h, c in state]
    row = pd.read_parquet(tmp_path / "epochs.parquet").iloc[0]
    assert row["accuracy"] == right / text[1:].numel()
    for one, other in zip(ours.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        whole = model.logits(model(text[:-1])[0]).argmax(-1)
    assert row["evaluated_accuracy"] == pytest.approx(float((whole == text[1:]).double().mean()))


def test_tables_of_a_run(finished):
    epochs = pd.read_parquet(finished.path / "epochs.parquet")
    row = pd.read_parquet(finished.path / "results.parquet").iloc[0]
    assert row["accuracy"] == epochs["accuracy"].max()
    assert row["best_epoch"] == 1 + np.argmax(epochs["accuracy"])
    np.testing.assert_allclose(epochs["learning_rate"], 2.0 * 0.97 ** np.arange(6))
    assert row["tokens"] == 118  # 2 columns of 60 words, the first of each is not predicted
    assert 1 / row["words"] < row["commonest"] < row["accuracy"]


def test_a_piece_counts_its_own_words(text_file):
    corpus = prepare_corpus(str(text_file), threshold=1, progress=False)
    text, words = piece_columns(corpus, 50, 2, CPU)
    ids = np.asarray(corpus.train[:50])
    assert text.shape == (25, 2) and words == len(set(ids.tolist())) < len(corpus.vocabulary)
    counts = torch.bincount(text.flatten(), minlength=words)
    assert (counts.diff() >= 0).all()
    order = dict(zip(ids.tolist(), text.t().flatten().tolist(), strict=True))  # one id, one row
    assert [order[i] for i in ids.tolist()] == text.t().flatten().tolist()


def test_rare_words_of_a_piece_are_one_unknown_word(text_file):
    corpus = prepare_corpus(str(text_file), threshold=1, progress=False)
    ids, counts = np.unique(np.asarray(corpus.train[:50]), return_counts=True)
    assert 0 < (counts < 2).sum() < len(ids)
    text, words = piece_columns(corpus, 50, 2, CPU, unknown_below=2)
    assert words == (counts >= 2).sum() + 1
    unknown = counts[(counts < 2) & (ids != 0)].sum() + counts[ids == 0].sum()
    assert unknown in torch.bincount(text.flatten()).tolist()


@pytest.mark.parametrize("steps", [13, *slow([1, 34])])
def test_interrupted_anywhere_resumes_to_equal_tables(finished, text_file, monkeypatch, steps):
    run, begun = interrupt(small(text_file), monkeypatch, steps)
    assert begun > steps + 1 and contents(run) == contents(finished)


def test_divergence_is_named(text_file):
    with pytest.raises(TrainingError, match=r"diverged in epoch 1.* smaller learning_rate"):
        execute(small(text_file, learning_rate=1e38, clip=1e30), progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 90}, "train text of 'small' has 120 tokens, too few for batch_size=90"),
        ({"corpus": "embeded"}, "unknown corpus 'embeded'"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
    ],
)
def test_bad_input_writes_no_run(text_file, changes, message):
    with pytest.raises(InputError, match=message):
        execute(small(text_file, **changes), progress=False)
    assert not list_runs()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decay": 0.0}, r"decay must be in \(0, 1\], got 0.0"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"stack": "sparce_all"}, r"unknown stack 'sparce_all' \(did you mean 'sparse_all'"),
    ],
)
def test_bad_fields_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Reciting(**changes)


@pytest.mark.parametrize("preset", ["quick", "small", "paper"])
def test_the_study_has_the_seven_rows_with_equal_budgets(preset):
    from sparsecore.models.awd_lstm import build_model, parameter_counts

    configs = study(preset, seed=3, corpus="x", learning_rate=1.0)
    original = Reciting.preset(preset, seed=3, corpus="x", learning_rate=1.0)
    assert configs[:7] == rows(original) and len(configs) == 7 * SEEDS[preset]
    counts = [parameter_counts(build_model(c, 500))["parameters"] for c in configs[:7]]
    assert counts[0] > 2 * max(counts[1:4]) and min(counts[1:4]) > 1.5 * max(counts[4:])
    for dense, *sparse in (counts[1:4], counts[4:]):
        assert sparse == pytest.approx([dense, dense], rel=0.04)
    varying = {"seed", *Reciting.varies}
    for field in dataclasses.fields(Reciting):
        assert field.name in varying or len({getattr(c, field.name) for c in configs}) == 1


def test_each_model_gets_the_rate_it_recites_most_with(text_file, monkeypatch):
    monkeypatch.setitem(RATES, "quick", (0.5, 2.0))
    given = {"corpus": str(text_file), "max_tokens": 60, "epochs": 3, "device": "cpu"}
    with pytest.raises(
        InputError, match=r"0 of the 14 runs that choose the learning rates .* tune"
    ):
        study("quick", **given)
    tuning = [execute(config, progress=False) for config in tune("quick", **given)]
    configs = study("quick", **given)
    assert configs[:14] == tune("quick", **given) and len(configs) == 21
    accuracy = [run.table("results")["accuracy"].iloc[0] for run in tuning]
    for pair, config in zip(np.reshape(accuracy, (7, 2)), configs[14:], strict=True):
        assert config.learning_rate == (0.5, 2.0)[pair.argmax()] and config.seed == 0
    assert {run.config["seed"] for run in tuning} == {TUNING_SEED}
