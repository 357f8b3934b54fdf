"""Would another training run, on other words, have given the same? One interval for both.

A statistic theta is known for S seeds, and in each of them for R bootstrap resamples w of the same
words (or documents), resample r being the same in every seed. The replicates

    mean over seeds of theta_s(w_r)  +  t · s / sqrt(S),        t ~ Student(S - 1)

with s the standard deviation of theta over seeds, carry the variance of both; their percentiles are
the interval. Words that make no difference leave Student's t interval over the seeds, seeds that
make none the percentile bootstrap over words. The variance of the interaction of seeds and words is
counted twice, as in the pigeonhole bootstrap (Owen 2007), which errs on the cautious side.

Seeds are not resampled like words: three to six are too few. The percentile bootstrap of a mean
never leaves the range of the sample, and that of three runs holds the true mean in three cases of
four; the interval of the smallest lower to the largest upper end over seeds has no level at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from sparsecore.stats.bootstrap import Estimate, Floats
from sparsecore.stats.seeds import Interval, mean_interval

LEAST_SEEDS = 3  # fewer have no interval: two say next to nothing of their spread
_COPIES = 20  # of each resample, each with another t: the tails of t need many draws


def two_level_interval(
    estimates: Sequence[float] | Floats, draws: Floats, level: float = 0.95, seed: int = 0
) -> Interval:
    """Mean over seeds with its interval over seeds and words.

    Args:
        estimates: S values of the statistic, one a seed; a difference is taken before it comes
            here, so that it is paired by word and seed.
        draws: S × R values in bootstrap resamples of the words, column r the same resample in
            every row; R = 0 leaves the interval over seeds alone.
        level: of the interval.
        seed: of the order in which resamples and quantiles of t meet.

    Returns:
        value, low, high; the ends are NaN for fewer than three seeds or an unknown estimate.

    >>> low_high = two_level_interval([0.2, 0.3, 0.4], np.zeros((3, 0)))
    >>> [round(x, 2) for x in low_high]
    [0.3, 0.05, 0.55]
    """
    values = np.asarray(estimates, dtype=np.float64)
    seeds = len(values)
    if values.ndim != 1 or seeds == 0 or draws.ndim != 2 or len(draws) != seeds:
        raise ValueError(f"draws {draws.shape} must have a row for each of {seeds} estimates")
    value = float(values.mean())
    if seeds < LEAST_SEEDS or math.isnan(value):
        return value, math.nan, math.nan
    words = draws.mean(axis=0) if draws.shape[1] else np.full(1000, value)
    words = words[~np.isnan(words)]
    if not len(words):
        return value, math.nan, math.nan
    count = _COPIES * len(words)
    quantiles = np.random.default_rng(seed).permutation(_quantiles(count, seeds - 1))
    spread = float(values.std(ddof=1)) / math.sqrt(seeds)
    replicates = np.tile(words, _COPIES) + quantiles * spread
    return Estimate(value, replicates).interval(level)


def interval_of(estimates: Sequence[Estimate]) -> Interval:
    """:func:`two_level_interval` of a statistic that was estimated for each seed."""
    width = min(found.draws.shape[-1] for found in estimates)
    draws = np.stack([found.draws[:width] for found in estimates])
    return two_level_interval([found.value for found in estimates], draws)


def nested_interval(estimates: Sequence[Estimate]) -> Interval:
    """Mean over seeds, with the percentile bootstrap of seeds, then of words in each.

    For comparison: with three seeds it is too narrow (see above).
    """
    draws = np.stack([found.draws for found in estimates])  # S R
    seeds, resamples = draws.shape
    generator = np.random.default_rng(0)
    chosen = generator.integers(seeds, size=(resamples, seeds))
    column = generator.integers(resamples, size=(resamples, seeds))
    value = float(np.mean([found.value for found in estimates]))
    return Estimate(value, draws[chosen, column].mean(1)).interval()


@lru_cache(maxsize=8)
def _quantiles(count: int, freedom: int) -> Floats:
    """``count`` evenly spread quantiles of Student's distribution."""
    from scipy import stats

    return stats.t.ppf((np.arange(count) + 0.5) / count, freedom)


def both_variances(over_seeds: Interval, over_words: Interval) -> Interval:
    """The interval for seeds and words from one for each: half widths added in quadrature.

    For published tables that no longer have the resamples. Ends are taken side by side, and NaN
    where either interval is unknown.

    >>> both_variances((1.0, -2.0, 4.0), (1.0, -3.0, 5.0))
    (1.0, -4.0, 6.0)
    """
    value = over_seeds[0]
    below = math.hypot(over_seeds[0] - over_seeds[1], over_words[0] - over_words[1])
    above = math.hypot(over_seeds[2] - over_seeds[0], over_words[2] - over_words[0])
    return value, value - below, value + above


def interval_of_runs(rows: pd.DataFrame, value: str, low: str, high: str) -> Interval:
    """Mean over runs, and from the interval of each run over words one over seeds and words.

    Of fewer than three runs that over words alone.

    Args:
        rows: a row a run.
        value, low, high: the columns of each run's estimate and of its interval over words.
    """
    middle, below, above = (float(rows[column].mean()) for column in (value, low, high))
    over_words, values = (middle, below, above), rows[value].tolist()
    if len(values) < LEAST_SEEDS:
        return over_words
    return both_variances(mean_interval(values), over_words)
