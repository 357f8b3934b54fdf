"""Train an AWD-LSTM with NT-ASGD, fine-tune it, and write what it reached before and after.

Two phases. ``train``: SGD, then averaged SGD once the validation loss stops falling. ``finetune``:
averaged SGD anew from the best weights, until the same rule says stop. On a GPU the windows of a
length are replays of one CUDA graph (:mod:`sparsecore.training.windows`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sparsecore.data.language import Corpus
from sparsecore.experiments.language.config import Language
from sparsecore.models.awd_lstm import activation_penalty, build_model, parameter_counts
from sparsecore.models.language_model import State, detach
from sparsecore.training.batches import random_windows
from sparsecore.training.language import (
    CarriedState,
    mean_loss,
    perplexity,
    prepare_text,
    text_columns,
)
from sparsecore.training.loop import Outputs, Row, Sums, gradients
from sparsecore.training.nt_asgd import AveragedSGD
from sparsecore.training.sharding import shard
from sparsecore.training.windows import Windows


def prepare(config: Language, progress: bool = True) -> Corpus:
    """Check device and precision, and prepare the text (cached)."""
    columns = batch_sizes(config)
    return prepare_text(
        config,
        columns,
        progress,
        max_tokens=config.max_tokens,
        max_types=config.max_types,
        tokenised=config.tokenised,
    )


def batch_sizes(config: Language) -> dict[str, int]:
    """Columns of each split."""
    return {
        "train": config.batch_size,
        "valid": config.valid_batch_size,
        "test": config.test_batch_size,
    }


@dataclass
class Progress:
    """What is remembered from epoch to epoch."""

    phase: str = "train"
    ran: int = 0  # epochs of the phase
    best_loss: float = math.inf  # of the validation text
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)  # weights
    stopped: bool = False  # the rule ended the fine-tune step
    averaging_epoch: float = math.nan  # the last epoch of plain SGD
    trained: Row = field(default_factory=dict)  # what the first phase reached


class Task:
    """One language model and its texts, through both phases."""

    def __init__(self, config: Language, corpus: Corpus, folder: Path) -> None:
        self.config, self.corpus = config, corpus
        self.epochs = range(1, config.epochs + config.finetune_epochs + 1)  # of both phases

    def build(self, device: torch.device) -> dict[str, Any]:
        """The untrained model, its optimiser, the texts as columns."""
        config = self.config
        self.model = build_model(
            config,
            len(self.corpus.vocabulary),
            dropout=config.dropout,
            dropouth=config.dropouth,
            dropouti=config.dropouti,
            dropoute=config.dropoute,
            weight_drop=config.weight_drop,
        ).to(device)
        self.texts = {
            split: text_columns(self.corpus, split, columns, device)
            for split, columns in batch_sizes(config).items()
        }
        self.optimizer = AveragedSGD(
            self.model.parameters(), config.learning_rate, config.weight_decay, config.nonmono
        )
        self.state = CarriedState(config.batch_size, device)
        self.windows = Windows(self.model, self.texts["train"], self.state, self.compute)
        self.progress = Progress()
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "state": self.state,
            "progress": self.progress,
        }

    def batches(self, epoch: int) -> list[tuple[int, int]] | None:
        """Start and length of each window; None once the rule has ended the fine-tuning."""
        self.epoch = epoch
        if self.progress.stopped:
            return None
        generator = np.random.default_rng([self.config.seed, epoch])
        targets = len(self.texts["train"]) - 1
        return random_windows(targets, self.config.sequence_length, generator)

    def step(self, window: tuple[int, int]) -> Sums:
        """One window forward and backward, and an update at the rate of its length."""
        (start, length), config = window, self.config
        (loss,) = self.windows(start, length)
        self.optimizer.learning_rate = length / config.sequence_length * config.learning_rate
        self.optimizer.step()
        positions = length * config.batch_size
        return {"loss": loss.double() * positions, "count": positions}

    def compute(
        self, inputs: Tensor, targets: Tensor, state: State | None
    ) -> tuple[list[Tensor], State]:
        """This process's columns of a window: the loss of all, the gradients, the state after."""
        config = self.config
        with shard(self.model, config.batch_size):
            dropped, raw, after = self.model(inputs, state)
        share = targets.numel() / (len(targets) * config.batch_size)
        loss = self.model.loss(dropped, targets)
        penalty = activation_penalty(dropped, raw, config.alpha, config.beta)
        total, part = share * (loss + penalty), (share * loss).detach()
        _, loss = gradients(self.model, total, part, clip=config.clip, sharded=True)
        return [loss], detach(after)

    def end_epoch(self, sums: dict[str, float]) -> Row:
        """The validation loss of the mean weights, and what follows from it."""
        at, config = self.progress, self.config
        self.state.value = None
        at.ran += 1
        with self.optimizer.averaged():
            valid_loss = mean_loss(self.model, self.texts["valid"], config.sequence_length)
            if valid_loss < at.best_loss:
                at.best_loss, at.best_epoch = valid_loss, self.epoch
                at.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        row = {
            "phase": at.phase,
            "train_loss": sums["loss"] / sums["count"],
            "valid_loss": valid_loss,
            "valid_perplexity": perplexity(valid_loss),
            "averaged": self.optimizer.averaging,
        }
        if at.phase == "finetune":
            at.stopped = self.optimizer.triggered(valid_loss)
        if self.optimizer.update(valid_loss):
            at.averaging_epoch = self.epoch
        elif not self.optimizer.averaging and self.epoch == config.average_by:
            self.optimizer.start_averaging()
            at.averaging_epoch = self.epoch
        if self.epoch == config.epochs:
            self.start_finetuning()
        return row

    def start_finetuning(self) -> None:
        """Averaged SGD from the best weights, with a log of its own."""
        at = self.progress
        at.trained = self.reached()
        at.phase, at.ran = "finetune", 0
        self.optimizer.restart()
        self.optimizer.start_averaging()

    def reached(self) -> Row:
        """What the best weights so far reach on each text, without dropout; they are loaded."""
        at, length = self.progress, self.config.sequence_length
        self.model.load_state_dict(at.best)
        perplexities = {
            f"{split}_perplexity": perplexity(mean_loss(self.model, text, length))
            for split, text in self.texts.items()
        }
        return {**perplexities, "best_epoch": at.best_epoch, "epochs": at.ran}

    def results(self) -> Outputs:
        """Perplexities without and with fine-tuning, sizes, counts; the best weights."""
        row = {
            **self.progress.trained,
            **{f"{name}_finetuned": value for name, value in self.reached().items()},
            "averaging_epoch": self.progress.averaging_epoch,
            **parameter_counts(self.model),
            "words": len(self.model.bias),
            **{f"{split}_tokens": text[1:].numel() for split, text in self.texts.items()},
        }
        return {"weights": self.progress.best, "results": pd.DataFrame([row])}
