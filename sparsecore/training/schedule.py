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
