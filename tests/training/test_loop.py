"""The loop with a small task of its own: what it trains, keeps, resumes, refuses and reports."""

import os
import signal
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from sparsecore.errors import Stopped, TrainingError
from sparsecore.training.checkpoint import LAST, CheckpointManager
from sparsecore.training.loop import train, update
from sparsecore.training.stopping import signals_stop

X = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
Y = X @ torch.arange(5.0)


@dataclass
class Config:
    seed: int = 0
    device: str = "cpu"
    learning_rate: float = 0.05
    clip: float = 1.0
    epochs: int = 4


@dataclass
class Memory:
    best: float = float("inf")
    weights: dict = field(default_factory=dict)


class Task:
    """Linear regression with dropout: six batches of four; the best epoch's weights are kept."""

    def __init__(self, config=None, enough=0.0):
        self.config, self.enough = config or Config(), enough
        self.epochs = range(1, self.config.epochs + 1)
        self.steps = 0

    def build(self, device):
        self.model = nn.Sequential(nn.Dropout(0.2), nn.Linear(5, 1)).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), self.config.learning_rate)
        self.memory = Memory()
        return {"model": self.model, "optimizer": self.optimizer, "memory": self.memory}

    def batches(self, epoch):
        if self.memory.best < self.enough:
            return None
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(X))
        return order.reshape(6, 4)

    def step(self, rows):
        self.steps += 1
        loss = F.mse_loss(self.model(X[rows]).squeeze(1), Y[rows])
        (loss,) = update(self.model, self.optimizer, loss, clip=self.config.clip)
        return {"loss": loss * len(rows), "count": len(rows), "tokens": 10 * len(rows)}

    def end_epoch(self, sums):
        self.model.eval()
        loss = F.mse_loss(self.model(X).squeeze(1), Y).item()
        if loss < self.memory.best:
            state = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            self.memory.best, self.memory.weights = loss, state
        return {"train_loss": sums["loss"] / sums["count"], "loss": loss}

    def results(self):
        return {
            "weights": self.memory.weights,
            "results": pd.DataFrame([{"best": self.memory.best}]),
        }


def contents(folder):
    """Every file but the times, as bytes."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.stem not in TIMED}


TIMED = ("timing", LAST.removesuffix(".safetensors"), "checkpoint.previous")


@pytest.fixture
def undisturbed(tmp_path):
    folder = tmp_path / "undisturbed"
    train(Task(), folder, progress=False)
    return folder


def test_a_run_leaves_epochs_times_results_and_weights(undisturbed):
    epochs = pd.read_parquet(undisturbed / "epochs.parquet")
    assert list(epochs.columns) == ["epoch", "train_loss", "loss"]
    assert list(epochs["epoch"]) == [1, 2, 3, 4] and epochs["loss"].is_monotonic_decreasing
    timing = pd.read_parquet(undisturbed / "timing.parquet")
    assert list(timing["tokens"]) == [240] * 4 and (timing["seconds"] > 0).all()
    best = pd.read_parquet(undisturbed / "results.parquet")["best"][0]
    assert best == epochs["loss"].min()
    weights = load_file(undisturbed / "weights.safetensors")
    assert F.mse_loss(X @ weights["1.weight"][0] + weights["1.bias"], Y).item() == best


@pytest.mark.parametrize("steps", [0, 1, 6, 14, 23])
def test_interrupted_anywhere_it_goes_on_to_the_same_bytes(
    undisturbed, tmp_path, monkeypatch, steps
):
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "0")

    class Interrupted(Task):
        def step(self, rows):
            if self.steps == steps:
                raise KeyboardInterrupt
            return super().step(rows)

    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(), tmp_path / "run", progress=False)
    torch.manual_seed(99)  # a new process has another random state
    second = Task()
    train(second, tmp_path / "run", progress=False)
    assert second.steps == 24 - steps
    assert contents(tmp_path / "run") == contents(undisturbed)


def test_short_epochs_share_a_checkpoint(undisturbed, tmp_path, monkeypatch):
    """A hundred epochs of a second must not write a hundred times what they all remember."""
    saved = []
    save = CheckpointManager.save
    monkeypatch.setattr(
        CheckpointManager, "save", lambda self, parts: saved.append(save(self, parts))
    )
    train(Task(), tmp_path / "run", progress=False)
    assert len(saved) == 1
    assert contents(tmp_path / "run") == contents(undisturbed)
    monkeypatch.setattr("sparsecore.training.loop.PAUSE", 0.0)
    train(Task(), tmp_path / "each", progress=False)
    assert len(saved) == 5
    assert contents(tmp_path / "each") == contents(undisturbed)


def test_what_ended_is_not_trained_again(undisturbed):
    again = Task()
    train(again, undisturbed, progress=False)
    assert again.steps == 0


def test_a_task_may_end_before_its_last_epoch(tmp_path):
    enough = Task(enough=1e9)
    train(enough, tmp_path, progress=False)
    assert enough.steps == 6 and len(pd.read_parquet(tmp_path / "epochs.parquet")) == 1


def test_several_steps_in_one_turn_are_counted_one_by_one(undisturbed, tmp_path):
    class Turns(Task):
        def batches(self, epoch):
            self.rows = super().batches(epoch)
            return range(6)

        def step(self, index):
            return [super(Turns, self).step(self.rows[n]) for n in range(index, min(index + 4, 6))]

    turns = Turns()
    train(turns, tmp_path / "turns", progress=False)
    assert turns.steps == 24 and contents(tmp_path / "turns") == contents(undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_with_a_checkpoint(undisturbed, tmp_path, number):
    class Stopping(Task):
        def step(self, rows):
            if self.steps == 8:
                os.kill(os.getpid(), number)
            return super().step(rows)

    run = tmp_path / "experiment" / "hash"
    with pytest.raises(Stopped, match="goes on with run experiment/hash"), signals_stop():
        train(Stopping(), run, progress=False)
    second = Task()
    train(second, run, progress=False)
    assert second.steps == 24 - 9 and contents(run) == contents(undisturbed)


def test_divergence_is_one_line_that_says_where_and_what_to_change(tmp_path):
    config = Config(learning_rate=float("inf"))
    right = r"diverged in epoch 1 by step 2: the loss is (nan|inf); try a smaller learning_rate " \
        r"\(now inf\) or clip \(now 1.0\)"  # fmt: skip
    with pytest.raises(TrainingError, match=right):
        train(Task(config), tmp_path, progress=False)


def test_the_epochs_are_told_on_the_terminal(tmp_path, capsys):
    train(Task(), tmp_path, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].startswith("epoch 1  train loss ") and "loss" in lines[0]
