"""Train one arm, and measure the upper gradient by type: while training, and on held-out text.

An epoch is what lies between two measurements. A run leaves ``types`` (what each type is),
``stream`` (χ of the upper layer's gradient over the epoch, as :func:`sparsecore.track` sees it in
training) and ``probe`` (held-out text, see :mod:`sparsecore.experiments.causes.probe`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.data.language import Corpus, prepare_corpus
from sparsecore.errors import InputError
from sparsecore.experiments.causes.aliases import alias_text, draw_conditions
from sparsecore.experiments.causes.config import ARMS, Arm, Causes
from sparsecore.experiments.causes.networks import NETWORKS
from sparsecore.experiments.causes.probe import Probe
from sparsecore.measure.chi import chi
from sparsecore.measure.tracker import track
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.training.batches import columns, num_windows, window
from sparsecore.training.device import resolve_device
from sparsecore.training.loop import Outputs, Row, Sums, update
from sparsecore.training.tables import write_table
from sparsecore.training.tracker_sums import TrackerSums

NORMAL_SD = 0.1 / math.sqrt(3)  # of U(±0.1)
FIRST = 50  # words that a curriculum begins with


def prepare(config: Causes, progress: bool = True) -> Corpus:
    """Check the device, and prepare the text (cached)."""
    resolve_device(config.device)
    corpus = prepare_corpus(
        config.corpus,
        max_types=config.max_types - 2,  # beside <unk> and <eos>
        max_tokens=config.max_tokens,
        progress=progress,
    )
    if len(corpus.train) < config.tokens_needed:
        raise InputError(
            f"num_updates={config.num_updates} needs {config.tokens_needed} training tokens, and "
            f"{corpus.name!r} has {len(corpus.train)}; give fewer updates or more max_tokens"
        )
    columns(corpus.valid[: config.probe_tokens], config.batch_size, f"valid text of {corpus.name}")
    return corpus


class Texts:
    """The aliased training and held-out text of a replicate, and what its types are."""

    def __init__(self, config: Causes, corpus: Corpus) -> None:
        arm = ARMS[config.arm]
        natural = np.asarray(corpus.train[: config.tokens_needed])
        held_out = np.asarray(corpus.valid[: config.probe_tokens])
        size = len(corpus.vocabulary)
        words = draw_conditions(config.first_rank, size, config.num_words, config.seed)
        train = alias_text(natural, words, config.seed)
        targets = train
        if arm.shuffled:
            targets = np.random.default_rng([config.seed, 3]).permutation(train)
        self.inputs = columns(train, config.batch_size)
        self.targets = columns(targets, config.batch_size)
        self.probe_inputs = columns(alias_text(held_out, words, config.seed + 1), config.batch_size)
        self.probe_words = columns(held_out, config.batch_size)
        self.types = describe_types(corpus, words, size, natural, train, arm.passes)

    @property
    def frequency(self) -> Tensor:
        """Of each type in the training text, all passes: (V,)."""
        return torch.from_numpy(self.types["frequency"].to_numpy(np.float64))


def describe_types(
    corpus: Corpus, words: pd.DataFrame, size: int, natural: Any, train: Any, passes: int
) -> pd.DataFrame:
    """A row a type: type, word, word_id, twin, condition, role, dose, frequency, natural frequency.

    ``role``: ``frequent`` or ``rare`` of a split word, else ``only``.
    """
    own = pd.DataFrame({"word_id": range(size)}).merge(words, "left", "word_id")
    own = own.assign(role=np.where(own["twin"] >= 0, "frequent", "only"), type=own["word_id"])
    rare = own[own["twin"] >= 0].sort_values("twin")
    rare = rare.assign(type=rare["twin"], role="rare")
    types = pd.concat([own, rare], ignore_index=True)
    counts = np.bincount(train, minlength=len(types)) * passes
    types["frequency"] = counts
    types["natural"] = (np.bincount(natural, minlength=size) * passes)[types["word_id"]]
    types["word"] = np.asarray(corpus.vocabulary.words, dtype=object)[types["word_id"]]
    types["condition"] = types["condition"].fillna("none").astype(str)
    return types.fillna({"twin": -1, "dose": 0.0}).astype({"twin": int})


def build_model(config: Causes, num_types: int) -> LSTMLanguageModel:
    """The untrained model of an arm, its weights drawn from PyTorch's generator."""
    arm = ARMS[config.arm]
    h = config.hidden_size
    network = NETWORKS[arm.network]
    model = LSTMLanguageModel(num_types, h, h, config.num_layers, config.dropout, network)
    if arm.output_init == "normal":
        nn.init.normal_(model.decoder.weight, std=NORMAL_SD)
    return model


def build_optimizer(arm: Arm, model: nn.Module) -> torch.optim.Optimizer:
    """SGD, with momentum or without, or Adam."""
    if arm.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=arm.learning_rate)
    return torch.optim.SGD(model.parameters(), lr=arm.learning_rate, momentum=arm.momentum)


def loss_of(
    arm: Arm, model: LSTMLanguageModel, hidden: Tensor, targets: Tensor, ranks: Tensor, at: float
) -> tuple[Tensor, Tensor]:
    """The loss that an arm trains on, and the mean cross entropy (nats) among it.

    Args:
        hidden: (T, B, H), dropped out.
        targets: (T, B).
        ranks: (V,) of each type's word.
        at: how much of the training is over, 0 to 1.
    """
    logits = model.logits(hidden).flatten(0, 1)
    nats = F.cross_entropy(logits, targets.flatten(), reduction="none")
    mean = nats.mean()
    if arm.curriculum and at < 0.5:
        shown = FIRST * (len(ranks) / FIRST) ** (2 * at)  # from the commonest 50 to all
        return (nats * (ranks[targets.flatten()] < shown)).mean(), mean
    if arm.penalty:
        rows = model.decoder.weight
        gradient = logits.softmax(-1) @ rows - rows[targets.flatten()]  # ḡ, differentiable
        return mean + arm.penalty * chi(gradient).mean(), mean
    return mean, mean


def detach(state: Any) -> Any:
    """The same numbers, cut from the graph; layers may have any kind of state, or none."""
    if state is None or isinstance(state, Tensor):
        return None if state is None else state.detach()
    return type(state)(detach(part) for part in state)


@torch.no_grad()
def probe(config: Causes, model: LSTMLanguageModel, texts: Texts) -> tuple[pd.DataFrame, float]:
    """The held-out table, and the mean surprisal (nats) of the natural words."""
    types = texts.types
    twin = torch.from_numpy(np.where(types["role"] == "frequent", types["twin"], -1))
    sums = Probe(twin)
    model.eval()
    state = None
    device = model.decoder.weight.device
    for index in range(num_windows(texts.probe_inputs, config.sequence_length)):
        inputs, _ = window(texts.probe_inputs, index, config.sequence_length, device)
        _, words = window(texts.probe_words, index, config.sequence_length, device)
        hidden, state = model(inputs, state)
        sums.add(hidden.flatten(0, 1), model.decoder, words.flatten())
    model.train()
    return sums.table(model.decoder, texts.frequency), sums.loss / sums.positions


@dataclass
class Carried:
    """From window to window: the recurrent state."""

    state: Any = None


class Task:
    """One arm and one replicate of it."""

    def __init__(self, config: Causes, corpus: Corpus, folder: Path) -> None:
        self.config, self.arm, self.folder = config, ARMS[config.arm], folder
        self.texts = Texts(config, corpus)
        self.windows = num_windows(self.texts.inputs, config.sequence_length)
        self.epochs = range(1, config.num_updates // config.report_every + 1)

    def build(self, device: torch.device) -> dict[str, Any]:
        """Model, optimiser and tracker."""
        self.device = device
        self.model = build_model(self.config, len(self.texts.types)).to(device)
        self.optimizer = build_optimizer(self.arm, self.model)
        self.tracker = track(self.model, [f"lstm{self.config.num_layers}"])
        self.ranks = torch.tensor(self.texts.types["word_id"].to_numpy(), device=device)
        self.carried = Carried()
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "sums": TrackerSums(self.tracker, device),
            "carried": self.carried,
        }

    def batches(self, epoch: int) -> range:
        """The numbers of the epoch's updates, from 0."""
        self.epoch = epoch
        size = self.config.report_every
        return range((epoch - 1) * size, epoch * size)

    def step(self, number: int) -> Sums:
        """One window forward and backward, counted by type, and an update."""
        config, texts = self.config, self.texts
        index = number % self.windows
        inputs, _ = window(texts.inputs, index, config.sequence_length, self.device)
        _, targets = window(texts.targets, index, config.sequence_length, self.device)
        state = self.carried.state if index else None
        with self.tracker:
            self.tracker.words(target_ids=targets, gradient_scale=targets.numel())
            hidden, state = self.model(inputs, state)
            share = number / config.num_updates
            loss, nats = loss_of(self.arm, self.model, hidden, targets, self.ranks, share)
            update(self.model, self.optimizer, loss, clip=config.clip)
        self.carried.state = detach(state)
        return {"loss": nats.detach() * targets.numel(), "count": targets.numel()}

    def end_epoch(self, sums: dict[str, float]) -> Row:
        """Measure, and keep the measurements."""
        done = self.epoch * self.config.report_every
        stream = self.tracker.table()
        stream = stream[stream["signal"] == "gradient"].rename(columns={"word_id": "type"})
        self.tracker.sums.clear()
        table, valid_loss = probe(self.config, self.model, self.texts)
        for name, rows in (("stream", stream[["type", "chi", "l1", "count"]]), ("probe", table)):
            write_table(self._file(name, self.epoch), rows.assign(update=done))
        return {
            "update": done,
            "train_loss": sums["loss"] / sums["count"],
            "valid_loss": valid_loss,
        }

    def results(self) -> Outputs:
        """The types, and every measurement of them."""
        tables = {
            name: pd.concat([pd.read_parquet(self._file(name, n)) for n in self.epochs])
            for name in ("stream", "probe")
        }
        weights = self.model.state_dict()
        kept = {name: table.reset_index(drop=True) for name, table in tables.items()}
        return {"weights": weights, "types": self.texts.types, **kept}

    def _file(self, name: str, epoch: int) -> Path:
        return self.folder / "measured" / f"{name}-{epoch:03d}.parquet"
