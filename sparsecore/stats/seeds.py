"""Means over random seeds, with Student-t intervals: would another training run give the same?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sparsecore.errors import check_installed

Interval = tuple[float, float, float]  # value, low, high
UNKNOWN: Interval = (math.nan, math.nan, math.nan)


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean of independent runs and its 95 % t interval; unbounded ends (NaN) for a single run.

    >>> [round(x, 3) for x in mean_interval([95.8, 96.1, 96.3, 95.9])]
    [96.025, 95.672, 96.378]
    """
    sample = _sample(values)
    if len(sample) < 2:
        return float(sample.mean()), math.nan, math.nan
    return _around(float(sample.mean()), sample.var(ddof=1) / len(sample), len(sample) - 1)


def over_seeds(values: pd.Series, name: str) -> dict[str, float]:
    """``name``, low, high, sd: their mean, its t interval, their standard deviation.

    NaN, but for the mean, for a single run.
    """
    mean, low, high = mean_interval(values.tolist())
    return {name: mean, "low": low, "high": high, "sd": float(values.std(ddof=1))}


def difference_interval(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Mean of ``ours`` minus that of ``theirs``, Welch's 95 % t interval (variances may differ).

    NaN ends where either side has a single run.

    >>> [round(x, 3) for x in difference_interval([3.0, 5.0, 4.0], [1.0, 2.0, 3.0])]
    [2.0, -0.267, 4.267]
    """
    a, b = _sample(ours), _sample(theirs)
    value = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return value, math.nan, math.nan
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    total = float(parts.sum())
    if total == 0:
        return value, value, value
    freedom = total**2 / float((parts**2 / [len(a) - 1, len(b) - 1]).sum())
    return _around(value, total, freedom)


def _around(value: float, variance: float, freedom: float) -> Interval:
    check_installed("experiments", "scipy")
    from scipy import stats

    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(variance)
    return value, value - half, value + half


def _sample(values: Sequence[float]) -> np.ndarray:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) == 0:
        raise ValueError("the values of at least one run are needed")
    return sample
