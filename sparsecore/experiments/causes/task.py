"""Train one arm, and measure the upper gradient by type: while training, and on held-out text.

An epoch is what lies between two measurements. A run leaves ``types`` (what each type is),
``stream`` (χ of the upper layer's gradient over the epoch, as :func:`sparsecore.track` sees it in
training) and ``probe`` (held-out text, by the closed form, :class:`Probe`).
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
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsecore.data.encode import UNK_ID
from sparsecore.data.language import Corpus, prepare_corpus
from sparsecore.errors import InputError
from sparsecore.experiments.causes.config import ARMS, CONDITIONS, Arm, Causes
from sparsecore.measure.chi import chi
from sparsecore.measure.tracker import track
from sparsecore.models.language_model import LSTMLanguageModel, detach
from sparsecore.models.networks import NETWORKS
from sparsecore.training.batches import columns, num_windows, window
from sparsecore.training.device import resolve_device
from sparsecore.training.loop import Outputs, Row, Sums, update
from sparsecore.training.tables import write_table
from sparsecore.training.tracker_sums import TrackerSums

MEASURED = ("chi", "shares", "surprisal", "count")  # of each position of the held-out text
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


def draw_conditions(first_rank: int, num_types: int, num_words: int, seed: int) -> pd.DataFrame:
    """Draw words and give each a condition at random, equally many each.

    Words are drawn without replacement, with weights 1/rank, from the ids ``first_rank`` …
    ``num_types`` - 1. Columns: ``word_id``; ``condition``; ``twin``, the id of the second type
    (from ``num_types`` on, -1 for none); ``dose``, by how many nats the rarer type is rarer.

    Raises:
        InputError: fewer words than asked for.
    """
    candidates = np.arange(first_rank, num_types)
    if len(candidates) < num_words:
        raise InputError(
            f"num_words must be at most the {len(candidates)} words from rank {first_rank} on, "
            f"got {num_words}"
        )
    generator = np.random.default_rng([seed, 1])
    weights = 1 / candidates
    drawn = generator.choice(candidates, num_words, replace=False, p=weights / weights.sum())
    names = list(CONDITIONS)
    condition = np.array(names, dtype=object)[generator.permutation(num_words) % len(names)]
    kinds = [CONDITIONS[name] for name in condition]
    split = np.array([kind == "split" for kind, _ in kinds])
    twin = np.where(split, num_types + np.cumsum(split) - 1, -1)
    dose = [math.log(ratio) for _, ratio in kinds]
    columns = {"word_id": drawn, "condition": condition, "twin": twin, "dose": dose}
    return pd.DataFrame(columns).sort_values("word_id", ignore_index=True)


def alias_text(ids: NDArray[np.integer], words: pd.DataFrame, seed: int) -> NDArray[np.int64]:
    """The text with every occurrence of the assigned words split or thinned as drawn."""
    size = int(ids.max()) + 1
    chance, becomes = np.zeros(size), np.arange(size)
    for word, twin, condition in zip(
        words["word_id"], words["twin"], words["condition"], strict=True
    ):
        kind, ratio = CONDITIONS[condition]
        if word < size and kind != "intact":
            chance[word] = 1 / (1 + ratio) if kind == "split" else 1 - 1 / ratio
            becomes[word] = twin if kind == "split" else UNK_ID
    moved = np.random.default_rng([seed, 2]).random(len(ids)) < chance[ids]
    return np.where(moved, becomes[ids], ids).astype(np.int64)


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


@torch.no_grad()
def gradients(hidden: Tensor, decoder: nn.Linear, targets: Tensor) -> dict[str, Tensor]:
    """χ of ḡ (N,), and of ḡ with the target's row replaced by the mean row (the shares alone).

    With logits W h + b, p = softmax, and target y, the gradient that the output layer sends down is

        ḡ = Σ_j p_j W_j − W_y = q (Σ_{j≠y} r_j W_j − W_y),   q = 1 − p_y,  r_j = p_j / q

    so that χ(ḡ) depends on the output rows W and on how the wrong words share their mass, r.
    Axes: N positions, V types, H hidden.
    """
    p = decoder(hidden).softmax(-1)
    expected, p_y, rows = p @ decoder.weight, p.gather(1, targets[:, None]), decoder.weight[targets]
    wrong = (expected - p_y * rows) / (1 - p_y).clamp_min(1e-12)  # Σ_{j≠y} r_j W_j
    shares = chi(wrong - decoder.weight.mean(0))
    return {"chi": chi(wrong - rows), "shares": shares}


@torch.no_grad()
def row_chi(decoder: nn.Linear, frequency: Tensor) -> Tensor:
    """χ (V,) of each type's ḡ if the wrong words shared their mass as in the text: rows alone."""
    f = (frequency / frequency.sum())[:, None].to(decoder.weight.device)
    total = (f * decoder.weight).sum(0)
    return chi((total - f * decoder.weight) / (1 - f) - decoder.weight)


class Probe:
    """Sums over the positions of the held-out text, by type.

    A position whose word is split is counted for both of its types: same context, same hidden
    state, same p; only the row of the target differs.

    Sums are made on the CPU, where their order is always the same.

    Args:
        twin: (V,) the second type of each natural word, -1 for none; on the model's device.
    """

    def __init__(self, twin: Tensor) -> None:
        self.twin = twin
        self.sums = {name: torch.zeros(len(twin), dtype=torch.float64) for name in MEASURED}
        self.loss = self.positions = 0.0

    @torch.no_grad()
    def add(self, hidden: Tensor, decoder: nn.Linear, words: Tensor) -> None:
        """Count positions: hidden (N, H) and the natural word (N,) that comes next."""
        log_p = decoder(hidden).log_softmax(-1)
        surprisal = -log_p.gather(1, words[:, None])[:, 0]
        twins = self.twin[words]
        split = twins >= 0
        both = torch.stack([words[split], twins[split]], 1)
        surprisal[split] = -log_p[split].gather(1, both).logsumexp(1)
        self.loss += surprisal.sum().item()
        self.positions += len(words)
        targets = torch.cat([words, twins[split]])
        values = gradients(torch.cat([hidden, hidden[split]]), decoder, targets)
        values |= {"surprisal": torch.cat([surprisal, surprisal[split]])}
        values |= {"count": torch.ones_like(values["surprisal"])}
        types = targets.cpu()
        for name, value in values.items():
            self.sums[name].index_add_(0, types, value.cpu().double())

    def table(self, decoder: nn.Linear, frequency: Tensor) -> pd.DataFrame:
        """A row a type that was seen: type, chi, shares, rows, surprisal (nats), count."""
        count = self.sums["count"]
        means = {n: s / count for n, s in self.sums.items() if n != "count"}
        rows = row_chi(decoder, frequency).cpu()
        columns = {"type": torch.arange(len(count)), **means, "rows": rows}
        table = pd.DataFrame({n: c.numpy() for n, c in {**columns, "count": count}.items()})
        return table[table["count"] > 0].reset_index(drop=True)


@torch.no_grad()
def probe(config: Causes, model: LSTMLanguageModel, texts: Texts) -> tuple[pd.DataFrame, float]:
    """The held-out table, and the mean surprisal (nats) of the natural words."""
    types = texts.types
    twin = torch.from_numpy(np.where(types["role"] == "frequent", types["twin"], -1))
    device = model.decoder.weight.device
    sums = Probe(twin.to(device))
    model.eval()
    state = None
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
        types = self.texts.types["word"].tolist()
        layer = f"lstm{self.config.num_layers}"
        self.tracker = track(self.model, [layer], vocabulary=types, dense=True)
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
