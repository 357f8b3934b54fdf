"""Train the language model and write, after every epoch, chi of each signal for each word.

Epoch 0 is the untrained network: the same pass over the training text, without updates. A
checkpoint follows every epoch and every few minutes within one; a run killed anywhere goes on from
the last one to the same numbers. On a GPU the steps are replays of a recorded one
(:mod:`sparsecore.experiments.emergent.recorded`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from sparsecore.errors import TrainingError
from sparsecore.experiments.emergent.recorded import recorder
from sparsecore.experiments.emergent.step import gradients, update
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.measure.tracker import Key, Tracker, track
from sparsecore.models.language_model import LSTMLanguageModel, State
from sparsecore.training.batches import columns, num_windows, window
from sparsecore.training.checkpoint import (
    CheckpointManager,
    load_pair,
    of_prefix,
    save_pair,
    save_tensors,
    with_prefix,
)
from sparsecore.training.device import precision_of, resolve_device
from sparsecore.training.distributed import all_reduce, broadcast_object, check_in_sync
from sparsecore.training.language import evaluate
from sparsecore.training.schedule import Quartering
from sparsecore.training.sharding import (
    all_gather,
    all_reduce_gradients,
    local_shard,
    rank0_only,
    shared_dropout,
)
from sparsecore.training.stopping import defer_signals
from sparsecore.training.tables import write_table

if TYPE_CHECKING:
    from sparsecore.data.language import Corpus
    from sparsecore.experiments.emergent.config import Emergent


@dataclass
class Progress:
    """What a checkpoint holds beside the tensors."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    schedule: Quartering = field(default_factory=lambda: Quartering(1.0))
    epochs: list[dict[str, Any]] = field(default_factory=list)
    timing: list[dict[str, Any]] = field(default_factory=list)


class Training:
    """The live objects of one run: model, tracker, text, and where it stands."""

    def __init__(self, config: Emergent, corpus: Corpus, folder: Path) -> None:
        self.config, self.corpus, self.folder = config, corpus, folder
        self.device = resolve_device(config.device)
        torch.manual_seed(config.seed)
        self.model = build_model(config, len(corpus.vocabulary)).to(self.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=config.learning_rate)
        self.train_text = columns(corpus.train, config.batch_size, "training text")
        self.valid_text = columns(corpus.valid, config.batch_size, "validation text")
        self.columns = local_shard(config.batch_size)
        self.num_steps = num_windows(self.train_text, config.sequence_length)
        self.state: State | None = None
        self.progress = Progress(schedule=Quartering(config.learning_rate))
        self.tracker = self._tracker()
        self.checkpoints = CheckpointManager(folder)
        self._load()
        self.recorder = recorder(self)

    def _tracker(self) -> Tracker:
        after = self.config.dropout_side == "after"
        layers = {name: f"{name}_dropout" if after else name for name in self.model.signals}
        words = self.corpus.vocabulary.words
        gradient: Any = self.config.gradient
        return track(self.model, layers, gradient=gradient, vocabulary=words)

    def save(self) -> None:
        """Write the checkpoint: of several processes that of the whole batch."""
        sums = {".".join(key): value for key, value in self._total_sums().items()}
        batch = self.config.batch_size
        state = {
            f"{i}.{n}": all_gather(t, batch, dim=1)
            for i, hc in enumerate(self.state or [])
            for n, t in zip("hc", hc, strict=True)
        }
        at = self.progress
        save_pair(
            self.checkpoints,
            {
                **with_prefix("model", self.model.state_dict()),
                **with_prefix("sums", sums),
                **with_prefix("state", state),
            },
            {**vars(at), "schedule": vars(at.schedule)},
        )

    def _load(self) -> None:
        kept = load_pair(self.checkpoints, self.device)
        if kept is None:
            return
        tensors, values = kept
        self.model.load_state_dict(of_prefix("model", tensors))
        sums = {tuple(k.split(".")): rank0_only(v) for k, v in of_prefix("sums", tensors).items()}
        self.tracker.load_sums(sums)  # pyright: ignore[reportArgumentType]
        state = {k: h[:, self.columns] for k, h in of_prefix("state", tensors).items()}
        self.state = [(state[f"{i}.h"], state[f"{i}.c"]) for i in range(len(state) // 2)] or None
        self.progress = Progress(**{**values, "schedule": Quartering(**values["schedule"])})

    def _total_sums(self) -> dict[Key, Tensor]:
        """The tracker's sums, those of the other processes added."""
        return {key: all_reduce(self.tracker.sums[key]) for key in sorted(self.tracker.sums)}

    @defer_signals()
    def run_epoch(self, progress: bool) -> None:
        """The rest of the current epoch, its statistics, and the step-size rule."""
        at, config = self.progress, self.config
        positions = config.batch_size * config.sequence_length
        self.model.train()
        started = time.monotonic()
        bar = tqdm(
            total=self.num_steps,
            initial=at.step,
            desc=f"epoch {at.epoch}/{config.epochs}",
            unit="step",
            disable=not progress,
            leave=False,
        )
        with bar, self.tracker:
            while at.step < self.num_steps:
                losses = self._turn()
                for loss in losses:
                    at.loss_sum += loss
                    at.step += 1
                bar.update(len(losses))
                if at.step % 20 == 0:
                    bar.set_postfix(
                        loss=f"{at.loss_sum / (at.step * positions):.3f}", refresh=False
                    )
                if self.checkpoints.due():
                    self.save()
        valid_loss = evaluate(self.model, self.valid_text, config.sequence_length)
        at.seconds += time.monotonic() - started
        self._end_epoch(valid_loss)

    def _turn(self) -> list[float]:
        """Make the next window, or where steps are recorded the next few; the summed losses."""
        at, config = self.progress, self.config
        values = None if self.recorder is None else self.recorder.turn(at.step)
        if values is None:
            return [self.train_step(at.step)]
        for index, value in enumerate(values, at.step):
            self._check(value, index)
        return [value * config.batch_size * config.sequence_length for value in values]

    def train_step(self, index: int) -> float:
        """One window forward and backward, an SGD update after epoch 0; the summed loss (nats)."""
        inputs, targets = window(self.train_text, index, self.config.sequence_length, self.device)
        positions = targets.numel()
        inputs, targets = inputs[:, self.columns], targets[:, self.columns]
        loss, self.state = self.gradients(inputs, targets, self.state, positions)
        value = all_reduce_gradients(self.model.parameters(), loss)[0].item()
        self._check(value, index)
        self.update()
        return value * positions

    def gradients(
        self, inputs: Tensor, targets: Tensor, state: State | None, positions: int
    ) -> tuple[Tensor, State]:
        """As :func:`.step.gradients`, with the dropout masks of the whole batch."""
        with shared_dropout(self.model, self.columns, self.config.batch_size):
            return gradients(self.model, self.tracker, inputs, targets, state, positions)

    @property
    def learning_rate(self) -> float:
        """Of this epoch: the schedule's, and 0 in epoch 0."""
        return self.progress.schedule.learning_rate if self.progress.epoch else 0.0

    def update(self) -> None:
        """An SGD update by the gradients, but for epoch 0."""
        if self.learning_rate:
            update(self.model, self.optimizer, self.config.clip, self.learning_rate)

    def _check(self, loss: float, index: int) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"training diverged in epoch {self.progress.epoch} at step {index}: the loss is "
                f"{loss}; try a smaller learning_rate (now {self.config.learning_rate}) "
                f"or clip (now {self.config.clip})"
            )

    def _end_epoch(self, valid_loss: float) -> None:
        at = self.progress
        check_in_sync(self.model.parameters(), self.device)
        self.tracker.load_sums(self._total_sums())
        learning_rate = self.learning_rate
        cut = at.schedule.update(valid_loss)
        tokens = self.train_text[1:].numel()
        at.epochs.append(
            {
                "epoch": at.epoch,
                "train_loss": at.loss_sum / tokens,
                "valid_loss": valid_loss,
                "valid_perplexity": math.exp(min(valid_loss, 700.0)),
                "learning_rate": learning_rate,
                "step_cut": cut,
            }
        )
        at.timing.append({"epoch": at.epoch, "seconds": at.seconds, "tokens": tokens})
        write_table(self.folder / f"statistics/epoch-{at.epoch:03d}.parquet", self._statistics())
        write_table(self.folder / "epochs.parquet", pd.DataFrame(at.epochs))
        write_table(self.folder / "timing.parquet", pd.DataFrame(at.timing))
        at.epoch, at.step, at.loss_sum, at.seconds = at.epoch + 1, 0, 0.0, 0.0
        self.state = None
        self.tracker.sums.clear()
        self.save()

    def _statistics(self) -> pd.DataFrame:
        table = self.tracker.table()
        small = {"word_id": "int32", "chi": "float32", "l1": "float32", "count": "int32"}
        return table[["word_id", "layer", "signal", "role", "chi", "l1", "count"]].astype(
            {**small, "layer": "category", "signal": "category", "role": "category"}
        )


def build_model(config: Emergent, num_words: int) -> LSTMLanguageModel:
    """The untrained model of a configuration, its weights drawn from PyTorch's generator."""
    return LSTMLanguageModel(
        num_words,
        config.embedding_size,
        config.hidden_size,
        config.num_layers,
        config.dropout,
        recurrent_layer(config),
    )


def recurrent_layer(config: Emergent) -> Callable[[int, int], nn.Module]:
    """What makes a recurrent layer of (input_size, hidden_size): ``nn.LSTM``, or the sparse one."""
    if config.num_blocks == 1:
        return nn.LSTM
    return partial(SparseLSTM, num_blocks=config.num_blocks, gamma=config.gamma)


def train(config: Emergent, corpus: Corpus, folder: Path, progress: bool = True) -> None:
    """Run the experiment into ``folder``; see the module's text for what appears there.

    Raises:
        InputError: the text is too short for the batch, or the disk is full.
        TrainingError: the loss stopped being a number.
    """
    training = Training(config, corpus, folder)
    broadcast_object(lambda: write_words(config, corpus, folder, progress))
    with precision_of(config.precision, training.device):
        while training.progress.epoch <= config.epochs:
            training.run_epoch(progress)
            if progress:
                tqdm.write(_line(training.progress))
    weights: dict[str, Tensor] = {k: v.cpu() for k, v in training.model.state_dict().items()}
    save_tensors(folder / "weights.safetensors", weights)


def write_words(config: Emergent, corpus: Corpus, folder: Path, progress: bool) -> None:
    """Write ``words.parquet`` if it is not there yet."""
    if not (folder / "words.parquet").exists():
        write_table(folder / "words.parquet", describe_words(config, corpus, progress))


def describe_words(config: Emergent, corpus: Corpus, progress: bool) -> pd.DataFrame:
    """word, frequency, pos, share, word_class of every word, by id."""
    from sparsecore.data.tagging import tag_counts
    from sparsecore.measure.words import word_classes

    tags = tag_counts(corpus, config.tagger, config.tag_tokens, progress)
    vocabulary = corpus.vocabulary
    return word_classes(vocabulary.words, vocabulary.counts, tags, min_count=config.class_threshold)


def _line(at: Progress) -> str:
    row, timing = at.epochs[-1], at.timing[-1]
    return (
        f"epoch {row['epoch']:2d}  train loss {row['train_loss']:.3f}  "
        f"valid loss {row['valid_loss']:.3f}  perplexity {row['valid_perplexity']:.1f}  "
        f"step size {row['learning_rate']:g}{' (cut)' if row['step_cut'] else ''}  "
        f"{timing['seconds']:.0f} s"
    )
