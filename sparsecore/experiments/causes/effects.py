"""Slopes and correlations over the words of one replicate, under bootstrap weights of its words.

Axes: N words, R resamples, K regressors. A statistic is an :class:`Estimate` for every seed; what
is said of an arm is their mean, or that of their difference to another arm, seed by seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sparsecore.stats.bootstrap import (
    Floats,
    percentile_interval,
    resample_weights,
    weighted_correlation,
)
from sparsecore.stats.seeds import Interval
from sparsecore.stats.tables import EXCLUDED
from sparsecore.stats.two_level import two_level_interval

FEW = 200  # resamples for what is drawn over training
Weighted = Callable[[Floats], Floats]  # (N, R) weights -> (R,)


@dataclass(frozen=True)
class Draws:
    """Which resamples of a replicate's words: the same seed draws the same words."""

    seed: int
    number: int = 2_000


@dataclass(frozen=True)
class Estimate:
    """A statistic of one seed, and its values in resamples of that seed's words (R,)."""

    value: float
    draws: Floats

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.draws - other.draws)


def estimate(statistic: Weighted, words: int, draws: Draws) -> Estimate:
    """The statistic at equal weights and in each resample."""
    value = float(statistic(np.ones((words, 1)))[0])
    parts = [statistic(weights) for weights in resample_weights(words, draws.number, draws.seed)]
    return Estimate(value, np.concatenate([np.empty(0), *parts]))


def slope(weights: Floats, y: Floats, regressors: Floats) -> Floats:
    """The first coefficient (R,) of weighted least squares of y (N,) on [regressors, 1] (N, K)."""
    x = np.column_stack([regressors - regressors.mean(0), np.ones(len(y))])
    w = weights.T
    width = x.shape[1]
    gram = (w @ (x[:, :, None] * x[:, None, :]).reshape(len(y), -1)).reshape(-1, width, width)
    moment = w @ (x * y[:, None])  # R K+1
    try:
        return np.linalg.solve(gram, moment[:, :, None])[:, 0, 0]
    except np.linalg.LinAlgError:  # a resample of words that are all alike
        return (np.linalg.pinv(gram, hermitian=True) @ moment[:, :, None])[:, 0, 0]


def pairs(table: pd.DataFrame) -> pd.DataFrame:
    """A row a split word: condition, dose, χ of its frequent type minus that of its rare one."""
    frequent, rare = (table[table["role"] == role] for role in ("frequent", "rare"))
    both = frequent.merge(rare[["word_id", "chi"]], on="word_id", suffixes=("", "_rare"))
    return both.assign(difference=both["chi"] - both["chi_rare"])


def split_slope(table: pd.DataFrame, draws: Draws) -> Estimate:
    """χ(frequent) − χ(rare) on the log ratio of their frequencies: χ per nat."""
    words = pairs(table)
    y, x = words["difference"].to_numpy(), words[["dose"]].to_numpy(np.float64)
    return estimate(lambda w: slope(w, y, x), len(y), draws)


def split_mean(table: pd.DataFrame, condition: str, draws: Draws) -> Estimate:
    """Mean of χ(frequent) − χ(rare) over the words split in one ratio."""
    words = pairs(table)
    y = words.loc[words["condition"] == condition, "difference"].to_numpy()
    return estimate(lambda w: (y @ w) / len(y), len(y), draws)


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    kept = table["condition"].isin(["intact", "thin-4", "thin-19"])
    return table[kept & (table["natural"] > 0)]


def thin_slope(table: pd.DataFrame, draws: Draws) -> Estimate:
    """χ on the log share of a word's occurrences that stay, given its natural log frequency."""
    words = _thinned(table)
    x = np.column_stack([-words["dose"], np.log(words["natural"])])
    y = words["chi"].to_numpy()
    return estimate(lambda w: slope(w, y, x), len(y), draws)


def thin_mean(table: pd.DataFrame, condition: str, draws: Draws) -> Estimate:
    """By how much χ of words thinned in one ratio is below that of intact words as frequent."""
    words = _thinned(table)
    words = words[words["condition"].isin(["intact", condition])]
    lost = np.asarray(words["condition"] == condition, dtype=np.float64)
    x = np.column_stack([lost, np.log(words["natural"].to_numpy(np.float64))])
    y = words["chi"].to_numpy()
    return estimate(lambda w: -slope(w, y, x), len(y), draws)


def whole_words(table: pd.DataFrame) -> pd.DataFrame:
    """The words that nothing was done to, without ``<unk>`` and ``<eos>``."""
    own = table["condition"].isin(["intact", "none"]) & ~table["word"].isin(EXCLUDED)
    return table[own & (table["frequency"] > 0)]


def words_slope(table: pd.DataFrame, draws: Draws) -> Estimate:
    """χ on log frequency over whole words: what one observes, whatever its cause; χ per nat.

    Of the ranks that words were drawn from, with the weights 1/rank that they were drawn with, so
    that it is about the same words as the split slope.
    """
    first = table.loc[table["condition"] != "none", "word_id"].min()
    words = whole_words(table)
    words = words[words["word_id"] >= first]
    y, x = words["chi"].to_numpy(), np.log(words[["frequency"]].to_numpy(np.float64))
    drawn = 1 / words["word_id"].to_numpy(np.float64)[:, None]
    return estimate(lambda w: slope(w * drawn, y, x), len(y), draws)


def correlation(
    table: pd.DataFrame, x: str, draws: Draws, y: str = "chi", given: Sequence[str] = ()
) -> Estimate:
    """Pearson's correlation over whole words, or the partial one given other columns."""
    words = whole_words(table)
    words = words.assign(log_frequency=np.log(words["frequency"]))
    controls = words[list(given)].to_numpy(np.float64)
    a, b = words[x].to_numpy(np.float64), words[[y]].to_numpy(np.float64)
    return estimate(lambda w: weighted_correlation(w, a, b, controls)[:, 0], len(words), draws)


def over_seeds(estimates: Sequence[Estimate]) -> Interval:
    """Mean over seeds, and its interval for other trainings and other words."""
    draws = np.stack([found.draws for found in estimates])
    return two_level_interval([found.value for found in estimates], draws)


def nested_interval(estimates: Sequence[Estimate]) -> Interval:
    """The same mean with the percentile interval of a bootstrap of seeds, then of words in each."""
    draws = np.stack([found.draws for found in estimates])  # S R
    seeds, resamples = draws.shape
    generator = np.random.default_rng(0)
    chosen = generator.integers(seeds, size=(resamples, seeds))
    column = generator.integers(resamples, size=(resamples, seeds))
    means = draws[chosen, column].mean(1)
    value = float(np.mean([found.value for found in estimates]))
    low, high = percentile_interval(means[:, None], np.array([value]))[:, 0]
    return value, float(low), float(high)
