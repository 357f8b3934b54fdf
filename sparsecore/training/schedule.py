"""Learning-rate decay: divided by four whenever the validation loss fails to improve."""

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
