"""Several processes compute what one does: weights, tables, checkpoints; and fail as one."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from sparsecore.emergent.experiment import Emergent
from sparsecore.learned.sentiment.experiment import Sentiment
from sparsecore.predefined.language.experiment import Language
from sparsecore.predefined.reciting.experiment import Reciting
from sparsecore.predefined.tagging.experiment import Tagging
from sparsecore.runs.execute import execute
from sparsecore.runs.store import Run, list_runs
from tests.conftest import small_text
from tests.learned.planted import write_planted
from tests.predefined.test_tagging import planted_text
from tests.training.processes import command, launch, run_all, run_until


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "small.txt").write_text(small_text(200))
    (folder / "tagged").mkdir()
    for number, (split, size) in enumerate({"train": 90, "dev": 20, "test": 20}.items()):
        (folder / "tagged" / f"{split}.txt").write_text(planted_text(size, number))
    write_planted(folder, 240)
    return folder


def configs(texts: Path) -> list:
    """One of each experiment, with every dropout on and batches that 2 and 3 do not divide."""
    text = str(texts / "small.txt")
    words = {"corpus": text, "tokenised": False, "num_layers": 1, "sequence_length": 8}
    return [
        Emergent(
            text, threshold=2, class_threshold=2, embedding_size=6, hidden_size=7, batch_size=5,
            sequence_length=9, epochs=2, learning_rate=5.0, dropout=0.3, device="cpu",
        ),
        Language(
            **words, embedding_size=12, hidden_size=20, batch_size=7, valid_batch_size=2, epochs=2,
            average_by=1, finetune_epochs=1, weight_drop=0.2, learning_rate=5.0, device="cpu",
        ),
        Reciting(
            **words, max_tokens=300, embedding_size=12, hidden_size=20, batch_size=5, epochs=2,
            learning_rate=1.0, device="cpu",
        ),
        Tagging(
            str(texts / "tagged"), epochs=2, embedding_dim=6, density=0.5, batch_size=11,
            word_dropout=0.1, embedding_dropout=0.2, weight_drop=0.1, device="cpu",
        ),
        Sentiment(
            str(texts / "reviews.tsv"), vectors=str(texts / "vectors.txt"), structure="0,0,4",
            strength=5e-4, finetune_from="both", learning_rate=0.1, batch_size=13, max_epochs=6,
            embed_dropout=0.1, rnn_dropout=0.1,
            device="cpu",
        ),
    ]  # fmt: skip


NAMES = ("emergent", "language", "reciting", "tagging", "sentiment")


@pytest.fixture(scope="module")
def single(texts, tmp_path_factory) -> dict[str, Run]:
    """Each run by one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(tmp_path_factory.mktemp("single")))
        return {config.name: execute(config, progress=False) for config in configs(texts)}


def assert_same_run(run: Run, right: Run) -> None:
    """Every table and every weight to rounding, every count and decision exactly."""
    assert run.path.name == right.path.name and run.done
    ours, theirs = files(run), files(right)
    assert ours == theirs
    for name in ours:
        if name.endswith(".safetensors"):
            a, b = load_file(run.path / name), load_file(right.path / name)
            assert a.keys() == b.keys()
            for key in a:
                np.testing.assert_allclose(a[key], b[key], rtol=1e-3, atol=2e-4, err_msg=key)
        elif "timing" not in name:
            a, b = pd.read_parquet(run.path / name), pd.read_parquet(right.path / name)
            pd.testing.assert_frame_equal(a, b, rtol=1e-3, atol=2e-4)


def files(run: Run) -> list[str]:
    return sorted(
        str(path.relative_to(run.path))
        for path in run.path.rglob("*")
        if path.suffix in (".parquet", ".safetensors")
    )


def test_three_processes_compute_what_one_does(texts, single, tmp_path, monkeypatch):
    assert launch(3, run_all, configs(texts), tmp_path) == [0, 0, 0]
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path))
    runs = {run.experiment: run for run in list_runs()}
    assert set(runs) == set(NAMES)
    for name, run in runs.items():
        assert_same_run(run, single[name])
        assert run.environment["processes"] == 3 and single[name].environment["processes"] == 1
