"""Correlation of one variable with many, under many reweightings of the same words.

A bootstrap resample is a vector of whole-number weights (how often each word was drawn), so a
thousand resamples are one matrix and every weighted moment is one matrix product:

    rho_w(x, y | Z) = S_xy / sqrt(S_xx S_yy),   S_ab = <a, b>_w - <a, C>_w <C, C>_w^-1 <C, b>_w

with ``<a, b>_w = sum_i w_i a_i b_i`` and controls ``C = [1, Z]``. With no Z this is Pearson's
correlation, with Z the partial correlation; weights of one give the estimate itself.

Axes: N words, R resamples, G groups (one column of ``y`` each), K controls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsecore.stats.seeds import Interval

Floats = NDArray[np.floating]
Weighted = Callable[[Floats], Floats]  # (N, R) weights -> (R,)

_CELLS = 4_000_000  # weights held at a time: 32 MB
_FEW_TIES = 0.005  # share of words that may be tied with another before ranks are shared exactly
_NO_VARIANCE = 1e-12  # residual share of the variance below which a variable counts as constant


def resample_weights(words: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks of bootstrap weights, each N × R_block, every column summing to N.

    The draws depend on ``words``, ``resamples`` and ``seed`` alone: groups over the same number
    of words get the same resamples, so that differences between groups are paired.
    """
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // max(words, 1))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        draws = generator.integers(0, words, size=(size, words))
        draws += np.arange(size)[:, None] * words
        counts = np.bincount(draws.ravel(), minlength=size * words)
        yield np.ascontiguousarray(counts.reshape(size, words).T, dtype=np.float64)


@dataclass(frozen=True)
class Draws:
    """Which resamples of the words: the same seed draws the same words."""

    seed: int
    number: int = 2_000


class Estimate(NamedTuple):
    """A statistic, and its values in resamples of the words: ``draws`` (R,)."""

    value: float
    draws: Floats

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.draws - other.draws)

    def interval(self, level: float = 0.95) -> Interval:
        """Value, low, high: the percentile interval over words."""
        value = np.array([self.value])
        low, high = percentile_interval(self.draws[:, None], value, level)[:, 0]
        return self.value, float(low), float(high)


def estimate(statistic: Weighted, words: int, draws: Draws) -> Estimate:
    """The statistic at equal weights and in each resample."""
    value = float(statistic(np.ones((words, 1)))[0])
    parts = [statistic(weights) for weights in resample_weights(words, draws.number, draws.seed)]
    return Estimate(value, np.concatenate([np.empty(0), *parts]))


def standardise(columns: Floats) -> Floats:
    """Columns (N × G) to mean 0 and standard deviation 1; a constant column becomes zeros."""
    columns = np.asarray(columns, dtype=np.float64)
    spread = columns.max(axis=0) - columns.min(axis=0)
    centred = np.where(spread > 0, columns - columns.mean(axis=0), 0.0)
    scale = centred.std(axis=0)
    return centred / np.where(scale > 0, scale, 1.0)


def weighted_correlation(weights: Floats, x: Floats, y: Floats, controls: Floats) -> Floats:
    """rho_w(x, y | Z) for every column of ``weights`` (N × R) and of ``y`` (N × G): R × G.

    ``controls`` is N × K (K may be 0). NaN where x or y does not vary once the controls are
    accounted for.
    """
    x = standardise(x[:, None])
    y = standardise(y)
    c = np.concatenate([np.ones_like(x), standardise(controls)], axis=1)  # N × (K+1)
    w = weights.T  # R × N
    width = c.shape[1]

    pairs = (c[:, :, None] * c[:, None, :]).reshape(len(c), -1)
    s_cc = (w @ pairs).reshape(-1, width, width)
    s_cx = w @ (c * x)  # R × (K+1)
    s_xx = w @ (x * x)  # R × 1
    s_cy = np.stack([w @ (c[:, [k]] * y) for k in range(width)], axis=1)  # R × (K+1) × G
    s_xy = w @ (x * y)  # R × G
    s_yy = w @ (y * y)  # R × G

    inverse = np.linalg.pinv(s_cc, hermitian=True)  # a class absent from a resample: singular
    fit_x = np.einsum("rij,rj->ri", inverse, s_cx)
    fit_y = inverse @ s_cy
    s_xy = s_xy - np.einsum("ri,rig->rg", fit_x, s_cy)
    left_x = s_xx[:, 0] - np.einsum("ri,ri->r", fit_x, s_cx)
    left_y = s_yy - np.einsum("rig,rig->rg", fit_y, s_cy)
    varies = (left_x[:, None] > _NO_VARIANCE * np.maximum(s_xx, 1e-300)) & (
        left_y > _NO_VARIANCE * np.maximum(s_yy, 1e-300)
    )
    scale = np.sqrt(np.where(varies, left_x[:, None] * left_y, 1.0))
    return np.where(varies, np.clip(s_xy / scale, -1.0, 1.0), np.nan)


def weighted_slope(weights: Floats, y: Floats, regressors: Floats) -> Floats:
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


def weighted_ranks(weights: Floats, values: Floats) -> Floats:
    """Mid-ranks of ``values`` (N) inside each resample (``weights`` N × R), as shares of N.

    Centred: they lie in (-1/2, 1/2) and their weighted mean is 0. A word drawn w times stands
    w times in the resample, tied with itself; equal values share their mean rank, as in
    ``scipy.stats.rankdata``.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    total = np.zeros((len(values) + 1, weights.shape[1]), dtype=weights.dtype)
    np.cumsum(weights[order], axis=0, out=total[1:])
    first = np.searchsorted(ordered, ordered, side="left")
    last = np.searchsorted(ordered, ordered, side="right")
    ranks = np.empty_like(weights)
    ranks[order] = (total[first] + total[last]) / (2 * len(values)) - 0.5
    return ranks


def weighted_spearman(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Spearman's correlation in every resample, ranks taken anew in each: R × G.

    Where a column of y has no ties the sums over its ranks need only a running total: with the
    words in y's order and C the running total of w, the mid-rank is C - w/2, and the sum of
    squared ranks depends on w alone. So are columns treated whose ties are few (single precision
    makes some by chance) if there is more than one resample: the error is below 1e-4.
    """
    n = len(x)
    result = np.empty((weights.shape[1], y.shape[1]))
    orders = np.argsort(y, axis=0, kind="stable")
    ties = (np.diff(np.take_along_axis(y, orders, axis=0), axis=0) == 0).sum(axis=0)
    tied = ties > (0 if weights.shape[1] == 1 else _FEW_TIES * n)
    width = max(1, 150_000 // n)  # a block that stays in the processor's cache
    for start in range(0, weights.shape[1], width):
        part = slice(start, start + width)
        w = np.ascontiguousarray(weights[:, part])
        rank_x = weighted_ranks(w, x)
        weighted_x = w * rank_x
        norm_x = np.einsum("nr,nr->r", weighted_x, rank_x)
        own = 0.5 * np.einsum("nr,nr->r", weighted_x, w)
        norm_free = (n**3 - np.einsum("nr,nr,nr->r", w, w, w)) / (12 * n**2)
        for g in range(y.shape[1]):
            if tied[g]:
                rank_y = weighted_ranks(w, y[:, g])
                cross = np.einsum("nr,nr->r", weighted_x, rank_y)
                norm_y = np.einsum("nr,nr,nr->r", w, rank_y, rank_y)
            else:
                running = np.cumsum(w[orders[:, g]], axis=0)
                cross = np.einsum("nr,nr->r", weighted_x[orders[:, g]], running) - own
                cross /= n
                norm_y = norm_free
            norm = norm_x * norm_y
            varies = norm > 1e-9
            rho = cross / np.sqrt(np.where(varies, norm, 1.0))
            result[part, g] = np.where(varies, np.clip(rho, -1.0, 1.0), np.nan)
    return result


def residuals(columns: Floats, controls: Floats) -> Floats:
    """What is left of ``columns`` (N × G) after least squares on ``[1, controls]``."""
    columns = standardise(columns)
    c = np.concatenate([np.ones((len(columns), 1)), standardise(controls)], axis=1)
    left = columns - c @ np.linalg.lstsq(c, columns, rcond=None)[0]
    flat = np.einsum("ng,ng->g", left, left) <= _NO_VARIANCE * len(columns)
    return np.where(flat, 0.0, left)


def permutation_p(
    x: Floats, y: Floats, controls: Floats, permutations: int, seed: int
) -> NDArray[np.float64]:
    """Two-sided p of "x is unrelated to y given Z", by shuffling x's residuals over words: G.

    p = (1 + #{|rho*| >= |rho|}) / (1 + permutations), so it is never 0 (Freedman–Lane: the shuffled
    residuals are freed of Z again before they are correlated). For Spearman give ranks.
    """
    if permutations == 0:
        return np.full(y.shape[1], np.nan)
    x_left = residuals(x[:, None], controls)[:, 0]
    y_left = residuals(y, controls)
    norm_x, norm_y = np.linalg.norm(x_left), np.linalg.norm(y_left, axis=0)
    usable = (norm_x > 0) & (norm_y > 0)
    y_unit = y_left / np.where(norm_y > 0, norm_y, 1.0)
    observed = np.abs(x_left @ y_unit) / (norm_x if norm_x > 0 else 1.0)
    generator = np.random.default_rng([seed, 1])
    extreme = np.zeros(y.shape[1])
    block = max(1, _CELLS // len(x))
    for start in range(0, permutations, block):
        size = min(block, permutations - start)
        shuffled = generator.permuted(np.tile(x_left, (size, 1)), axis=1)
        free = residuals(shuffled.T, controls) if controls.shape[1] else shuffled.T
        norms = np.linalg.norm(free, axis=0)
        null = np.abs(free.T @ y_unit) / np.where(norms > 0, norms, 1.0)[:, None]
        extreme += (null >= observed - 1e-12).sum(axis=0)
    return np.where(usable, (1 + extreme) / (1 + permutations), np.nan)


def ranks(columns: Floats) -> Floats:
    """Mid-ranks of each column (N × G), without NaN."""
    return pd.DataFrame(columns).rank().to_numpy(np.float64)  # scipy.stats takes seconds to load


def percentile_interval(replicates: Floats, estimate: Floats, level: float = 0.95) -> Floats:
    """Percentile interval over resamples (R × G): 2 × G, widened to contain the estimate.

    A statistic with a skewed bootstrap distribution can fall outside its own percentile
    interval; widening only makes the interval more cautious.
    """
    estimate = np.asarray(estimate, dtype=np.float64)
    known = ~np.isnan(estimate) & (~np.isnan(replicates)).any(axis=0)
    bounds = np.full((2, len(estimate)), np.nan)
    if known.any():
        tail = 50 * (1 - level)
        found = np.nanpercentile(replicates[:, known], [tail, 100 - tail], axis=0)
        bounds[0, known] = np.minimum(found[0], estimate[known])
        bounds[1, known] = np.maximum(found[1], estimate[known])
    return bounds
