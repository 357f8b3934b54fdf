"""Several processes compute what one does: weights, tables, checkpoints; and fail as one."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from sparsecore.errors import TrainingError
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.experiments.language.config import Language
from sparsecore.experiments.reciting.config import Reciting
from sparsecore.experiments.sentiment.config import Sentiment
from sparsecore.experiments.tagging.config import Tagging
from sparsecore.layers.dropout import LockedDropout
from sparsecore.ops.word_sums import add_words, empty_sums, quantise
from sparsecore.runs.execute import execute
from sparsecore.runs.store import list_runs
from sparsecore.training.distributed import (
    all_reduce,
    broadcast,
    broadcast_object,
    check_in_sync,
    joined,
    rank0_first,
)
from sparsecore.training.run_folder import Run
from sparsecore.training.sharding import all_gather, local_shard, shared_dropout
from tests.conftest import small_text
from tests.experiments.test_tagging import planted_text
from tests.pruning.planted import write_planted
from tests.training.processes import command, get_ready, launch, run_all

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"), 200, (90, 20, 20), 200)


def write_texts(folder: Path, sentences: int, tagged: tuple[int, int, int], reviews: int) -> Path:
    """What the experiments of :func:`configs` read: a text, a treebank of three parts, reviews."""
    (folder / "small.txt").write_text(small_text(sentences))
    (folder / "tagged").mkdir()
    for number, (split, size) in enumerate(zip(("train", "dev", "test"), tagged, strict=True)):
        (folder / "tagged" / f"{split}.txt").write_text(planted_text(size, number))
    write_planted(folder, reviews)
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
            strength=5e-4, learning_rate=0.1, batch_size=13, max_epochs=6, embed_dropout=0.1,
            rnn_dropout=0.1, device="cpu",
        ),
    ]  # fmt: skip


NAMES = ("emergent", "language", "reciting", "tagging", "sentiment")


@pytest.fixture(scope="module")
def single(texts, tmp_path_factory) -> dict[str, Run]:
    """Each run by one process."""
    get_ready()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(tmp_path_factory.mktemp("single")))
        return {config.name: execute(config, progress=False) for config in configs(texts)}


@pytest.fixture
def home(single, tmp_path) -> Path:
    """A home without runs, in which the texts are prepared."""
    shutil.copytree(single["emergent"].path.parents[2] / "cache", tmp_path / "cache")
    return tmp_path


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


def test_three_processes_compute_what_one_does(texts, single, home, monkeypatch):
    assert launch(3, run_all, configs(texts), home) == [0, 0, 0]
    monkeypatch.setenv("SPARSECORE_HOME", str(home))
    runs = {run.experiment: run for run in list_runs()}
    assert set(runs) == set(NAMES)
    for name, run in runs.items():
        assert_same_run(run, single[name])
        assert run.environment["processes"] == 3 and single[name].environment["processes"] == 1


def test_resumed_with_another_number_of_processes(texts, single, home, monkeypatch):
    """Two, then three, then one; stopped within epochs, where a state is carried and sums grow."""
    steps = {"emergent": 15, "language": 11, "reciting": 5, "tagging": 5, "sentiment": 30}
    assert launch(2, run_all, configs(texts), home, steps) == [0, 0]
    more = {"emergent": 20, "language": 20, "reciting": 4, "tagging": 6, "sentiment": 40}
    assert launch(3, run_all, configs(texts), home, more) == [0, 0, 0]
    monkeypatch.setenv("SPARSECORE_HOME", str(home))
    for config in configs(texts):
        before = load_file(list_run(config.name).path / "checkpoint.safetensors")
        assert carried(before) == BATCH.get(config.name, set())
        assert_same_run(execute(config, progress=False), single[config.name])


BATCH = {"emergent": {5}, "language": {7}, "reciting": {5}}


def carried(checkpoint: dict) -> set[int]:
    """The widths of the LSTM states in a checkpoint."""
    return {value.shape[1] for name, value in checkpoint.items() if name.startswith("state.")}


def list_run(experiment: str) -> Run:
    (run,) = list_runs(experiment)
    return run


@pytest.mark.parametrize(("lost", "size"), [(1, 2), (0, 3)])
def test_a_lost_process_ends_the_run_in_one_line_and_it_goes_on(
    lost, size, texts, single, home, monkeypatch
):
    config = configs(texts)[0]
    arguments = ["run", "emergent", "--no-progress", *options(config)]
    codes = launch(size, command, arguments, home, (lost, 17))
    assert codes[lost] == -9 and [code for code in codes if code != -9] == [1] * (size - 1)
    said = [(home / f"err{rank}").read_text() for rank in range(size)]
    assert "".join(said).startswith("error: stopped, for a process of this run was lost")
    assert "".join(said).count("\n") == 1 and said[lost] == ""
    monkeypatch.setenv("SPARSECORE_HOME", str(home))
    assert (list_run("emergent").path / "checkpoint.safetensors").exists()
    assert_same_run(execute(config, progress=False), single["emergent"])


def options(config) -> list[str]:
    """The command line that makes this configuration."""
    return [
        text
        for field in dataclasses.fields(config)
        for text in (f"--{field.name.replace('_', '-')}", str(getattr(config, field.name)).lower())
    ]


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (["--batch-size", "2"], 2, "error: batch_size=2 is too small for 3 processes"),
        (["--corpus", "missing.txt"], 2, "missing.txt"),
        (["--sede", "1"], 2, "error: unknown option --sede"),
        (["--learning-rate", "1e38", "--clip", "1e38"], 1, "error: training diverged in epoch 1"),
    ],
)
def test_an_error_is_told_once(changes, code, message, texts, home):
    arguments = ["run", "emergent", "--no-progress", *options(configs(texts)[0]), *changes]
    assert launch(3, command, arguments, home) == [code] * 3
    said = "".join((home / f"err{rank}").read_text() for rank in range(3))
    assert message in said and said.count("\n") == 1


def test_a_finished_run_is_found_and_printed_once(texts, single):
    home = single["emergent"].path.parents[2]
    arguments = ["run", "emergent", "--no-progress", *options(configs(texts)[0])]
    assert launch(2, command, arguments, home) == [0, 0]
    assert (home / "out0").read_text().endswith(f"run folder: {single['emergent'].path}\n")
    assert (home / "out1").read_text() == (home / "err0").read_text() == ""


def test_the_parts_make_the_whole():
    assert launch(3, parts_make_the_whole) == [0, 0, 0]


def parts_make_the_whole() -> None:
    with joined() as world:
        for total in (1, 2, 3, 7, 20):
            columns = torch.arange(total)[local_shard(total)]
            assert torch.equal(all_gather(columns, total, 0), torch.arange(total))

        # sums of words: equal vectors give equal bits, whoever has seen them
        generator = torch.Generator().manual_seed(0)
        words = torch.randint(11, (30, 7), generator=generator)
        values = torch.rand(2, 30, 7, generator=generator)
        sums, right = empty_sums(11), empty_sums(11)
        add_words(right, words.flatten(), quantise(*values.flatten(1)))
        mine = local_shard(7)
        add_words(sums, words[:, mine].flatten(), quantise(*values[:, :, mine].flatten(1)))
        assert torch.equal(all_reduce(sums), right) and not torch.equal(sums, right)

        # masks: the columns that one process would have drawn, and as many numbers taken
        for module in (nn.Dropout(0.4), LockedDropout(0.4)):
            for x in (torch.rand(4, 7, 3), torch.rand(4, 3, 7).transpose(1, 2)):
                torch.manual_seed(world.size)
                right, after = module(x)[:, local_shard(7)], torch.get_rng_state()
                torch.manual_seed(world.size)
                with shared_dropout(module, local_shard(7), 7):
                    assert torch.equal(module(x[:, local_shard(7)]), right)
                assert torch.equal(torch.get_rng_state(), after)
                assert module(x).shape == x.shape

        weight = torch.ones(3)
        check_in_sync([weight], CPU)
        assert (
            broadcast(world.first)
            and broadcast_object(lambda: "the first one's") == "the first one's"
        )
        with pytest.raises(TrainingError, match="have come apart"):
            check_in_sync([weight + (world.rank == 2) * 1e-7], CPU)
        if world.rank == 1:
            torch.rand(1)
        with pytest.raises(TrainingError, match="have come apart"):
            check_in_sync([weight], CPU)


def test_alone_nothing_is_sent_and_nothing_changed():
    x = torch.rand(4, 3)
    assert all_reduce(x) is x and all_gather(x, 3, 1) is x and rank0_first(lambda: x) is x
    assert local_shard(3) == slice(0, 3) and broadcast(True) and broadcast_object(lambda: x) is x
    module = nn.Dropout(0.5)
    with shared_dropout(module, local_shard(3), 3):
        assert not module._forward_pre_hooks and not module._forward_hooks


@pytest.mark.slow
def test_torchrun_itself(texts, tmp_path):
    """The command as it is typed, up to the first thing that can be refused."""
    done = torchrun(2, tmp_path, "run", "emergent", *options(configs(texts)[0]), "--sede", "3")
    assert done.returncode == 1
    assert done.stderr.count("error: unknown option --sede (did you mean '--seed'?)") == 1
    assert "sparsecore/" not in done.stderr  # no stack of ours
    assert done.stdout == ""


def torchrun(size: int, home: Path, *arguments: str, restarts: int = 0):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(size)]
    command += ["--max-restarts", str(restarts)]
    environment = {**os.environ, "SPARSECORE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, "--standalone", "-m", "sparsecore", *arguments],
        env=environment, capture_output=True, text=True, timeout=400,
    )  # fmt: skip


@pytest.mark.slow
def test_torchrun_trains_loses_a_process_and_goes_on(texts, single, home, monkeypatch):
    """A real SIGKILL of a worker, from outside, while it trains."""
    config = dataclasses.replace(configs(texts)[0], epochs=60)
    watcher = threading.Thread(target=kill_a_worker, args=(home,))
    watcher.start()
    done = torchrun(2, home, "run", "emergent", "--no-progress", *options(config))
    watcher.join()
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("error: stopped, for a process of this run was lost") == 1
    done = torchrun(3, home, "run", "emergent", "--no-progress", *options(config))
    assert done.returncode == 0 and done.stdout.count("run folder:") == 1
    monkeypatch.setenv("SPARSECORE_HOME", str(home))
    run = list_run("emergent")
    monkeypatch.setenv("SPARSECORE_HOME", str(home / "alone"))
    right = execute(config, progress=False)
    first = [f"statistics/epoch-{epoch:03d}.parquet" for epoch in range(3)]
    for name in first:  # later on rounding has grown
        a, b = pd.read_parquet(run.path / name), pd.read_parquet(right.path / name)
        pd.testing.assert_frame_equal(a, b, rtol=1e-3, atol=2e-4)
    assert abs(run.epochs["valid_loss"] - right.epochs["valid_loss"]).max() < 0.1


@pytest.mark.slow
def test_torchrun_begins_again_by_itself(texts, home):
    config = dataclasses.replace(configs(texts)[0], epochs=30)
    watcher = threading.Thread(target=kill_a_worker, args=(home,))
    watcher.start()
    done = torchrun(2, home, "run", "emergent", "--no-progress", *options(config), restarts=1)
    watcher.join()
    assert done.returncode == 0 and done.stdout.count("run folder:") == 1
    assert done.stderr.count("error: stopped, for a process of this run was lost") == 1


def kill_a_worker(home: Path) -> None:
    """SIGKILL to the second process once two epochs are written."""
    while not list(home.glob("runs/emergent/*/statistics/epoch-001.parquet")):
        time.sleep(0.05)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"SPARSECORE_HOME={home}".encode() in environment and b"RANK=1" in environment:
            os.kill(int(process.name), signal.SIGKILL)
