"""What the findings of a sentiment study compare: weighted sums of runs' accuracies.

A contrast gives each run of a category and seed a weight; its value is a difference of test
accuracies in percentage points. The test documents are redrawn, the same redraws for all runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsecore.stats.bootstrap import percentile_interval, resample_weights
from sparsecore.stats.seeds import Interval

UNIGRAMS = 1  # transitions of each WFSA of the unigram baseline
SEED = 0  # of the redraws

Weights = dict[str, float]  # run -> its weight in a difference
Contrast = dict[str, dict[int, Weights]]  # category -> seed -> weights


@dataclass(frozen=True)
class Sample:
    """Which test documents of one category each run gets right, and redraws of the documents."""

    runs: list[str]
    accuracy: NDArray[np.float64]  # (runs,) in percent
    redrawn: NDArray[np.float64]  # (n_boot, runs)

    def value(self, weights: Weights) -> tuple[float, NDArray[np.float64]]:
        """A weighted sum of accuracies, and of each redraw's."""
        w = np.array([weights.get(run, 0.0) for run in self.runs])
        return float(self.accuracy @ w), self.redrawn @ w

    def interval(self, weights: Weights) -> Interval:
        """The weighted sum with its percentile interval over documents."""
        value, replicates = self.value(weights)
        low, high = percentile_interval(replicates[:, None], np.array([value]))[:, 0]
        return value, float(low), float(high)


Samples = Mapping[str, Sample]


def samples_of(runs: pd.DataFrame, predictions: pd.DataFrame, n_boot: int) -> Samples:
    """For each category: right or wrong by run and document, and ``n_boot`` redraws."""
    right = (predictions["margin"] > 0) == (predictions["label"] == 1)
    right = predictions[["run", "document"]].assign(right=right.astype(float))
    samples = {}
    for category, group in runs.groupby("category", sort=False):
        own = right[right["run"].isin(group["run"])]
        table = own.pivot(index="run", columns="document", values="right")
        hits = table.to_numpy(dtype=np.float64)
        blocks = resample_weights(hits.shape[1], n_boot, SEED)
        redrawn = np.concatenate([hits @ block for block in blocks], axis=1) / hits.shape[1]
        samples[str(category)] = Sample(
            table.index.astype(str).tolist(), 100 * hits.mean(1), 100 * redrawn.T
        )
    return samples


def curve(transitions: NDArray[np.float64], at: float) -> NDArray[np.float64]:
    """Weights of points of a line at ``at``: linear between the neighbours, constant beyond.

    >>> curve(np.array([24.0, 48.0, 72.0]), 54.0).tolist()
    [0.0, 0.75, 0.25]
    """
    order = np.argsort(transitions, kind="stable")
    weights = np.zeros(len(transitions))
    for index, column in enumerate(np.eye(len(transitions))):
        weights[order[index]] = np.interp(at, transitions[order], column)
    return weights


def gains_at_equal_size(runs: pd.DataFrame) -> Contrast:
    """Finding 1: regularised models minus the line of the baselines, mean over the goals."""
    contrast: Contrast = {}
    for category, seed, base, learned in _by_seed(runs):
        if len(base) < 2 or learned.empty:
            continue
        weights: Weights = {}
        line = base["transitions"].to_numpy(dtype=float)
        for run, size in zip(learned["run"], learned["transitions"], strict=True):
            weights[run] = 1 / len(learned)
            for name, weight in zip(base["run"], curve(line, float(size)), strict=True):
                weights[name] = weights.get(name, 0.0) - weight / len(learned)
        contrast.setdefault(category, {})[seed] = weights
    return contrast


def gains_over_unigrams(runs: pd.DataFrame) -> Contrast:
    """Finding 2: the heavily regularised model minus the unigram baseline."""
    contrast: Contrast = {}
    for category, seed, base, learned in _by_seed(runs):
        unigrams = base[base["transitions"] == UNIGRAMS * base["wfsas"]]
        if unigrams.empty or learned.empty:
            continue
        heavy = nearest(learned, float(unigrams["transitions"].iloc[0]))
        weights = {str(learned.loc[heavy, "run"]): 1.0, str(unigrams["run"].iloc[0]): -1.0}
        contrast.setdefault(category, {})[seed] = weights
    return contrast


def _by_seed(runs: pd.DataFrame) -> Iterator[tuple[str, int, pd.DataFrame, pd.DataFrame]]:
    for _, group in runs.groupby(["category", "seed"], sort=False):
        learned = group["family"] == "regularised"
        category, seed = str(group["category"].iloc[0]), int(group["seed"].iloc[0])
        yield category, seed, group[~learned], group[learned]


def nearest(learned: pd.DataFrame, transitions: float) -> Any:
    """The label of the run whose goal (or else whose size) is nearest to so many transitions."""
    size = learned["goal"].astype(float).fillna(learned["transitions"])
    return (size - transitions).abs().idxmin()
