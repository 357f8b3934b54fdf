"""One phase of training (Adam, early stopping, decay on a plateau), and the search from try to try.

The loss is the mean cross entropy plus λ Σ ‖θ_s‖₂ over the states s (Dodge et al. 2019, §2), or,
with the proximal variant, the cross entropy alone with every state's parameters shrunk by
(learning rate)·λ after each step. The whole gradient is clipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.experiments.sentiment.config import Sentiment
from sparsecore.models.classifier import SequenceClassifier, rnn_of
from sparsecore.pruning.groups import group_lasso, shrink_groups
from sparsecore.training.documents import Piece, lookup
from sparsecore.training.loop import Sums
from sparsecore.training.sharding import all_reduce_gradients, local_shard, shared_dropout

LARGEST, SMALLEST = 1e2, 1e-9  # λ of a search
PLATEAU_FACTOR = 0.5
PHASES = ("baseline", "structure", "finetune", "scratch", "refine")


@dataclass
class PhaseState:
    """Where a phase stands, beside its weights."""

    phase: str  # one of PHASES
    trial: int
    strength: float  # λ
    learning_rate: float
    epoch: int = 0
    best_error: float = math.inf
    best_loss: float = math.inf
    best_epoch: int = 0
    last_cut: int = 0  # the epoch of the last best error or learning-rate decay

    def update(self, dev_error: float, dev_loss: float, plateau: int | None) -> bool:
        """Take in an epoch; True if its dev error is the lowest so far. The rate may decay."""
        self.epoch += 1
        if dev_error < self.best_error:
            self.best_error, self.best_loss = dev_error, dev_loss
            self.best_epoch = self.last_cut = self.epoch
            return True
        if plateau is not None and self.epoch - self.last_cut > plateau:
            self.learning_rate *= PLATEAU_FACTOR
            self.last_cut = self.epoch
        return False


class Fit:
    """Model, optimiser and best weights of the phase that is trained now.

    A part of a checkpoint (:mod:`sparsecore.training.loop`), whose model may have another size than
    the one before.

    Args:
        config: of the run.
        new_model: an untrained model of WFSAs of these lengths.
    """

    def __init__(
        self, config: Sentiment, new_model: Callable[[Sequence[int]], SequenceClassifier]
    ) -> None:
        self.config, self.new_model = config, new_model

    def begin(self, phase: str, model: SequenceClassifier, trial: int, strength: float) -> None:
        """A fresh optimiser and, for the masks of dropout, the seed's own random numbers."""
        self.at = PhaseState(phase, trial, strength, self.config.learning_rate)
        self._take(model)
        torch.manual_seed(self.config.seed)

    def _take(self, model: SequenceClassifier) -> None:
        config = self.config
        self.model, self.best = model, {}
        self.lengths = list(rnn_of(model).lengths)
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def end_epoch(self, dev_loss: float, dev_error: float) -> bool:
        """Take in the dev texts' loss and error; True if the phase is over, with its best weights.

        While λ is at work, the learning rate does not decay.
        """
        at, config = self.at, self.config
        plateau = None if at.phase == "structure" else config.plateau
        if at.update(dev_error, dev_loss, plateau):
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        return at.epoch - at.best_epoch >= config.patience or at.epoch >= config.max_epochs

    def step(self, batch: list[Piece], table: Tensor) -> Sums:
        """A step of Adam on a batch, whose pieces go forward and backward one by one."""
        model, config, at = self.model, self.config, self.at
        rnn = rnn_of(model)
        self.optimizer.param_groups[0]["lr"] = at.learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        size = sum(len(labels) for _, labels in batch)
        total = torch.zeros((), dtype=torch.float64, device=rnn.main.device)
        for rows, labels in batch:
            columns, weight = local_shard(len(labels)), 1.0
            if columns.start == columns.stop:  # the masks of a small piece are drawn all the same
                columns, weight = slice(0, 1), 0.0
            with shared_dropout(model, columns, len(labels)):
                logits = model(lookup(table, rows[:, columns]))
            loss = F.cross_entropy(logits, labels[columns], reduction="sum") / size * weight
            loss.backward()
            total += loss.detach()
        (total,) = all_reduce_gradients(model.parameters(), total)
        penalty = torch.zeros_like(total)
        if at.strength > 0 and not config.proximal:
            penalty = at.strength * group_lasso(rnn)
            penalty.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        self.optimizer.step()
        if at.strength > 0 and config.proximal:
            shrink_groups(rnn, at.learning_rate * at.strength)
        return {
            "loss": total.double() * size,
            "penalty": penalty.detach().double() * size,
            "count": size,
        }

    def state_dict(self) -> dict[str, Any]:
        """Weights, moments, best weights, and where the phase stands."""
        return {
            "lengths": self.lengths,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "at": vars(self.at),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in the phase that was saved, with a model of its size."""
        self._take(self.new_model(state["lengths"]))
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.at = state["best"], PhaseState(**state["at"])


def better_than_guessing(error: float, labels: Tensor) -> bool:
    """Whether an error rate is two standard errors below that of the more frequent label.

    >>> labels = torch.tensor([0, 1] * 50)
    >>> better_than_guessing(0.45, labels), better_than_guessing(0.35, labels)
    (False, True)
    """
    share = labels.double().mean().item()
    guessing = min(share, 1 - share)
    return error < guessing - 2 * math.sqrt(guessing * (1 - guessing) / len(labels))


@dataclass
class StrengthSearch:
    """The search for a λ that leaves as many transitions as wanted: which one to try next.

        too few left:  λ ← λ / g        too many left:  λ ← λ · g

    g starts at 2 and becomes (g + 1) / 2 whenever the direction turns. A try is accepted within
    ``tolerance`` of the goal, if anything is left. Source: the search behind Fig. 3 of Dodge et al.
    (2019), which the text does not describe.

    >>> search = StrengthSearch(goal=40, tolerance=10, max_tries=9, strength=1e-4)
    >>> [(search.update(left), round(search.strength, 6)) for left in (96, 96, 20, 43)]
    [('again', 0.0002), ('again', 0.0004), ('again', 0.000267), ('found', 0.000267)]
    """

    goal: int
    tolerance: int
    max_tries: int
    strength: float
    factor: float = 2.0
    direction: int = 0  # of the last step: 1 up, -1 down
    tries: int = 0

    def update(self, transitions: int) -> str:
        """Take in what a try left: ``found``, ``again`` (with the next λ set) or ``failed``."""
        self.tries += 1
        if transitions and abs(transitions - self.goal) <= self.tolerance:
            return "found"
        if self.tries >= self.max_tries:
            return "failed"
        direction = 1 if transitions > self.goal else -1
        if self.direction and direction != self.direction:
            self.factor = (self.factor + 1) / 2
        self.direction = direction
        following = self.strength * self.factor**direction
        if not SMALLEST <= following <= LARGEST:
            return "failed"
        self.strength = following
        return "again"
