"""Train one arm, and measure the upper gradient by type: while training, and on held-out text.

A run writes ``types`` (what each type is), ``stream`` (χ of the upper layer's gradient over the
last updates, as :func:`sparsecore.track` sees it in training), ``probe`` (held-out text, see
:mod:`sparsecore.experiments.causes.probe`) and ``epochs`` (losses).
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from sparsecore.errors import TrainingError
from sparsecore.experiments.causes.aliases import apply, assign, cap_types
from sparsecore.experiments.causes.arms import ARMS, Arm
from sparsecore.experiments.causes.networks import NETWORKS
from sparsecore.experiments.causes.probe import Probe
from sparsecore.measure.chi import chi
from sparsecore.measure.tracker import track
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.training.batches import columns, num_windows, window
from sparsecore.training.device import resolve_device
from sparsecore.training.tables import write_table

if TYPE_CHECKING:
    from sparsecore.data.language import Corpus

    Causes = Any  # config.py imports this module

NORMAL_SD = 0.1 / math.sqrt(3)  # of U(±0.1)
FIRST = 50  # words that a curriculum begins with


class Texts:
    """The aliased training and held-out text of a replicate, and what its types are."""

    def __init__(self, config: Causes, corpus: Corpus) -> None:
        arm = ARMS[config.arm]
        natural = cap_types(np.asarray(corpus.train[: config.tokens_needed]), config.max_types)
        held_out = cap_types(np.asarray(corpus.valid[: config.probe_tokens]), config.max_types)
        size = min(config.max_types, len(corpus.vocabulary))
        words = assign(config.first_rank, size, config.num_words, config.seed)
        train = apply(natural, words, config.seed)
        targets = train
        if arm.shuffled:
            targets = np.random.default_rng([config.seed, 3]).permutation(train)
        self.inputs = columns(train, config.batch_size)
        self.targets = columns(targets, config.batch_size)
        self.probe_inputs = columns(apply(held_out, words, config.seed + 1), config.batch_size)
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
    sums = Probe(twin, torch.tensor(types["word_id"].to_numpy()))
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


def train(config: Causes, corpus: Corpus, folder: Path, progress: bool = True) -> None:
    """Run the experiment into ``folder``.

    Raises:
        TrainingError: the loss stopped being a number.
    """
    arm, device = ARMS[config.arm], resolve_device(config.device)
    texts = Texts(config, corpus)
    torch.manual_seed(config.seed)
    model = build_model(config, len(texts.types)).to(device)
    optimizer = build_optimizer(arm, model)
    ranks = torch.tensor(texts.types["word_id"].to_numpy(), device=device)
    top = f"lstm{config.num_layers}"
    tracker = track(model, [top])
    windows = num_windows(texts.inputs, config.sequence_length)
    state, losses, updates, streams, probes = None, [], [], [], []
    started = time.monotonic()
    bar = tqdm(range(config.num_updates), desc=f"{config.arm} {config.seed}", disable=not progress)
    for update in bar:
        index = update % windows
        state = detach(state) if index else None
        inputs, _ = window(texts.inputs, index, config.sequence_length, device)
        _, targets = window(texts.targets, index, config.sequence_length, device)
        with tracker:
            tracker.words(target_ids=targets, gradient_scale=targets.numel())
            hidden, state = model(inputs, state)
            loss, nats = loss_of(arm, model, hidden, targets, ranks, update / config.num_updates)
            optimizer.zero_grad()
            loss.backward()
        losses.append(nats.item())
        if not math.isfinite(losses[-1]):
            raise TrainingError(f"{config.arm} diverged at update {update}: loss {losses[-1]}")
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        if (done := update + 1) % config.report_every == 0:
            stream = tracker.table()
            stream = stream[stream["signal"] == "gradient"].rename(columns={"word_id": "type"})
            streams.append(stream[["type", "chi", "l1", "count"]].assign(update=done))
            tracker.sums.clear()
            table, valid = probe(config, model, texts)
            probes.append(table.assign(update=done))
            mean = float(np.mean(losses[-config.report_every :]))
            updates.append({"update": done, "train_loss": mean, "valid_loss": valid})
            bar.set_postfix(valid=f"{valid:.3f}")
    timing = {"epoch": 0, "seconds": time.monotonic() - started}
    epochs = pd.DataFrame(updates).assign(epoch=range(1, len(updates) + 1))
    write_table(folder / "types.parquet", texts.types)
    write_table(folder / "stream.parquet", pd.concat(streams, ignore_index=True))
    write_table(folder / "probe.parquet", pd.concat(probes, ignore_index=True))
    write_table(folder / "epochs.parquet", epochs)
    write_table(folder / "timing.parquet", pd.DataFrame([timing]))
