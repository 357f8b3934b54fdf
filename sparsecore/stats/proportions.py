"""Intervals of shares and of their differences that stay where a share can be.

An accuracy near 100 % has no symmetric interval: Student's t goes beyond 1. On the logit scale
seeds scatter about evenly on both sides, so the t interval is taken there and carried back. A share
of a single model is binomial in its documents: Wilson's interval. The interval of a difference
comes from those of the two shares ("square-and-add": Newcombe 1998; Zou & Donner 2008):

    low  = d - sqrt((a - a_low)^2 + (b_high - b)^2)
    high = d + sqrt((a_high - a)^2 + (b - b_low)^2)

which cannot leave [-1, 1], as |d - low| is at most (a - a_low) + (b_high - b).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sparsecore.stats.seeds import Interval, mean_interval
from sparsecore.stats.two_level import LEAST_SEEDS


def share_interval(shares: Sequence[float], trials: int) -> Interval:
    """Mean share of several runs, with the 95 % t interval of their logits.

    Args:
        shares: one a run, in [0, 1].
        trials: of how many positions each is a share; 0 and 1 are moved half a position inwards,
            as their logits are infinite.

    Returns:
        The arithmetic mean, low, high in [0, 1]; widened to hold the mean, which is not the logit's
        mean carried back. NaN ends for fewer than three runs.

    >>> [round(x, 4) for x in share_interval([0.998, 0.9995, 1.0], trials=3500)]
    [0.9992, 0.9833, 1.0]
    """
    values = np.asarray(shares, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("shares must be one number in [0, 1] a run")
    mean = float(values.mean())
    if len(values) < LEAST_SEEDS:
        return mean, math.nan, math.nan
    inside = (values * trials + 0.5) / (trials + 1)
    _, low, high = mean_interval(np.log(inside / (1 - inside)).tolist())
    ends = [1 / (1 + math.exp(-x)) if x > -700 else 0.0 for x in (low, high)]
    return mean, min(ends[0], mean), max(ends[1], mean)


def wilson_interval(share: float, trials: int) -> Interval:
    """Wilson's 95 % score interval of one share of ``trials`` independent positions.

    >>> [round(x, 3) for x in wilson_interval(0.9, 100)]
    [0.9, 0.826, 0.945]
    """
    from statistics import NormalDist

    z = NormalDist().inv_cdf(0.975)
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return share, max(0.0, middle - half), min(1.0, middle + half)


def difference_of(ours: Interval, theirs: Interval) -> Interval:
    """The difference of two independent estimates from their intervals, by square-and-add.

    >>> difference_of((0.75, 0.5, 1.0), (0.25, 0.25, 0.25))
    (0.5, 0.25, 0.75)
    """
    a, a_low, a_high = ours
    b, b_low, b_high = theirs
    value = a - b
    return (
        value,
        value - math.hypot(a - a_low, b_high - b),
        value + math.hypot(a_high - a, b - b_low),
    )


def auc(values: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive one has the larger value; ties count half.

    >>> auc(np.array([3.0, 1.0, 2.0]), np.array([True, False, False]))
    1.0
    """
    ranks = pd.Series(values).rank().to_numpy()
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(values) - n)))


def better_than_guessing(error: float, share: float, trials: int) -> bool:
    """Whether an error rate is two standard errors below that of always saying one label.

    ``share`` of the ``trials`` have one label, the rest the other.

    >>> better_than_guessing(0.45, 0.5, 100), better_than_guessing(0.35, 0.5, 100)
    (False, True)
    """
    guessing = min(share, 1 - share)
    return error < guessing - 2 * math.sqrt(guessing * (1 - guessing) / trials)
