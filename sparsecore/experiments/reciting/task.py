"""Train a model to recite a text, and write how much of it it can say after every epoch.

The paper's accuracy is that of the training pass itself: each word is predicted before the update
that learns from it. Beside it stands that of a pass of its own at the end of the epoch, with the
weights at rest. A run killed anywhere goes on from its last checkpoint to the same numbers.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from sparsecore.errors import TrainingError
from sparsecore.experiments.language.build import build_model, parameter_counts
from sparsecore.experiments.language.passes import accuracy, piece_columns
from sparsecore.models.awd_lstm import State, detach
from sparsecore.training.batches import random_windows
from sparsecore.training.checkpoint import (
    CheckpointManager,
    load_pair,
    of_prefix,
    save_pair,
    save_tensors,
    with_prefix,
)
from sparsecore.training.device import precision_of, resolve_device
from sparsecore.training.distributed import check_in_sync
from sparsecore.training.sharding import all_gather, all_reduce_gradients, local_shard
from sparsecore.training.stopping import defer_signals
from sparsecore.training.tables import write_table

if TYPE_CHECKING:
    from sparsecore.data.language import Corpus
    from sparsecore.experiments.reciting.config import Reciting


@dataclass
class Progress:
    """What a checkpoint holds beside the tensors."""

    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    done: bool = False
    epochs: list[dict[str, Any]] = field(default_factory=list)
    timing: list[dict[str, Any]] = field(default_factory=list)


class Training:
    """The live objects of one run: model, optimiser, text, and where it stands."""

    def __init__(self, config: Reciting, corpus: Corpus, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.device = resolve_device(config.device)
        self.text, num_words = piece_columns(
            corpus, config.max_tokens, config.batch_size, self.device
        )
        self.columns = local_shard(config.batch_size)
        torch.manual_seed(config.seed)
        self.model = build_model(config, num_words).to(self.device)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), config.learning_rate, momentum=config.momentum
        )
        self.sums = torch.zeros(2, dtype=torch.float64, device=self.device)  # loss, right words
        self.state: State | None = None
        self.progress = Progress()
        self.checkpoints = CheckpointManager(folder)
        self._load()

    def save(self) -> None:
        """Write the checkpoint: of several processes that of the whole batch."""
        batch = self.config.batch_size
        state = {
            f"{i}.{n}": all_gather(t, batch, dim=1)
            for i, carried in enumerate(self.state or [])
            for n, t in zip("hc", carried, strict=True)
        }
        kept = self.optimizer.state_dict()["state"]
        momentum = {str(i): s["momentum_buffer"] for i, s in kept.items() if s}
        save_pair(
            self.checkpoints,
            {
                **with_prefix("model", self.model.state_dict()),
                **with_prefix("momentum", momentum),
                **with_prefix("state", state),
                "sums": self.sums,
            },
            vars(self.progress),
        )

    def _load(self) -> None:
        kept = load_pair(self.checkpoints, self.device)
        if kept is None:
            return
        tensors, values = kept
        self.model.load_state_dict(of_prefix("model", tensors))
        momentum = of_prefix("momentum", tensors)
        state = {int(i): {"momentum_buffer": buffer} for i, buffer in momentum.items()}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.sums = tensors["sums"]
        self.progress = Progress(**values)
        carried = {k: h[:, self.columns] for k, h in of_prefix("state", tensors).items()}
        self.state = [
            (carried[f"{i}.h"], carried[f"{i}.c"]) for i in range(len(carried) // 2)
        ] or None

    @defer_signals()
    def run_epoch(self, progress: bool) -> None:
        """The rest of the current epoch, and the pass that follows it."""
        at, config = self.progress, self.config
        generator = np.random.default_rng([config.seed, at.epoch])
        windows = random_windows(len(self.text) - 1, config.sequence_length, generator)
        rate = config.learning_rate * config.decay ** (at.epoch - 1)
        self.model.train()
        started = time.monotonic()
        bar = tqdm(
            total=len(windows),
            initial=at.step,
            desc=f"epoch {at.epoch}/{config.epochs}",
            unit="step",
            disable=not progress,
            leave=False,
        )
        with bar:
            while at.step < len(windows):
                start, length = windows[at.step]
                self.train_step(start, length, rate * length / config.sequence_length)
                at.step += 1
                bar.update()
                if self.checkpoints.due():
                    self.save()
        evaluated = accuracy(self.model, self.text, config.sequence_length)
        at.seconds += time.monotonic() - started
        self._end_epoch(rate, evaluated)

    def train_step(self, start: int, length: int, rate: float) -> None:
        """One window forward, its right words counted, backward, and an update."""
        inputs = self.text[start : start + length, self.columns]
        targets = self.text[start + 1 : start + length + 1, self.columns]
        positions = length * self.config.batch_size
        self.optimizer.zero_grad()
        hidden, _, state = self.model(inputs, self.state)
        logits = self.model.logits(hidden).flatten(0, 1)  # T·B V
        loss = F.cross_entropy(logits, targets.flatten()) * (targets.numel() / positions)
        loss.backward()
        right = (logits.detach().argmax(-1) == targets.flatten()).sum()
        loss, right = all_reduce_gradients(self.model.parameters(), loss, right)
        self.sums += torch.stack([loss * positions, right])
        self.state = detach(state)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()

    def _end_epoch(self, rate: float, evaluated: float) -> None:
        at, config = self.progress, self.config
        check_in_sync(self.model.parameters(), self.device)
        words = self.text[1:].numel()
        loss, right = (float(x) for x in self.sums)
        if not math.isfinite(loss):
            raise TrainingError(
                f"training diverged in epoch {at.epoch}: the loss is {loss}; try a smaller "
                f"learning_rate (now {config.learning_rate}) or clip (now {config.clip})"
            )
        row = {
            "epoch": at.epoch,
            "train_loss": loss / words,
            "accuracy": right / words,
            "evaluated_accuracy": evaluated,
            "learning_rate": rate,
        }
        at.epochs.append(row)
        at.timing.append({"epoch": at.epoch, "seconds": at.seconds, "tokens": words})
        at.done = 1 - row["accuracy"] < config.enough
        write_table(self.folder / "epochs.parquet", pd.DataFrame(at.epochs))
        write_table(self.folder / "timing.parquet", pd.DataFrame(at.timing))
        at.epoch, at.step, at.seconds = at.epoch + 1, 0, 0.0
        self.state = None
        self.sums.zero_()
        self.save()


def train(config: Reciting, corpus: Corpus, folder: Path, progress: bool = True) -> None:
    """Run the experiment into ``folder``: epochs, timing, results and weights.

    Raises:
        InputError: the text is too short for the batch, or the disk is full.
        TrainingError: the loss stopped being a number.
    """
    training = Training(config, corpus, folder)
    at = training.progress
    with precision_of(config.precision, training.device):
        while not at.done and at.epoch <= config.epochs:
            training.run_epoch(progress)
            if progress:
                tqdm.write(_line(at))
    weights = {k: v.cpu() for k, v in training.model.state_dict().items()}
    save_tensors(folder / "weights.safetensors", weights)
    write_table(folder / "results.parquet", pd.DataFrame([results(training)]))


def results(training: Training) -> dict[str, Any]:
    """The row of ``results.parquet``: the best epoch by either accuracy, sizes, counts."""
    epochs = training.progress.epochs
    best = max(epochs, key=lambda row: row["accuracy"])
    return {
        "accuracy": best["accuracy"],
        "best_epoch": best["epoch"],
        "evaluated_accuracy": max(row["evaluated_accuracy"] for row in epochs),
        "epochs": len(epochs),
        **parameter_counts(training.model),
        "words": len(training.model.bias),
        "tokens": training.text[1:].numel(),
    }


def _line(at: Progress) -> str:
    row, timing = at.epochs[-1], at.timing[-1]
    return (
        f"epoch {row['epoch']:3d}  loss {row['train_loss']:.3f}  "
        f"recited {row['accuracy']:.2%} (at rest {row['evaluated_accuracy']:.2%})  "
        f"{timing['seconds']:.0f} s"
    )
