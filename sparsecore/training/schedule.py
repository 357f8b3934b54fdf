"""Learning-rate decay: divided by four when the validation loss fails to improve, or as planned."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Quartering:
    """Learning rate of plain SGD (Saphra & Lopez 2019, §2).

    >>> schedule = Quartering(20.0)
    >>> [schedule.update(loss) for loss in (5.0, 4.0, 4.5, 3.9)], schedule.learning_rate
    ([False, False, True, False], 5.0)
    """

    learning_rate: float
    best: float = math.inf
    factor: float = 4.0

    def update(self, valid_loss: float) -> bool:
        """Take in an epoch's validation loss; True if the learning rate decays."""
        if valid_loss < self.best:
            self.best = valid_loss
            return False
        self.learning_rate /= self.factor
        return True


@dataclass
class PlannedQuartering:
    """The same decay after given epochs, whatever the validation loss.

    >>> schedule = PlannedQuartering(20.0, after=[1, 2])
    >>> [schedule.update(5.0) for _ in range(4)], schedule.learning_rate  # epochs 0 to 3
    ([False, True, True, False], 1.25)
    """

    learning_rate: float
    after: list[int]
    ended: int = -1
    factor: float = 4.0

    def update(self, valid_loss: float) -> bool:
        """Take in the end of an epoch, of epoch 0 first; True if the learning rate decays."""
        self.ended += 1
        if self.ended not in self.after:
            return False
        self.learning_rate /= self.factor
        return True


@dataclass
class EarlyStopping:
    """The best epoch so far on the development set, with a rate that is halved on a plateau."""

    learning_rate: float
    epoch: int = 0
    best_error: float = math.inf
    best_loss: float = math.inf
    best_epoch: int = 0
    last_cut: int = 0  # the epoch of the last best error or learning-rate decay

    def update(self, dev_error: float, dev_loss: float, plateau: int | None) -> bool:
        """Take in an epoch; True if its dev error is the lowest so far.

        After ``plateau`` epochs without one the rate is halved; None: never.
        """
        self.epoch += 1
        if dev_error < self.best_error:
            self.best_error, self.best_loss = dev_error, dev_loss
            self.best_epoch = self.last_cut = self.epoch
            return True
        if plateau is not None and self.epoch - self.last_cut > plateau:
            self.learning_rate /= 2
            self.last_cut = self.epoch
        return False
