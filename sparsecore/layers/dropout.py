"""The dropouts of recurrent models: one mask over time, and whole words.

Both scale what they keep by 1/(1 - p) in training and do nothing otherwise. Axes: T time, B batch,
H features, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor, nn

from sparsecore.errors import InputError


def check_probability(name: str, p: float) -> float:
    """``p`` itself, if it lies in [0, 1); else an :class:`InputError` that names it."""
    if not 0 <= p < 1:
        raise InputError(f"{name} must lie in [0, 1), got {p}")
    return p


class LockedDropout(nn.Module):
    """Dropout whose mask is drawn once a sequence: a unit is off at all times or at none.

    Args:
        p: probability of zero, in [0, 1).
        batch_first: the input is B T H instead of T B H.

    Raises:
        InputError: p outside its range.

    Source: Merity et al. 2018, §4.2 (variational dropout of Gal & Ghahramani 2016).
    """

    def __init__(self, p: float = 0.5, *, batch_first: bool = False) -> None:
        super().__init__()
        self.p = check_probability("p", p)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        """(T, B, H) -> (T, B, H)."""
        if not self.training or self.p == 0:
            return x
        one = x.narrow(1 if self.batch_first else 0, 0, 1)
        mask = x.new_empty(one.shape).bernoulli_(1 - self.p) / (1 - self.p)  # 1 B H
        return x * mask

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"p={self.p}"


def word_mask(num_words: int, p: float, like: Tensor) -> Tensor:
    """(V,) 0 with probability p, else 1/(1 - p), of the type and on the device of ``like``."""
    return like.new_empty(num_words).bernoulli_(1 - p) / (1 - p)
