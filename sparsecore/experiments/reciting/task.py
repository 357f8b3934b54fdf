"""Train a model to recite a text, and write how much of it it can say after every epoch.

The paper's accuracy is that of the training pass itself: each word is predicted before the update
that learns from it. Beside it stands that of a pass of its own in eval mode, at the end of the
epoch.

On a GPU the windows of a length are replays of one CUDA graph (:mod:`sparsecore.training.windows`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from sparsecore.data.language import Corpus
from sparsecore.experiments.reciting.config import Reciting
from sparsecore.models.awd_lstm import build_model, parameter_counts
from sparsecore.models.language_model import State, detach
from sparsecore.training.batches import columns, random_windows
from sparsecore.training.language import CarriedState, accuracy, piece_columns, prepare_text
from sparsecore.training.loop import Outputs, Row, Sums, gradients
from sparsecore.training.windows import Windows


def prepare(config: Reciting, progress: bool = True) -> Corpus:
    """Check device and precision, and prepare the text (cached)."""
    corpus = prepare_text(config, {}, progress, tokenised=config.tokenised)
    piece = corpus.train[: config.max_tokens]
    columns(piece, config.batch_size, f"train text of {corpus.name!r}")
    return corpus


@dataclass
class Progress:
    """The best epoch so far, and whether it is good enough."""

    accuracy: float = -1.0
    best_epoch: int = 0
    evaluated_accuracy: float = -1.0
    epochs: int = 0
    done: bool = False


class Task:
    """One language model, and the text that it learns by heart."""

    def __init__(self, config: Reciting, corpus: Corpus, folder: Path) -> None:
        self.config, self.corpus = config, corpus
        self.epochs = range(1, config.epochs + 1)

    def build(self, device: torch.device) -> dict[str, Any]:
        """The text as columns, the untrained model, SGD with momentum."""
        config = self.config
        self.text, num_words = piece_columns(
            self.corpus, config.max_tokens, config.batch_size, device, config.unknown_below
        )
        self.model = build_model(config, num_words).to(device)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), config.learning_rate, momentum=config.momentum
        )
        self.state = CarriedState(config.batch_size, device)
        self.windows = Windows(self.model, self.text, self.state, self.compute)
        self.progress = Progress()
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "state": self.state,
            "progress": self.progress,
        }

    def batches(self, epoch: int) -> list[tuple[int, int]] | None:
        """Start and length of each window; None once enough of the text is known."""
        config = self.config
        if self.progress.done:
            return None
        self.epoch = epoch
        self.learning_rate = config.learning_rate * config.decay ** (epoch - 1)
        generator = np.random.default_rng([config.seed, epoch])
        return random_windows(len(self.text) - 1, config.sequence_length, generator)

    def step(self, window: tuple[int, int]) -> Sums:
        """One window forward, its right words counted, backward, and an update."""
        (start, length), config = window, self.config
        loss, right = self.windows(start, length)
        rate = self.learning_rate * length / config.sequence_length
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        positions = length * config.batch_size
        return {"loss": loss * positions, "right": right, "count": positions}

    def compute(
        self, inputs: Tensor, targets: Tensor, state: State | None
    ) -> tuple[list[Tensor], State]:
        """This process's columns of a window: loss and hits of all, gradients, the state after."""
        positions, words = len(targets) * self.config.batch_size, targets.flatten()
        hidden, _, after = self.model(inputs, state)
        logits = self.model.logits(hidden).flatten(0, 1)  # T·B V
        loss = F.cross_entropy(logits, words) * (words.numel() / positions)
        right = (logits.detach().argmax(-1) == words).sum()
        sums = gradients(self.model, loss, right, clip=self.config.clip, sharded=True)
        return sums, detach(after)

    def end_epoch(self, sums: dict[str, float]) -> Row:
        """Accuracy of the pass, and of another one in eval mode."""
        at = self.progress
        self.state.value = None
        recited = sums["right"] / sums["count"]
        evaluated = accuracy(self.model, self.text, self.config.sequence_length)
        if recited > at.accuracy:
            at.accuracy, at.best_epoch = recited, self.epoch
        at.evaluated_accuracy = max(at.evaluated_accuracy, evaluated)
        at.epochs = self.epoch
        at.done = 1 - recited < self.config.enough
        return {
            "train_loss": sums["loss"] / sums["count"],
            "accuracy": recited,
            "evaluated_accuracy": evaluated,
            "learning_rate": self.learning_rate,
        }

    def results(self) -> Outputs:
        """The best epoch by either accuracy, sizes, counts; the last weights."""
        at = self.progress
        row = {
            "accuracy": at.accuracy,
            "best_epoch": at.best_epoch,
            "evaluated_accuracy": at.evaluated_accuracy,
            "epochs": at.epochs,
            **parameter_counts(self.model),
            "words": len(self.model.bias),
            "tokens": self.text[1:].numel(),
            "commonest": self.text[1:].flatten().bincount().max().item() / self.text[1:].numel(),
        }
        return {"weights": self.model.state_dict(), "results": pd.DataFrame([row])}
