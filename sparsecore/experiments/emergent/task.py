"""Train the language model and write, after every epoch, chi of each signal for each word.

Epoch 0 is the untrained network: the same pass over the training text, without updates. On a GPU
the steps are replays of a recorded one (:mod:`sparsecore.experiments.emergent.step`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from sparsecore.data.language import Corpus, prepare_corpus
from sparsecore.data.tagging import OWN, load_tagger, tag_counts
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.experiments.emergent.step import gradients, recorder, update
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.measure.tracker import track
from sparsecore.measure.words import word_classes
from sparsecore.models.language_model import LSTMLanguageModel, State
from sparsecore.training.batches import columns, num_windows, window
from sparsecore.training.device import precision_of, resolve_device
from sparsecore.training.language import CarriedState, evaluate
from sparsecore.training.loop import Outputs, Row, Sums, write_outputs
from sparsecore.training.schedule import PlannedQuartering, Quartering
from sparsecore.training.sharding import all_reduce_gradients, local_shard, shard
from sparsecore.training.tables import write_table
from sparsecore.training.tracker_sums import EarlierParts, TrackerSums, over_processes, statistics


def prepare(config: Emergent, progress: bool = True) -> Corpus:
    """Check device, precision and tagger, prepare the text and tag it (both cached)."""
    with precision_of(config.precision, resolve_device(config.device)):
        pass
    if config.tagger != OWN:
        load_tagger(config.tagger)
    corpus = prepare_text(config, progress)
    tag_counts(corpus, config.tagger, config.tag_tokens, progress)
    return corpus


def prepare_text(config: Emergent, progress: bool = True) -> Corpus:
    """The text alone (cached)."""
    corpus = prepare_corpus(
        config.corpus,
        threshold=config.threshold if config.max_types is None else None,
        max_types=config.max_types,
        max_tokens=config.max_tokens,
        progress=progress,
    )
    for split in ("train", "valid"):
        columns(getattr(corpus, split), config.batch_size, f"{split} text of {corpus.name!r}")
    return corpus


class Task:
    """One language model with a tracker on all of its signals."""

    def __init__(self, config: Emergent, corpus: Corpus, folder: Path) -> None:
        self.config, self.corpus, self.folder = config, corpus, folder
        self.epochs = range(config.epochs + 1)
        self.epoch = 0

    def build(self, device: torch.device) -> dict[str, Any]:
        """The untrained model with its tracker, the texts as columns; ``words.parquet``."""
        config, self.device = self.config, device
        self.model = build_model(config, len(self.corpus.vocabulary)).to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=config.learning_rate)
        self.train_text = columns(self.corpus.train, config.batch_size, "training text")
        self.valid_text = columns(self.corpus.valid, config.batch_size, "validation text")
        self.state = CarriedState(config.batch_size, device)
        rate, planned = config.learning_rate, list(config.cut_epochs)
        self.schedule = PlannedQuartering(rate, planned) if planned else Quartering(rate)
        after = config.dropout_side == "after"
        layers = {name: f"{name}_dropout" if after else name for name in self.model.signals}
        gradient: Any = config.gradient
        words = self.corpus.vocabulary.words
        self.tracker = track(self.model, layers, gradient=gradient, vocabulary=words, dense=True)
        self.sums = TrackerSums(self.tracker, device)
        self.parts = EarlierParts(self.tracker, device)
        self.recorder = recorder(self)
        write_outputs(self.folder, {"words": describe_words(config, self.corpus)})
        held = {
            "model": self.model,
            "schedule": self.schedule,
            "state": self.state,
            "tracker": self.sums,
        }
        return held if config.statistics_every is None else {**held, "parts": self.parts}

    def batches(self, epoch: int) -> range:
        """The numbers of the windows."""
        self.epoch = epoch
        return range(num_windows(self.train_text, self.config.sequence_length))

    def step(self, index: int) -> list[Sums]:
        """The next window, or where steps are recorded the next few."""
        with self.tracker:
            losses = None if self.recorder is None else self.recorder.turn(index)
            if losses is None:
                made: list[Sums] = [self.eager_step(index)]
            else:
                count = self.config.batch_size * self.config.sequence_length
                made = [{"loss": loss * count, "count": count} for loss in losses]
        self._end_part(index + len(made))
        return made

    def eager_step(self, index: int) -> Sums:
        """One window forward and backward, an SGD update after epoch 0."""
        inputs, targets = window(self.train_text, index, self.config.sequence_length, self.device)
        mine, count = local_shard(self.config.batch_size), targets.numel()
        loss, self.state.value = self.gradients(
            inputs[:, mine], targets[:, mine], self.state.value, count
        )
        (loss,) = all_reduce_gradients(self.model.parameters(), loss)
        self.update()
        return {"loss": loss.double() * count, "count": count}

    def _end_part(self, windows: int) -> None:
        """Write the statistics of a part of the epoch, if one ends after so many windows."""
        every, total = self.config.statistics_every, len(self.batches(self.epoch))
        if every is None or not self.epoch:
            return
        if windows == total or (windows % every == 0 and windows <= total - every):
            updates = (self.epoch - 1) * total + windows
            path = self.folder / f"statistics/step-{updates:07d}.parquet"
            write_table(path, self.parts.end_part())

    def gradients(
        self, inputs: Tensor, targets: Tensor, state: State | None, positions: int
    ) -> tuple[Tensor, State]:
        """As :func:`.step.gradients`, with the dropout masks of the whole batch."""
        with shard(self.model, self.config.batch_size):
            return gradients(self.model, self.tracker, inputs, targets, state, positions)

    @property
    def learning_rate(self) -> float:
        """Of this epoch: the schedule's, and 0 in epoch 0."""
        return self.schedule.learning_rate if self.epoch else 0.0

    def update(self) -> None:
        """An SGD update by the gradients, but for epoch 0."""
        if self.learning_rate:
            update(self.model, self.optimizer, self.config.clip, self.learning_rate)

    def end_epoch(self, sums: dict[str, float]) -> Row:
        """Validate, decay the learning rate if that was no better, write the statistics."""
        self.state.value = None
        valid_loss = evaluate(self.model, self.valid_text, self.config.sequence_length)
        learning_rate = self.learning_rate
        cut = self.schedule.update(valid_loss)
        self.parts.put_back()
        self.tracker.load_sums(over_processes(self.tracker.sums))
        path = self.folder / f"statistics/epoch-{self.epoch:03d}.parquet"
        write_table(path, statistics(self.tracker))
        self.tracker.sums.clear()
        return {
            "train_loss": sums["loss"] / sums["count"],
            "valid_loss": valid_loss,
            "valid_perplexity": math.exp(min(valid_loss, 700.0)),
            "learning_rate": learning_rate,
            "step_cut": cut,
        }

    def results(self) -> Outputs:
        """The weights; the statistics are written epoch by epoch."""
        return {"weights": self.model.state_dict()}


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


def describe_words(config: Emergent, corpus: Corpus) -> pd.DataFrame:
    """word, frequency, pos, share, word_class of every word, by id."""
    vocabulary = corpus.vocabulary
    tags = tag_counts(corpus, config.tagger, config.tag_tokens, progress=False)
    return word_classes(vocabulary.words, vocabulary.counts, tags, min_count=config.class_threshold)
