"""One training: Adam, early stopping on the dev error, the step size halved on a plateau.

The loss is the mean cross entropy plus λ Σ ‖θ_s‖₂ over the states s (Dodge et al. 2019, §2), or,
with the proximal variant, the cross entropy alone with every state's parameters shrunk by
(step size)·λ after each step. The whole gradient is clipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.errors import TrainingError
from sparsecore.experiments.sentiment.batches import Batches, Piece, lookup
from sparsecore.experiments.sentiment.structure import rnn_of
from sparsecore.models.classifier import SequenceClassifier
from sparsecore.prune.group_lasso import group_lasso, shrink_groups
from sparsecore.training.distributed import all_reduce_, world
from sparsecore.training.sharding import all_reduce_gradients, local_shard, shared_dropout

if TYPE_CHECKING:
    from sparsecore.experiments.sentiment.config import Sentiment

PLATEAU_FACTOR = 0.5


@dataclass
class Fit:
    """Where a training stands, beside its weights."""

    phase: str  # baseline | structure | finetune | scratch
    trial: int
    strength: float  # λ
    learning_rate: float
    epoch: int = 0
    best_error: float = math.inf
    best_loss: float = math.inf
    best_epoch: int = 0
    last_cut: int = 0  # the epoch of the last best error or cut of the step size

    def update(self, dev_error: float, dev_loss: float, plateau: int | None) -> bool:
        """Take in an epoch; True if its dev error is the lowest so far. May cut the step size."""
        self.epoch += 1
        if dev_error < self.best_error:
            self.best_error, self.best_loss = dev_error, dev_loss
            self.best_epoch = self.last_cut = self.epoch
            return True
        if plateau is not None and self.epoch - self.last_cut > plateau:
            self.learning_rate *= PLATEAU_FACTOR
            self.last_cut = self.epoch
        return False


@dataclass
class Pass:
    """Where a pass over the training documents stands: sums over those seen."""

    batches: int = 0
    documents: int = 0
    losses: float = 0.0
    penalties: float = 0.0

    @property
    def loss(self) -> float:
        """Mean cross entropy."""
        return self.losses / self.documents

    @property
    def penalty(self) -> float:
        """Mean of λ Σ ‖θ_s‖₂; 0 with the proximal variant."""
        return self.penalties / self.documents


def new_optimizer(model: nn.Module, config: Sentiment) -> torch.optim.Optimizer:
    """Adam, with weight decay as part of the gradient."""
    return torch.optim.Adam(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )


def train_epoch(
    model: SequenceClassifier,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[list[Piece]],
    table: Tensor,
    fit: Fit,
    config: Sentiment,
    passed: Pass,
    after_step: Callable[[], None],
) -> None:
    """The rest of a pass, with updates; ``passed`` says where it stands after each of them.

    Raises:
        TrainingError: the loss is no number any more.
    """
    model.train()
    rnn = rnn_of(model)
    optimizer.param_groups[0]["lr"] = fit.learning_rate
    penalised = fit.strength > 0 and not config.proximal
    for number, batch in enumerate(batches):
        if number < passed.batches:
            continue
        optimizer.zero_grad(set_to_none=True)
        size = sum(len(labels) for _, labels in batch)
        total = 0.0
        for rows, labels in batch:
            columns, weight = local_shard(len(labels)), 1.0
            if columns.start == columns.stop:  # the masks of a small piece are drawn all the same
                columns, weight = slice(0, 1), 0.0
            with shared_dropout(model, columns, len(labels)):
                logits = model(lookup(table, rows[:, columns]))
            loss = F.cross_entropy(logits, labels[columns], reduction="sum") / size * weight
            loss.backward()
            total += loss.item()
        if not world().alone:
            part = torch.tensor(total, device=rnn.main.device)
            total = all_reduce_gradients(model.parameters(), part)[0].item()
        if penalised:
            penalty = fit.strength * group_lasso(rnn)
            penalty.backward()
            passed.penalties += penalty.item() * size
        if not math.isfinite(total):
            raise TrainingError(
                f"training diverged in the {fit.phase} run, epoch {fit.epoch + 1}, batch {number}: "
                f"the loss is {total}; try a smaller learning_rate (now {config.learning_rate}) or "
                f"clip (now {config.clip})"
            )
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        if fit.strength > 0 and config.proximal:
            shrink_groups(rnn, fit.learning_rate * fit.strength)
        passed.losses += total * size
        passed.documents += size
        passed.batches += 1
        after_step()


@torch.no_grad()
def logits_of(model: SequenceClassifier, batches: Batches, table: Tensor) -> Tensor:
    """(documents, 2) logits without dropout, in the order of the documents; on the CPU.

    Several processes compute some of them each, and have all of them in the end.
    """
    model.eval()
    pieces = [piece for batch in batches.batches for piece in batch]
    logits = torch.zeros(len(batches.order), 2)
    start = 0
    for rows, labels in pieces:
        columns = local_shard(len(labels))
        if columns.start < columns.stop:
            found = model(lookup(table, rows[:, columns])).cpu()
            logits[start + columns.start : start + columns.stop] = found
        start += len(labels)
    result = torch.empty_like(logits)
    result[torch.from_numpy(batches.order.copy())] = all_reduce_(logits)
    return result


def score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cross entropy and error rate."""
    loss = F.cross_entropy(logits, labels).item()
    return loss, (logits.argmax(1) != labels).double().mean().item()


def better_than_guessing(error: float, labels: Tensor) -> bool:
    """Whether an error rate is two standard errors below that of the more frequent label.

    >>> labels = torch.tensor([0, 1] * 50)
    >>> better_than_guessing(0.45, labels), better_than_guessing(0.35, labels)
    (False, True)
    """
    share = labels.double().mean().item()
    guessing = min(share, 1 - share)
    return error < guessing - 2 * math.sqrt(guessing * (1 - guessing) / len(labels))
