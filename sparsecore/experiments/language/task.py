"""Train an AWD-LSTM with NT-ASGD, fine-tune it, and write what it reached before and after.

Two phases. ``train``: SGD, then averaged SGD once the validation loss stops falling. ``finetune``:
averaged SGD anew from the best weights, until the same rule says stop. A checkpoint follows every
epoch and every few minutes within one; a run killed anywhere goes on to the same numbers.
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
from torch import Tensor, nn
from tqdm.auto import tqdm

from sparsecore.errors import TrainingError
from sparsecore.experiments.language.build import build_model, parameter_counts
from sparsecore.experiments.language.passes import mean_loss, text_columns
from sparsecore.models.awd_lstm import State, activation_penalty, detach
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
from sparsecore.training.nt_asgd import AveragedSGD
from sparsecore.training.sharding import (
    all_gather,
    all_reduce_gradients,
    local_shard,
    shared_dropout,
)
from sparsecore.training.stopping import defer_signals
from sparsecore.training.tables import write_table

if TYPE_CHECKING:
    from sparsecore.data.language import Corpus
    from sparsecore.experiments.language.config import Language

LOOK = 50  # steps between looks at the loss, which on a GPU wait for it


@dataclass
class Progress:
    """What a checkpoint holds beside the tensors."""

    phase: str = "train"
    epoch: int = 1  # counted through both phases
    step: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf  # of the validation text
    best_epoch: int = 0
    stopped: bool = False  # the rule ended the fine-tune step
    averaging_epoch: float = math.nan  # the last epoch of plain SGD
    optimizer: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    timing: list[dict[str, Any]] = field(default_factory=list)
    reached: dict[str, dict[str, float]] = field(default_factory=dict)  # by phase


class Training:
    """The live objects of one run: model, optimiser, text, and where it stands."""

    def __init__(self, config: Language, corpus: Corpus, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.device = resolve_device(config.device)
        torch.manual_seed(config.seed)
        self.model = build_model(
            config,
            len(corpus.vocabulary),
            dropout=config.dropout,
            dropouth=config.dropouth,
            dropouti=config.dropouti,
            dropoute=config.dropoute,
            weight_drop=config.weight_drop,
        ).to(self.device)
        batches = {
            "train": config.batch_size,
            "valid": config.valid_batch_size,
            "test": config.test_batch_size,
        }
        self.texts = {s: text_columns(corpus, s, b, self.device) for s, b in batches.items()}
        self.columns = local_shard(config.batch_size)
        self.optimizer = self._optimizer()
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.state: State | None = None
        self.best: dict[str, Tensor] = {}
        self.progress = Progress()
        self.checkpoints = CheckpointManager(folder)
        self._load()

    def _optimizer(self) -> AveragedSGD:
        config = self.config
        return AveragedSGD(
            self.model.parameters(), config.learning_rate, config.weight_decay, config.nonmono
        )

    def save(self) -> None:
        """Write the checkpoint: of several processes that of the whole batch."""
        batch = self.config.batch_size
        state = {
            f"{i}.{n}": all_gather(t, batch, dim=1)
            for i, carried in enumerate(self.state or [])
            for n, t in zip("hc", carried, strict=True)
        }
        averages = {str(i): t for i, t in enumerate(self.optimizer.averages)}
        self.progress.optimizer = self.optimizer.plain_state()
        save_pair(
            self.checkpoints,
            {
                **with_prefix("model", self.model.state_dict()),
                **with_prefix("best", self.best),
                **with_prefix("average", averages),
                **with_prefix("state", state),
                "loss_sum": self.loss_sum,
            },
            vars(self.progress),
        )

    def _load(self) -> None:
        kept = load_pair(self.checkpoints, self.device)
        if kept is None:
            return
        tensors, values = kept
        self.model.load_state_dict(of_prefix("model", tensors))
        self.best = of_prefix("best", tensors)
        self.loss_sum = tensors["loss_sum"]
        self.progress = Progress(**values)
        averages = of_prefix("average", tensors)
        self.optimizer.load_plain_state(
            self.progress.optimizer, [averages[str(i)] for i in range(len(averages))]
        )
        state = {k: h[:, self.columns] for k, h in of_prefix("state", tensors).items()}
        self.state = [(state[f"{i}.h"], state[f"{i}.c"]) for i in range(len(state) // 2)] or None

    @defer_signals()
    def run_epoch(self, progress: bool) -> None:
        """The rest of the current epoch, and what follows from its validation loss."""
        at, config = self.progress, self.config
        text = self.texts["train"]
        generator = np.random.default_rng([config.seed, at.epoch])
        windows = random_windows(len(text) - 1, config.sequence_length, generator)
        self.model.train()
        started = time.monotonic()
        last = config.epochs + config.finetune_epochs
        bar = tqdm(
            total=len(windows),
            initial=at.step,
            desc=f"epoch {at.epoch}/{last} ({at.phase})",
            unit="step",
            disable=not progress,
            leave=False,
        )
        with bar:
            while at.step < len(windows):
                self.train_step(*windows[at.step])
                at.step += 1
                bar.update()
                if at.step % LOOK == 0 or at.step == len(windows):
                    seen = sum(windows[at.step - 1]) * config.batch_size
                    bar.set_postfix(loss=f"{self._check_loss() / seen:.3f}", refresh=False)
                if self.checkpoints.due():
                    self.save()
        with self.optimizer.averaged():
            valid_loss = mean_loss(self.model, self.texts["valid"], config.sequence_length)
            if valid_loss < at.best_loss:
                at.best_loss, at.best_epoch = valid_loss, at.epoch
                self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        at.seconds += time.monotonic() - started
        self._end_epoch(valid_loss)

    def train_step(self, start: int, length: int) -> None:
        """One window forward and backward, and an update at the rate of its length."""
        config, text = self.config, self.texts["train"][:, self.columns]
        inputs, targets = text[start : start + length], text[start + 1 : start + length + 1]
        positions = length * config.batch_size
        share = targets.numel() / positions
        self.model.zero_grad(set_to_none=True)
        with shared_dropout(self.model, self.columns, config.batch_size):
            dropped, raw, state = self.model(inputs, self.state)
        loss = self.model.loss(dropped, targets.contiguous())
        penalty = activation_penalty(dropped, raw, config.alpha, config.beta)
        (share * (loss + penalty)).backward()
        self.state = detach(state)
        (loss,) = all_reduce_gradients(self.model.parameters(), share * loss)
        self.loss_sum += loss.double() * positions
        nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        self.optimizer.step(length / config.sequence_length)

    def _check_loss(self) -> float:
        value = float(self.loss_sum)
        if not math.isfinite(value):
            raise TrainingError(
                f"training diverged in epoch {self.progress.epoch} before step "
                f"{self.progress.step}: the loss is {value}; try a smaller learning_rate "
                f"(now {self.config.learning_rate}) or clip (now {self.config.clip})"
            )
        return value

    def _end_epoch(self, valid_loss: float) -> None:
        at = self.progress
        check_in_sync(self.model.parameters(), self.device)
        tokens = self.texts["train"][1:].numel()
        row = {
            "epoch": at.epoch,
            "phase": at.phase,
            "train_loss": float(self.loss_sum) / tokens,
            "valid_loss": valid_loss,
            "valid_perplexity": math.exp(min(valid_loss, 700.0)),
            "averaged": self.optimizer.averaging,
        }
        at.epochs.append(row)
        at.timing.append({"epoch": at.epoch, "seconds": at.seconds, "tokens": tokens})
        if at.phase == "finetune":
            at.stopped = self.optimizer.triggered(valid_loss)
        if self.optimizer.update(valid_loss):
            at.averaging_epoch = at.epoch
        elif not self.optimizer.averaging and at.epoch == self.config.average_by:
            self.optimizer.start_averaging()
            at.averaging_epoch = at.epoch
        write_table(self.folder / "epochs.parquet", pd.DataFrame(at.epochs))
        write_table(self.folder / "timing.parquet", pd.DataFrame(at.timing))
        at.epoch, at.step, at.seconds = at.epoch + 1, 0, 0.0
        self.state = None
        self.loss_sum.zero_()
        self.save()

    def end_phase(self) -> None:
        """What the best weights so far reach on each text, without dropout."""
        at = self.progress
        self.model.load_state_dict(self.best)
        length = self.config.sequence_length
        perplexity = {
            f"{split}_perplexity": math.exp(min(mean_loss(self.model, text, length), 700.0))
            for split, text in self.texts.items()
        }
        ran = sum(row["phase"] == at.phase for row in at.epochs)
        at.reached[at.phase] = {**perplexity, "best_epoch": at.best_epoch, "epochs": ran}

    def start_finetune(self) -> None:
        """Averaged SGD from the best weights, with a log of its own."""
        self.progress.phase = "finetune"
        self.optimizer = self._optimizer()
        self.optimizer.start_averaging()
        self.save()


def train(config: Language, corpus: Corpus, folder: Path, progress: bool = True) -> None:
    """Run the experiment into ``folder``: epochs, timing, results and weights.

    Raises:
        InputError: the text is too short for the batch, or the disk is full.
        TrainingError: the loss stopped being a number.
    """
    training = Training(config, corpus, folder)
    at = training.progress
    with precision_of(config.precision, training.device):
        while at.phase == "train" and at.epoch <= config.epochs:
            training.run_epoch(progress)
            _tell(at, progress)
        if at.phase == "train":
            training.end_phase()
            training.start_finetune()
        while not at.stopped and at.epoch <= config.epochs + config.finetune_epochs:
            training.run_epoch(progress)
            _tell(at, progress)
        training.end_phase()
    weights = {k: v.cpu() for k, v in training.best.items()}
    save_tensors(folder / "weights.safetensors", weights)
    write_table(folder / "results.parquet", pd.DataFrame([results(training)]))


def results(training: Training) -> dict[str, Any]:
    """The row of ``results.parquet``: perplexities without and with fine-tuning, sizes, counts."""
    before, after = training.progress.reached["train"], training.progress.reached["finetune"]
    return {
        **before,
        **{f"{name}_finetuned": value for name, value in after.items()},
        "averaging_epoch": training.progress.averaging_epoch,
        **parameter_counts(training.model),
        "words": len(training.model.bias),
        **{f"{split}_tokens": text[1:].numel() for split, text in training.texts.items()},
    }


def _tell(at: Progress, progress: bool) -> None:
    row, timing = at.epochs[-1], at.timing[-1]
    if progress:
        tqdm.write(
            f"epoch {row['epoch']:3d} {row['phase']:8s} train loss {row['train_loss']:.3f}  "
            f"valid loss {row['valid_loss']:.3f}  perplexity {row['valid_perplexity']:.1f}  "
            f"{'averaged  ' if row['averaged'] else ''}{timing['seconds']:.0f} s"
        )
