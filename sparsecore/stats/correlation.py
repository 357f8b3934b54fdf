"""Does a word's mean chi go with its frequency? rho per epoch, layer, signal and role.

    rho_target(h) = corr_w( mean over t with target w of chi(h_t), freq(w) )      (rho-left)
    rho_input(h)  = corr_w( mean over t with input w of chi(h_t), freq(w) )       (rho-right)

Saphra & Lopez 2019, §3. The paper's correlation is Pearson's on raw frequency; as word
frequencies span five orders of magnitude, a handful of words carry it, so Spearman, Pearson on
log frequency and partial correlations stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparsecore.errors import InputError, check_choice
from sparsecore.stats import bootstrap
from sparsecore.stats.seeds import Interval
from sparsecore.stats.tables import (
    EXCLUDED,
    Block,
    check_counts,
    describe_group,
    group_columns,
    word_blocks,
)

METHODS = {
    "pearson": "Pearson's correlation with raw frequency, as in the paper",
    "spearman": "Spearman's rank correlation",
    "pearson_log": "Pearson's correlation with log frequency",
    "partial_class": "log frequency, given the word's class (open, closed, none)",
    "partial_length": "log frequency, given the word's length in characters",
    "partial_class_length": "log frequency, given class and length",
    "partial_surprisal": "log frequency, given the word's mean surprisal",
}
DEFAULT_METHODS = ("pearson", "spearman", "pearson_log", "partial_class", "partial_length")


def frequency_correlation(
    table: pd.DataFrame,
    by: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    value: str = "chi",
    *,
    min_frequency: float = 0,
    exclude: Iterable[str] = EXCLUDED,
    n_boot: int = 1000,
    n_permutations: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """rho = corr_w(mean chi of w, freq(w)) for each group of a per-word table, with intervals.

    Args:
        table: one row a word and group, as ``tracker.table()`` and ``run.statistics()`` give:
            columns word, frequency (occurrences), the value (chi has no unit, l1 is in nats per
            unit of activation), and whatever tells the groups apart; ``word_class``
            (open|closed|none) for the methods that control for class.
        by: the columns that make a group; default those of seed, revision, epoch, layer, signal,
            role that are present. Rows without a value in one of them are a group of their own.
        methods: names from ``METHODS``; default the first five (without ``partial_class`` where
            the table has no ``word_class``). ``partial_surprisal`` needs the column surprisal that
            :func:`sparsecore.track_lm` gives, in nats, and leaves out words that have none.
        value: the column to correlate with frequency: ``"chi"``, ``"l1"`` or a further measure of
            the tracker (``"hoyer"``, …).
        min_frequency: rarer words are left out; so are words whose value is NaN (never seen in
            that role).
        exclude: words that are left out; one may stand by itself.
        n_boot: resamples of the words for the interval (0: none, low and high are NaN).
        n_permutations: shuffles for the two-sided p-value of "no relation" (0: NaN).
        seed: of the resamples; the same seed gives the same numbers.

    Returns:
        pandas.DataFrame: One row a group and method. Columns: the by-columns, value, method, rho,
        low, high (95 % percentile bootstrap over words, widened to contain rho), p_permutation,
        words (how many). rho is NaN where frequency or the value is constant (given the controls).
        The interval answers "would other words have given the same?"; for raw frequency, whose
        mass is in few words, it is wide and only roughly a 95 % one.

    Raises:
        InputError: a missing column, one that holds no numbers, an unknown method, a repeated or
            missing word, or a group of fewer than 3 words.

    Source: Saphra & Lopez 2019, §3.

    >>> table = pd.DataFrame({"word": list("abcd"), "frequency": [1, 10, 100, 1000],
    ...                       "chi": [0.1, 0.2, 0.3, 0.4]})
    >>> frequency_correlation(table, methods=["spearman", "pearson_log"])[["method", "rho"]]
            method  rho
    0     spearman  1.0
    1  pearson_log  1.0
    """
    methods = _check_methods(table, methods)
    check_counts(n_boot=n_boot, n_permutations=n_permutations, seed=seed)
    by = group_columns(table, by)
    blocks = word_blocks(
        table, value, by, exclude=exclude, min_frequency=min_frequency, controls=_controls(methods)
    )
    rows = []
    for block in blocks:
        estimates, replicates = _correlate(block, methods, n_boot, seed)
        for method in methods:
            low, high = bootstrap.percentile_interval(replicates[method], estimates[method])
            p = _permutation_p(block, method, n_permutations, seed)
            for g, key in enumerate(block.keys):
                rows.append(
                    {
                        **dict(zip(by, key, strict=True)),
                        "value": value,
                        "method": method,
                        "rho": estimates[method][g],
                        "low": low[g],
                        "high": high[g],
                        "p_permutation": p[g],
                        "words": len(block.words),
                    }
                )
    result = pd.DataFrame(rows)
    result["method"] = pd.Categorical(result["method"], categories=methods)
    result = result.sort_values([*by, "method"], kind="stable", ignore_index=True)
    return result.astype({"method": "str"})


def correlation_replicates(
    table: pd.DataFrame,
    by: Sequence[str],
    method: str = "pearson",
    value: str = "chi",
    *,
    n_boot: int = 1000,
) -> Replicates:
    """rho of every group together with its bootstrap replicates, for questions about several rho.

    Groups over the same words share their resamples, so a difference between two of them (epochs,
    layers, signals) is paired by word. Arguments and errors as :func:`frequency_correlation`.
    """
    (method,) = _check_methods(table, [method])
    check_counts(n_boot=n_boot)
    by = group_columns(table, by)
    keys: list[tuple[Any, ...]] = []
    estimates, replicates = [], []
    for block in word_blocks(table, value, by, controls=_controls([method])):
        found, draws = _correlate(block, [method], n_boot, 0)
        keys += block.keys
        estimates.append(found[method])
        replicates.append(draws[method])
    return Replicates(
        by=tuple(by),
        index={key: g for g, key in enumerate(keys)},
        estimates=np.concatenate(estimates),
        draws=np.concatenate(replicates, axis=1),
    )


@dataclass(frozen=True)
class Replicates:
    """rho of G groups (``estimates``: G) and R bootstrap replicates of each (``draws``: R × G)."""

    by: tuple[str, ...]
    index: dict[tuple[Any, ...], int]  # by-values -> g
    estimates: bootstrap.Floats
    draws: bootstrap.Floats

    def contrast(self, terms: dict[tuple[Any, ...], float]) -> Interval:
        """sum of coefficient × rho over groups, and its 95 % interval: value, low, high.

        ``terms`` maps by-values to coefficients: ``{("lstm2", 9): 1.0, ("lstm2", 1): -1.0}`` is how
        much rho grew from epoch 1 to 9. Raises InputError for a group that is not there.
        """
        return self.combined(terms).interval()

    def combined(self, terms: dict[tuple[Any, ...], float]) -> bootstrap.Estimate:
        """sum of coefficient × rho over groups, and the same in every resample.

        Runs over the same words have the same resamples, so that the draws of several seeds go
        together into :func:`sparsecore.stats.two_level.interval_of`.
        """
        for key in terms:
            if key not in self.index:
                raise InputError(f"there is no group {describe_group(self.by, key)}")
        columns = [self.index[key] for key in terms]
        coefficients = np.array(list(terms.values()), dtype=np.float64)
        value = float(self.estimates[columns] @ coefficients)
        return bootstrap.Estimate(value, self.draws[:, columns] @ coefficients)


def _correlate(
    block: Block, methods: Sequence[str], n_boot: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Estimates (G) and bootstrap replicates (R × G) of each method."""
    ones = np.ones((len(block.words), 1))
    estimates = {method: _rho(block, method, ones)[0] for method in methods}
    parts: dict[str, list[Any]] = {method: [] for method in methods}
    for weights in bootstrap.resample_weights(len(block.words), n_boot, seed):
        for method in methods:
            parts[method].append(_rho(block, method, weights))
    empty = np.empty((0, len(block.keys)))
    return estimates, {method: np.concatenate([empty, *parts[method]]) for method in methods}


def _rho(block: Block, method: str, weights: bootstrap.Floats) -> bootstrap.Floats:
    if method == "spearman":
        return bootstrap.weighted_spearman(weights, block.frequency, block.values)
    x, controls = _x_and_controls(block, method)
    return bootstrap.weighted_correlation(weights, x, block.values, controls)


def _permutation_p(block: Block, method: str, permutations: int, seed: int) -> bootstrap.Floats:
    x, controls = _x_and_controls(block, method)
    y = block.values
    if method == "spearman":
        x, y = bootstrap.ranks(x[:, None])[:, 0], bootstrap.ranks(y)
    return bootstrap.permutation_p(x, y, controls, permutations, seed)


def _x_and_controls(block: Block, method: str) -> tuple[bootstrap.Floats, bootstrap.Floats]:
    """Frequency as the method takes it (N) and what it is controlled for (N × K)."""
    x = block.frequency if method in ("pearson", "spearman") else np.log(block.frequency)
    controls: list[Any] = []
    if method in ("partial_class", "partial_class_length"):
        controls += [block.word_class == "open", block.word_class == "closed"]
    if method in ("partial_length", "partial_class_length"):
        controls += [[len(str(word)) for word in block.words]]
    if method == "partial_surprisal":
        controls += [block.surprisal]
    columns = [np.asarray(column, dtype=np.float64) for column in controls]
    return x, np.stack(columns, axis=1) if columns else np.empty((len(x), 0))


def _controls(methods: Sequence[str]) -> list[str]:
    return ["surprisal"] if "partial_surprisal" in methods else []


def _check_methods(table: pd.DataFrame, methods: Sequence[str] | None) -> list[str]:
    if methods is None:
        return [m for m in DEFAULT_METHODS if m != "partial_class" or "word_class" in table.columns]
    methods = [methods] if isinstance(methods, str) else list(methods)
    if not methods:
        raise InputError(f"methods is empty; choose from {', '.join(METHODS)}")
    for method in methods:
        check_choice("method", method, METHODS)
        if method.startswith("partial_class") and "word_class" not in table.columns:
            raise InputError(f"method {method!r} needs a column 'word_class' (open|closed|none)")
    return methods
