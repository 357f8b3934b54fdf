"""Train the language model and write, after every epoch, chi of each signal for each word.

Epoch 0 is the untrained network: the same pass over the training text, without updates.

On a GPU the windows of an epoch go in turns of twenty, each step the replay of one CUDA graph
(:mod:`sparsecore.training.graphs`). Text, position in it, state, losses, sums and weights stay on
the device; the host looks at the losses after a turn. The numbers are those of steps made one by
one. There is a graph for each learning rate, which decays a few times in a run, and one without an
update for epoch 0. The last window, if it is shorter, is left to the eager way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from sparsecore.data.language import Corpus
from sparsecore.data.tagging import OWN, load_tagger, tag_counts
from sparsecore.experiments.emergent.config import TURN, Emergent
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.measure.tracker import Key, Tracker, track
from sparsecore.measure.words import word_classes
from sparsecore.models.language_model import LSTMLanguageModel, State, detach
from sparsecore.training.batches import columns, num_windows, window
from sparsecore.training.graphs import (
    WARM_UPS,
    StaticStep,
    fits,
    recordable,
    recorded,
    zero_state,
)
from sparsecore.training.language import CarriedState, evaluate, perplexity, prepare_text
from sparsecore.training.loop import Outputs, Row, Sums, write_outputs
from sparsecore.training.schedule import PlannedQuartering, Quartering
from sparsecore.training.sharding import all_reduce_gradients, local_shard, shard
from sparsecore.training.tables import write_table
from sparsecore.training.tracker_sums import EarlierParts, TrackerSums, over_processes, statistics


def prepare(config: Emergent, progress: bool = True) -> Corpus:
    """Check tagger, device and precision, prepare the text and tag it (both cached)."""
    if config.tagger != OWN:
        load_tagger(config.tagger)
    corpus = read_text(config, progress)
    tag_counts(corpus, config.tagger, config.tag_tokens, progress)
    return corpus


def read_text(config: Emergent, progress: bool = True) -> Corpus:
    """The text alone (cached)."""
    sizes = {"train": config.batch_size, "valid": config.batch_size}
    return prepare_text(
        config, sizes, progress, max_tokens=config.max_tokens, max_types=config.max_types
    )


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
        """As :func:`gradients`, with the dropout masks of the whole batch."""
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
            "valid_perplexity": perplexity(valid_loss),
            "learning_rate": learning_rate,
            "step_cut": cut,
        }

    def results(self) -> Outputs:
        """The weights; the statistics are written epoch by epoch."""
        return {"weights": self.model.state_dict()}


def recorder(task: Task) -> Recorder | None:
    """What records the steps of a run; None where they are to be made one by one."""
    full = (len(task.train_text) - 1) // task.config.sequence_length
    if full < WARM_UPS or not recordable(task.device):
        return None
    return Recorder(task, full) if fits(task.train_text, task.device) else None


class Recorder:
    """The recorded step of a run, in tensors of its own.

    Args:
        task: whose step it is; its state and its tracker's sums are taken over as a turn begins.
        full: how many windows have the full length.
    """

    def __init__(self, task: Task, full: int) -> None:
        config, device = task.config, task.device
        self.task, self.full = task, full
        text = task.train_text.to(device=device, dtype=torch.int32)
        state = zero_state(task.model, config.batch_size)
        self.step = StaticStep(text, config.sequence_length, state, self._compute, TURN)
        self.sums: dict[Key, Tensor] = {}
        self.replay: Callable[[], object] | None = None
        self.learning_rate: float | None = None  # of what is recorded
        self.failed = False

    def turn(self, index: int) -> list[float] | None:
        """Make the windows from ``index`` to the next multiple of TURN; the mean loss of each.

        None where the next window is to be made eagerly.
        """
        count = min(TURN - index % TURN, self.full - index)
        if count < 1 or self.failed:
            return None
        self._take_over()
        if self.task.learning_rate != self.learning_rate:
            self._record()
        if self.replay is None:
            return None
        self.step.seek(index)
        for _ in range(count):
            self.replay()
        self.task.state.value = self.step.state
        return self.step.losses[:count].tolist()

    def _record(self) -> None:
        self.replay = None  # the memory of one graph is given back before another takes its own
        self.step.seek(0)
        self.replay = recorded(self.step, self._tensors, self.task.device)
        self.sums = dict(self.task.tracker.sums)
        self.learning_rate = self.task.learning_rate
        self.failed = self.replay is None

    def _compute(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        result = self.task.gradients(inputs, targets, state, targets.numel())
        self.task.update()
        return result

    def _tensors(self) -> dict[Any, Tensor]:
        """All that a step changes."""
        weights = self.task.model.state_dict()
        return {**weights, **self.task.tracker.sums, **self.step.tensors()}

    def _take_over(self) -> None:
        """The run's state and sums go on in this step's tensors."""
        state, own = self.task.state.value, self.step.state
        if state is not own:
            for n, pair in enumerate(own):
                for i, tensor in enumerate(pair):
                    tensor.zero_() if state is None else tensor.copy_(state[n][i])
        sums = self.task.tracker.sums
        for key, tensor in self.sums.items():
            if sums.get(key) is not tensor:
                tensor.copy_(sums[key]) if key in sums else tensor.zero_()
                sums[key] = tensor


def gradients(
    model: LSTMLanguageModel,
    tracker: Tracker,
    inputs: Tensor,
    targets: Tensor,
    state: State | None,
    positions: int,
) -> tuple[Tensor, State]:
    """Forward and backward over one window; the tracker counts all seven signals.

    Args:
        inputs: (T, B) ids.
        targets: (T, B) the same text one word on.
        state: of the window before; None for zeros.
        positions: of the whole batch, of which (T, B) may be a part.

    Returns:
        The part's share of the mean loss, in nats, and the state after the window.
    """
    tracker.words(input_ids=inputs, target_ids=targets, gradient_scale=positions)
    model.zero_grad(set_to_none=True)
    hidden, after = model(inputs, state)
    loss, chi, l1 = model.loss(hidden, targets)
    loss = targets.numel() / positions * loss
    loss.backward()
    tracker.add("softmax", "gradient", chi, l1)
    return loss.detach(), detach(after)


def update(
    model: nn.Module, optimizer: torch.optim.Optimizer, clip: float, learning_rate: float
) -> None:
    """Clip the whole gradient to an ℓ2 norm of ``clip``, then one step of the optimizer."""
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.param_groups[0]["lr"] = learning_rate
    optimizer.step()


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
