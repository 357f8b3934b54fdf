"""Language modelling end to end on a small text: what it writes, how it resumes."""

import dataclasses
import math

import pandas as pd
import pytest
import torch

from sparsecore.data.language import prepare_corpus
from sparsecore.errors import InputError, TrainingError
from sparsecore.experiments.language import task
from sparsecore.experiments.language.config import Language, sparse_match, study
from sparsecore.experiments.language.task import Task
from sparsecore.layers.embedding import frequency_order
from sparsecore.models.awd_lstm import build_model
from sparsecore.runs.execute import execute
from sparsecore.runs.store import list_runs
from sparsecore.training.language import accuracy, mean_loss, text_columns
from tests.conftest import small_text
from tests.experiments.interrupt import contents, interrupt, slow, undisturbed

CPU = torch.device("cpu")


def small(text_file, **changes):
    fields = {
        "corpus": str(text_file),
        "tokenised": False,
        "embedding_size": 12,
        "hidden_size": 20,
        "sequence_length": 12,
        "batch_size": 10,
        "num_layers": 2,
        "valid_batch_size": 2,
        "epochs": 4,
        "average_by": 2,
        "finetune_epochs": 2,
        "dropout": 0.1,
        "weight_drop": 0.2,
        "learning_rate": 20.0,
        "device": "cpu",
    }
    return Language(**{**fields, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The uninterrupted run, computed once."""
    return undisturbed(small, tmp_path_factory.mktemp("finished"))


def test_tables_of_a_run(finished):
    epochs = pd.read_parquet(finished.path / "epochs.parquet")
    assert list(epochs["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert list(epochs["phase"]) == ["train"] * 4 + ["finetune"] * 2
    assert list(epochs["averaged"]) == [False, False, True, True, True, True]
    assert epochs["valid_loss"].iloc[-1] < epochs["valid_loss"].iloc[0] - 0.1
    results = pd.read_parquet(finished.path / "results.parquet")
    assert len(results) == 1
    row = results.iloc[0]
    assert row["averaging_epoch"] == 2
    for suffix, until in (("", 4), ("_finetuned", 6)):
        seen = epochs[epochs["epoch"] <= until]
        best = seen.loc[seen["valid_loss"].idxmin()]
        assert row[f"best_epoch{suffix}"] == best["epoch"]
        assert row[f"valid_perplexity{suffix}"] == pytest.approx(best["valid_perplexity"], 1e-6)
    assert row["epochs"] == 4 and row["epochs_finetuned"] == 2
    assert not (finished.path / "checkpoint.safetensors").exists()


def test_perplexity_of_the_written_weights(finished, tmp_path):
    """The weights that a run leaves give its numbers, computed word by word."""
    from safetensors.torch import load_file

    (tmp_path / "small.txt").write_text(small_text())
    corpus = prepare_corpus(str(tmp_path / "small.txt"), threshold=1, progress=False)
    config = small(tmp_path / "small.txt")
    model = build_model(config, len(corpus.vocabulary)).eval()
    model.load_state_dict(load_file(finished.path / "weights.safetensors"))
    rows = frequency_order(corpus.vocabulary.counts)
    text = rows[torch.tensor(corpus.test).long()]
    with torch.no_grad():
        logits = model.logits(model(text[:-1, None])[0])[:, 0]
    loss = torch.nn.functional.cross_entropy(logits.double(), text[1:])
    row = pd.read_parquet(finished.path / "results.parquet").iloc[0]
    assert row["test_perplexity_finetuned"] == pytest.approx(math.exp(loss), rel=1e-5)
    assert row["test_tokens"] == len(text) - 1
    assert row["parameters"] == sum(p.numel() for p in model.parameters())
    columns = text_columns(corpus, "test", 1, CPU)
    right = (logits.argmax(-1) == text[1:]).double().mean()
    assert accuracy(model, columns, 7) == pytest.approx(float(right))
    assert mean_loss(model, columns, 7) == pytest.approx(float(loss), rel=1e-5)


def test_the_commonest_words_are_kept_with_every_sentence(text_file):
    config = small(text_file, max_types=12)
    corpus = task.prepare(config, progress=False)
    assert len(corpus.vocabulary) == 12 + 2  # and <unk>, <eos>
    whole = task.prepare(small(text_file), progress=False)
    for split in ("train", "valid", "test"):
        assert len(getattr(corpus, split)) >= len(getattr(whole, split))
    with pytest.raises(InputError, match="threshold must be 1 with max_types"):
        dataclasses.replace(config, threshold=2)


def test_ids_ascend_with_frequency(text_file):
    corpus = prepare_corpus(str(text_file), threshold=1, progress=False)
    text = text_columns(corpus, "train", 1, CPU)
    counts = torch.bincount(text.flatten(), minlength=len(corpus.vocabulary))
    assert (counts.diff() >= 0).all() and counts[-1] == corpus.vocabulary.counts.max()


@pytest.mark.parametrize("steps", [33, *slow([1, 80])])
def test_interrupted_anywhere_resumes_to_equal_tables(finished, text_file, monkeypatch, steps):
    run, begun = interrupt(small(text_file), monkeypatch, steps)
    assert begun > steps + 20
    assert contents(run) == contents(finished)


@pytest.mark.parametrize("phase", ["train", "finetune"])
def test_interrupted_between_the_phases(finished, text_file, monkeypatch, phase):
    def interrupted(self):
        if self.progress.phase == phase:
            raise KeyboardInterrupt
        return original(self)

    original = Task.reached
    monkeypatch.setattr(Task, "reached", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(small(text_file), progress=False)
    monkeypatch.setattr(Task, "reached", original)
    assert contents(execute(small(text_file), progress=False)) == contents(finished)


def test_a_sparse_model_trains_too(text_file):
    config = sparse_match(small(text_file, epochs=2, embedding_density=0.5, embedding_bins=4))
    row = pd.read_parquet(execute(config, progress=False).path / "results.parquet").iloc[0]
    assert row["test_perplexity"] < row["words"]
    assert row["train_perplexity_finetuned"] < 0.8 * row["words"]


def test_fine_tuning_stops_by_the_rule(text_file, monkeypatch):
    found = iter([4.0] * 4 + [3.0, 2.0, 2.5, 2.2])  # an epoch, three splits; 2.2 is > min(3, 2)
    monkeypatch.setattr(task, "mean_loss", lambda *_: next(found, 2.0))
    config = small(text_file, epochs=1, nonmono=1, finetune_epochs=40)
    run = execute(config, progress=False)
    epochs = pd.read_parquet(run.path / "epochs.parquet").query("phase == 'finetune'")
    assert list(epochs["valid_loss"]) == [3.0, 2.0, 2.5, 2.2]


def test_divergence_is_named(text_file):
    with pytest.raises(TrainingError, match=r"diverged in epoch 1 .* smaller learning_rate"):
        execute(small(text_file, learning_rate=1e38, clip=1e30), progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 5000}, "train text of 'small' has .* too few for batch_size=5000"),
        ({"corpus": "embeded"}, "unknown corpus 'embeded'"),
        ({"device": "cdua"}, r"unknown device 'cdua' \(did you mean 'cuda'"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"corpus": "embedded", "tokenised": True}, "tokenised=True needs a text"),
    ],
)
def test_bad_input_writes_no_run(text_file, changes, message):
    with pytest.raises(InputError, match=message):
        execute(small(text_file, **changes), progress=False)
    assert not list_runs()


def test_presets_and_study():
    paper = Language.preset("paper", corpus="x")
    assert (paper.embedding_size, paper.hidden_size, paper.weight_drop) == (400, 1150, 0.5)
    with pytest.raises(InputError, match=r"unknown preset 'smal' \(did you mean 'small'"):
        Language.preset("smal")
    with pytest.raises(InputError, match=r"unknown parameter 'sead' \(did you mean 'seed'"):
        Language.preset("quick", sead=1)
    configs = study("small", corpus="x")
    assert len(configs) == len(set(configs)) == 6 and {c.seed for c in configs} == {0, 1, 2}
    varying = {"seed", *Language.varies}
    for field in dataclasses.fields(configs[0]):
        assert field.name in varying or len({getattr(c, field.name) for c in configs}) == 1
