"""What the rules look at of one run, and the same by scale, from the first updates on.

Resample r of the words is the same in every seed of a configuration, whose words are the same, so
that :mod:`sparsecore.experiments.emergent.findings` can put seeds together word by word.

A finding of a small run may be one of its size: :func:`scale_table` has each statistic over updates
and over cumulative exposure, with the paper's place on the same axes as data (:data:`PAPER`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.measure.words import matched_samples
from sparsecore.stats.bootstrap import Estimate
from sparsecore.stats.correlation import Replicates, correlation_replicates
from sparsecore.stats.groups import difference_replicates, mean_difference
from sparsecore.stats.tables import EXCLUDED, rows_where

EXPOSURE = 3_000  # occurrences × epochs
OFTEN = 1_000  # occurrences, Fig. 5
MATCHED = 120  # words of each class in the paper's samples
METHODS = ("pearson", "pearson_log")

ACTIVATIONS = [("embedding", "activation"), ("lstm1", "activation"), ("lstm2", "activation")]
GRADIENTS = [
    ("embedding", "gradient"),
    ("lstm1", "gradient"),
    ("lstm2", "gradient"),
    ("softmax", "gradient"),
]
TOP = ("lstm2", "gradient")
OTHERS = [pair for pair in ACTIVATIONS + GRADIENTS if pair != TOP]

PAPER = {
    "updates_an_epoch": 162_000,  # 227 million tokens in windows of 40 × 35
    "epochs": 50,
    "exposure_an_epoch": 100,  # of its rarest word
    "vocabulary": 19_500,
    "learning_rate": 20.0,
}
"""Saphra & Lopez 2019, §2: where the paper's figures stand on the axes of curves by scale."""

COLUMNS = ["finding", "statistic", "epoch", "updates", "exposure", "method", "value", "low", "high"]

Row = tuple[int, str, int, str, float, float, float]  # finding … method, value, low, high


@dataclass(frozen=True)
class Evidence:
    """Correlations with frequency over all words, of one run and by one method."""

    chi: Replicates  # by epoch, layer, signal, role
    l1: Replicates  # by epoch: of the top gradient, target
    classes: Replicates  # by epoch, word_class: of the top gradient, target


@dataclass(frozen=True)
class RunEvidence:
    """What the rules look at of one run."""

    last: int  # E
    cut: int | None  # the first epoch at whose end the learning rate decays
    counts: dict[str, int]  # words of each set
    everything: dict[str, Evidence]  # by method
    exposed: dict[str, Replicates] = field(default_factory=dict)  # W, by epoch
    classes: dict[str, Replicates] = field(default_factory=dict)  # W, by epoch and class
    differences: dict[str, Estimate] = field(default_factory=dict)  # mean chi, closed minus open


def evidence_of(
    statistics: pd.DataFrame, words: pd.DataFrame, epochs: pd.DataFrame, *, n_boot: int = 1000
) -> RunEvidence:
    """What the rules look at, from one run's tables.

    Args:
        statistics: all epochs: epoch, word, frequency, word_class, layer, signal, role, chi, l1.
        words: word, frequency, word_class.
        epochs: epoch, step_cut.
        n_boot: resamples of the words.

    Raises:
        InputError: missing columns, or a run without a trained epoch.
    """
    last, cut = ends_of(epochs)
    if last < 1:
        raise InputError("the run has no trained epoch yet; the findings need at least one")
    exposed, often = word_sets(words, last)
    counts = counts_of(exposed, often)
    signals, classes = ["epoch", "layer", "signal", "role"], ["epoch", "word_class"]
    top = top_rows(statistics)
    of_classes = top[top["word_class"].isin(["open", "closed"])]
    of_exposed, of_exposed_classes = (t[t["word"].isin(exposed["word"])] for t in (top, of_classes))
    everything: dict[str, Evidence] = {}
    by_word: dict[str, Replicates] = {}
    by_class: dict[str, Replicates] = {}
    rho = partial(correlation_replicates, n_boot=n_boot)
    for method in METHODS:
        everything[method] = Evidence(
            chi=rho(statistics, signals, method),
            l1=rho(top, ["epoch"], method, "l1"),
            classes=rho(of_classes, classes, method),
        )
        if counts["exposed"] >= 3:
            by_word[method] = rho(of_exposed, ["epoch"], method)
        if min(counts["exposed open"], counts["exposed closed"]) >= 3:
            by_class[method] = rho(of_exposed_classes, classes, method)
    differences = _differences(top[top["epoch"] == last], exposed, often, n_boot)
    return RunEvidence(last, cut, counts, everything, by_word, by_class, differences)


def ends_of(epochs: pd.DataFrame) -> tuple[int, int | None]:
    """The last epoch, and the first at whose end the learning rate decays."""
    cuts = epochs.loc[epochs["step_cut"].astype(bool), "epoch"]
    return int(epochs["epoch"].max()), int(cuts.min()) if len(cuts) else None


def word_sets(words: pd.DataFrame, passes: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """W, the words whose exposure in so many passes is large, and F, those that are frequent."""
    known = words[~words["word"].isin(EXCLUDED)]
    return known[known["frequency"] * passes >= EXPOSURE], known[known["frequency"] > OFTEN]


def counts_of(exposed: pd.DataFrame, often: pd.DataFrame) -> dict[str, int]:
    """How many words the sets have, in all and by class."""
    counts = {"exposed": len(exposed)}
    for name, chosen in (("exposed", exposed), ("often", often)):
        sizes = chosen["word_class"].value_counts()
        counts |= {f"{name} {c}": int(sizes.get(c, 0)) for c in ("open", "closed")}
    return counts


def top_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the upper layer's gradient, by target word."""
    return rows_where(table, layer="lstm2", signal="gradient", role="target")


def matched_words(words: pd.DataFrame) -> pd.DataFrame:
    """The paper's samples of equally frequent open and closed words, smaller where words lack.

    Columns as :func:`~sparsecore.measure.words.matched_samples`; no rows where a class has fewer
    than 10 words.
    """
    known = words[~words["word"].isin(EXCLUDED)]
    counts = known.loc[known["frequency"] > 0, "word_class"].value_counts()
    size = int(min(MATCHED, counts.get("open", 0), counts.get("closed", 0)))
    if size < 10:
        return known.iloc[:0][["word", "word_class", "frequency"]]
    return matched_samples(known, size)


def _differences(
    end: pd.DataFrame, exposed: pd.DataFrame, often: pd.DataFrame, n_boot: int
) -> dict[str, Estimate]:
    """Mean chi of closed minus open words at the last epoch, over each set that has both."""
    found = {}
    sets: dict[str, tuple[pd.Series, str | None]] = {
        "often": (often["word"], None),
        "exposed": (exposed["word"], "log_frequency"),
        "matched": (matched_words(exposed)["word"], None),
        "all": (end["word"], None),
    }
    for name, (words, given) in sets.items():
        chosen = end[end["word"].isin(words) & end["chi"].notna()]
        if (chosen["word_class"].value_counts().reindex(["open", "closed"]) >= 2).all():
            found[name] = difference_replicates(chosen, given=given, n_boot=n_boot)
    return found


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
        *_correlations_by_scale(table, exposed, n_boot),
        *_differences_by_scale(table, exposed, often, n_boot),
    ]
    if not rows:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    columns = ["finding", "statistic", "updates", "method", "value", "low", "high"]
    curves = pd.DataFrame(rows, columns=pd.Index(columns))
    epoch = curves["updates"] / updates_an_epoch
    median = float(exposed["frequency"].median()) if len(exposed) else float("nan")
    curves = curves.assign(epoch=epoch, exposure=epoch * median)
    keys = ["finding", "statistic", "method", "updates"]
    return curves[COLUMNS].sort_values(keys, kind="stable", ignore_index=True)


def _correlations_by_scale(
    table: pd.DataFrame, exposed: pd.DataFrame, n_boot: int
) -> Iterator[Row]:
    moments = sorted(table["updates"].unique())
    top = top_rows(table)
    over_w = top[top["word"].isin(exposed["word"])]
    for method in METHODS:
        every = ["updates", "layer", "signal", "role"]
        chi = correlation_replicates(table, every, method, n_boot=n_boot)
        for now in moments:
            signals = [chi.contrast({(now, *pair, "target"): 1}) for pair in OTHERS]
            largest = max(signals, key=lambda interval: interval[0])
            yield 2, "largest ρ of another signal", int(now), method, *largest
            bottom, lower = ("embedding", "activation", "input"), ("lstm1", "activation", "input")
            ahead = chi.contrast({(now, *bottom): 1, (now, *lower): -1})
            yield 3, "ρ of hᵉ minus ρ of h¹, input words", int(now), method, *ahead
        yield from _over(over_w, 1, "ρ over W", moments, method, n_boot)
        for word_class in ("open", "closed"):
            chosen = over_w[over_w["word_class"] == word_class]
            name = f"ρ over the {word_class} classes of W"
            yield from _over(chosen, 6, name, moments, method, n_boot)


def _over(
    chosen: pd.DataFrame, finding: int, name: str, moments: list[Any], method: str, n_boot: int
) -> Iterator[Row]:
    """rho of the top gradient over some words, where there are enough of them."""
    if chosen["word"].nunique() < 3:
        return
    found = correlation_replicates(chosen, ["updates"], method, n_boot=n_boot)
    for now in moments:
        yield finding, name, int(now), method, *found.contrast({(now,): 1})


def _differences_by_scale(
    table: pd.DataFrame, exposed: pd.DataFrame, often: pd.DataFrame, n_boot: int
) -> Iterator[Row]:
    top = top_rows(table)
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
            yield 7, name, int(row["updates"]), "mean", *interval
