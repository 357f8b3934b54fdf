"""Three claims of Dodge et al. 2019 as differences between runs, decided by fixed rules.

The rules were written before the study was run. Accuracies are of the test documents, in percent.
A part is a difference between models of equal seed, asked twice: over seeds (``mean``), the mean
with Student's t interval; and over ``documents``, the mean over the seeds with a bootstrap interval
over the test documents, the same redraws for all models. A part is true if the whole 95 % interval
is on the claimed side of the bound, false if it is wholly on the other, else open. With several
categories the first part is the mean over them.

1. Fig. 3: at equal transitions regularised models are better. For each of them: its accuracy less
   that of the baselines, interpolated linearly between their numbers of transitions and constant
   beyond; the mean over the goals is above 0.
2. Fig. 3, text of §3: heavily regularised models beat the unigram baseline. The goal nearest to the
   transitions of the unigram baseline, less that baseline: above 1 point in the mean over the
   categories, above 0 in each.
3. §4, Table 1: as few as three WFSAs will do. At the smallest goal the models lose less than a
   point against those of finding 2, and keep at most three WFSAs (mean below 3.5).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsecore.stats.bootstrap import percentile_interval, resample_weights
from sparsecore.stats.seeds import Interval, mean_interval
from sparsecore.stats.verdict import flip, side

GAIN = 1.0  # points, finding 2
LOSS = 1.0  # points, finding 3
FEW = 3.5  # WFSAs, finding 3
UNIGRAMS = 1  # transitions of each WFSA of the unigram baseline
SEED = 0  # of the redraws
UNKNOWN: Interval = (math.nan, math.nan, math.nan)

Weights = dict[str, float]  # run -> its weight in a difference
Contrast = dict[str, dict[int, Weights]]  # category -> seed -> weights
Row = tuple[int, str, str, float, float, float, str, int]


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
        return _percentiles(value, replicates)


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


def findings(runs: pd.DataFrame, samples: Samples) -> pd.DataFrame:
    """The parts of the findings; see the module's text for the rules.

    ``runs``: run, category, family, seed, goal, transitions, wfsas, test_accuracy.
    """
    rows = [*_finding_1(runs, samples), *_finding_2(runs, samples), *_finding_3(runs, samples)]
    names = ["finding", "part", "method", "value", "low", "high", "outcome", "seeds"]
    return pd.DataFrame(rows, columns=pd.Index(names))


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
    """Finding 1: regularised models less the line of the baselines, mean over the goals."""
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
    """Finding 2: the heavily regularised model less the unigram baseline."""
    contrast: Contrast = {}
    for category, seed, base, learned in _by_seed(runs):
        unigrams = base[base["transitions"] == UNIGRAMS * base["wfsas"]]
        if unigrams.empty or learned.empty:
            continue
        heavy = _nearest(learned, float(unigrams["transitions"].iloc[0]))
        weights = {heavy: 1.0, str(unigrams["run"].iloc[0]): -1.0}
        contrast.setdefault(category, {})[seed] = weights
    return contrast


def _finding_1(runs: pd.DataFrame, samples: Samples) -> Iterator[Row]:
    name = "regularised less baseline at equal transitions"
    yield from _parts(1, name, gains_at_equal_size(runs), samples, 0, 0)


def _finding_2(runs: pd.DataFrame, samples: Samples) -> Iterator[Row]:
    name = "heavily regularised less unigram baseline"
    yield from _parts(2, name, gains_over_unigrams(runs), samples, GAIN, 0)


def _finding_3(runs: pd.DataFrame, samples: Samples) -> Iterator[Row]:
    contrast: Contrast = {}
    few = []
    for category, seed, base, learned in _by_seed(runs):
        unigrams = base[base["transitions"] == UNIGRAMS * base["wfsas"]]
        if unigrams.empty or learned["goal"].nunique() < 2:
            continue
        heavy = _nearest(learned, float(unigrams["transitions"].iloc[0]))
        least = learned.iloc[int(learned["goal"].astype(float).argmin())]
        if least["run"] != heavy:
            few.append(float(least["wfsas"]))
            contrast.setdefault(category, {})[seed] = {str(least["run"]): 1.0, heavy: -1.0}
    name = "smallest models less heavily regularised"
    yield from _parts(3, name, contrast, samples, -LOSS, -LOSS)
    kept = mean_interval(few) if few else UNKNOWN
    outcome = flip(side(kept, FEW))
    yield (3, "WFSAs that the smallest models keep", "mean", *kept, outcome, len(few))


def _by_seed(runs: pd.DataFrame) -> Iterator[tuple[str, int, pd.DataFrame, pd.DataFrame]]:
    for _, group in runs.groupby(["category", "seed"], sort=False):
        learned = group["family"] == "regularised"
        category, seed = str(group["category"].iloc[0]), int(group["seed"].iloc[0])
        yield category, seed, group[~learned], group[learned]


def _nearest(learned: pd.DataFrame, transitions: float) -> str:
    """The run whose goal (or, without one, whose size) is nearest to a number of transitions."""
    size = learned["goal"].astype(float).fillna(learned["transitions"])
    return str(learned["run"].iloc[int((size - transitions).abs().argmin())])


def _parts(
    finding: int, name: str, contrast: Contrast, samples: Samples, first: float, others: float
) -> Iterator[Row]:
    """The mean over categories against the bound ``first``, then each against ``others``."""
    groups = [(name, list(contrast), first)]
    if len(contrast) > 1:
        groups = [(f"{name}, mean over categories", list(contrast), first)]
        groups += [(f"{name}, {category}", [category], others) for category in contrast]
    for part, categories, bound in groups:
        seeds = sorted({seed for category in categories for seed in contrast[category]})
        over_seeds, over_documents = _intervals(categories, seeds, contrast, samples)
        for method, interval in (("mean", over_seeds), ("documents", over_documents)):
            yield (finding, part, method, *interval, side(interval, bound), len(seeds))


def _intervals(
    categories: list[str], seeds: list[int], contrast: Contrast, samples: Samples
) -> tuple[Interval, Interval]:
    """The mean difference over seeds, and over documents."""
    if not seeds:
        return UNKNOWN, UNKNOWN
    by_seed = []
    for seed in seeds:
        known = [c for c in categories if seed in contrast[c]]
        by_seed.append(np.mean([samples[c].value(contrast[c][seed])[0] for c in known]))
    parts = [_mean_over_seeds(samples[c], contrast[c]) for c in categories]
    value = float(np.mean([part[0] for part in parts]))
    replicates = np.mean([part[1] for part in parts], axis=0)
    return mean_interval([float(x) for x in by_seed]), _percentiles(value, replicates)


def _mean_over_seeds(
    sample: Sample, by_seed: dict[int, Weights]
) -> tuple[float, NDArray[np.float64]]:
    together: Weights = {}
    for weights in by_seed.values():
        for run, weight in weights.items():
            together[run] = together.get(run, 0.0) + weight / len(by_seed)
    return sample.value(together)


def _percentiles(value: float, replicates: NDArray[np.float64]) -> Interval:
    low, high = percentile_interval(replicates[:, None], np.array([value]))[:, 0]
    return value, float(low), float(high)
