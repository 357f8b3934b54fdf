"""The findings by scale: their statistics as curves over updates and over cumulative exposure.

A finding of a small run may be one of its size. These tables show each statistic from the first
updates on, with the paper's place on the same axes as data (:data:`PAPER`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from sparsecore.experiments.emergent.evidence import (
    ACTIVATIONS,
    GRADIENTS,
    METHODS,
    TOP,
    rows_of,
    word_sets,
)
from sparsecore.stats.correlation import Replicates, correlation_replicates
from sparsecore.stats.groups import mean_difference

PAPER = {
    "updates_an_epoch": 162_000,  # 227 million tokens in windows of 40 × 35
    "epochs": 50,
    "exposure_an_epoch": 100,  # of its rarest word
    "vocabulary": 19_500,
    "learning_rate": 20.0,
}
"""Saphra & Lopez 2019, §2: where the paper's figures stand on the axes of these curves."""

COLUMNS = ["finding", "statistic", "epoch", "updates", "exposure", "method", "value", "low", "high"]


def scale_table(
    statistics: pd.DataFrame, words: pd.DataFrame, updates_an_epoch: int, n_boot: int = 1000
) -> pd.DataFrame:
    """One row a statistic, method and moment of one run.

    Args:
        statistics: as ``Run.statistics()`` gives them, of whole epochs; or of parts of epochs, with
            a column ``updates``, the number of updates up to the end of the part.
        words: word, frequency, word_class of every word.
        updates_an_epoch: how many make one pass over the text.
        n_boot: resamples of the words for the intervals.

    Returns:
        pandas.DataFrame: finding (1, 2, 3, 6, 7), statistic, epoch (a fraction within epochs),
        updates, exposure (occurrences of the median word of W so far), method, value, low, high
        (95 % over words). W, the words whose exposure in the end is at least 3,000, is the same at
        every moment.
    """
    table = statistics
    if "updates" not in table.columns:
        table = table.assign(updates=table["epoch"] * updates_an_epoch)
    passes = table["updates"].max() / updates_an_epoch
    exposed, often = word_sets(words, passes)
    rows = [
        *_correlations(table, exposed, n_boot),
        *_differences(table, exposed, often, n_boot),
    ]
    curves = pd.DataFrame(rows)
    if curves.empty:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    epoch = curves["updates"] / updates_an_epoch
    median = float(exposed["frequency"].median()) if len(exposed) else float("nan")
    curves = curves.assign(epoch=epoch, exposure=epoch * median)
    keys = ["finding", "statistic", "method", "updates"]
    return curves[COLUMNS].sort_values(keys, kind="stable", ignore_index=True)


def _correlations(
    table: pd.DataFrame, exposed: pd.DataFrame, n_boot: int
) -> Iterator[dict[str, Any]]:
    moments = sorted(table["updates"].unique())
    top = rows_of(table, *TOP, "target")
    over_w = top[top["word"].isin(exposed["word"])]
    for method in METHODS:
        every = ["updates", "layer", "signal", "role"]
        chi = correlation_replicates(table, every, method, n_boot=n_boot)
        others = [pair for pair in ACTIVATIONS + GRADIENTS if pair != TOP]
        for now in moments:
            signals = [chi.contrast({(now, *pair, "target"): 1}) for pair in others]
            largest = max(signals, key=lambda interval: interval[0])
            yield _row(2, "largest ρ of another signal", now, method, largest)
            bottom, lower = ("embedding", "activation", "input"), ("lstm1", "activation", "input")
            ahead = chi.contrast({(now, *bottom): 1, (now, *lower): -1})
            yield _row(3, "ρ of hᵉ minus ρ of h¹, input words", now, method, ahead)
        yield from _over(over_w, 1, "ρ over W", moments, method, n_boot)
        for word_class in ("open", "closed"):
            chosen = over_w[over_w["word_class"] == word_class]
            name = f"ρ over the {word_class} classes of W"
            yield from _over(chosen, 6, name, moments, method, n_boot)


def _over(
    chosen: pd.DataFrame, finding: int, name: str, moments: list[Any], method: str, n_boot: int
) -> Iterator[dict[str, Any]]:
    """rho of the top gradient over some words, where there are enough of them."""
    if chosen["word"].nunique() < 3:
        return
    found: Replicates = correlation_replicates(chosen, ["updates"], method, n_boot=n_boot)
    for now in moments:
        yield _row(finding, name, now, method, found.contrast({(now,): 1}))


def _differences(
    table: pd.DataFrame, exposed: pd.DataFrame, often: pd.DataFrame, n_boot: int
) -> Iterator[dict[str, Any]]:
    top = rows_of(table, *TOP, "target")
    sets = {
        "mean χ, closed minus open, words seen more than 1,000 times": (often, None),
        "mean χ, closed minus open, W, at equal log frequency": (exposed, "log_frequency"),
    }
    for name, (words, given) in sets.items():
        chosen = top[top["word"].isin(words["word"])]
        sizes = words["word_class"].value_counts()
        if min(sizes.get("open", 0), sizes.get("closed", 0)) < 2:
            continue
        found = mean_difference(chosen, by=["updates"], given=given, n_boot=n_boot)
        for row in found.to_dict("records"):
            interval = (row["difference"], row["low"], row["high"])
            yield _row(7, name, row["updates"], "mean", interval)


def _row(
    finding: int, statistic: str, updates: Any, method: str, interval: tuple[float, float, float]
) -> dict[str, Any]:
    value, low, high = interval
    return {
        "finding": finding,
        "statistic": statistic,
        "updates": int(updates),
        "method": method,
        "value": value,
        "low": low,
        "high": high,
    }
