"""Three claims of Dodge et al. 2019, and the rules that decide them.

Statistics, conditions and margins stand in ``book/registrations.md`` (*Learned structures, second
round*). Differences are of test accuracies in percentage points between models of equal seed, with
one interval for seeds and documents. Documents are redrawn within a category, the same redraw for
all its models and seeds; that the documents of the mix are partly those of the categories is not
modelled.

1. Fig. 3: at equal transitions regularised models are better than baselines, which are interpolated
   linearly between their numbers of transitions and constant beyond: the mean over goals and
   categories is above 0 (essential), and each category but at most one (side).
2. Fig. 3, text of §3: heavily regularised models, of the goal nearest to the transitions of the
   unigram baseline, beat that baseline: the same two parts, and the mean is above 1 point (side).
3. §4, Table 1: as few as three WFSAs will do: of the models with so few, the best on the
   development set loses less than a point against the models of finding 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsecore.stats.bootstrap import Estimate, resample_weights
from sparsecore.stats.judgement import ESSENTIAL, MET, SHOWN, SIDE, Part, parts_table
from sparsecore.stats.proportions import difference_of, wilson_interval
from sparsecore.stats.seeds import UNKNOWN, Interval, mean_interval
from sparsecore.stats.tables import Summary
from sparsecore.stats.two_level import both_variances, interval_of
from sparsecore.stats.verdict import side

EFFECT = 1.0  # points: the least of the paper's 1 to 2
GAIN = 1.0  # points, the side part of finding 2
LOSS = 1.0  # points, finding 3
FEW = 3  # WFSAs, finding 3
EQUAL_BUDGETS = 0.75  # of the models compared, the shorter mean training over the longer, in epochs
NAMES = {
    1: "regularised minus baseline at equal transitions",
    2: "heavily regularised minus unigram baseline",
}
UNIGRAMS = 1  # transitions of each WFSA of the unigram baseline
SEED = 0  # of the redraws of documents

Weights = dict[str, float]  # run -> its weight in a difference of accuracies
Contrast = dict[str, dict[int, Weights]]  # category -> seed -> weights
Values = dict[str, Interval]  # category, or "mean over categories" -> interval


def decide(runs: pd.DataFrame, samples: Samples) -> pd.DataFrame:
    """The parts of the three findings from runs and their predictions: see ``parts_table``."""
    contrasts = {1: gains_at_equal_size(runs), 2: gains_over_unigrams(runs)}
    values = {finding: _values(contrast, samples) for finding, contrast in contrasts.items()}
    seeds = {n: len({s for c in contrast.values() for s in c}) for n, contrast in contrasts.items()}
    return parts_table(
        [*_gains(runs, values, seeds), _existence(runs, samples, _learned_smallest(runs))]
    )


def verdict_parts(tables: Summary) -> pd.DataFrame:
    """The same from a summary that was made before the rule, and no longer has the predictions.

    Its table ``findings`` is of the rule that this one replaced. Intervals over seeds and over
    documents are put together in quadrature; that of finding 3 is Newcombe's for two shares of the
    documents, as if they were not the same ones. Both are wider than the bootstrap.
    """
    runs, first = tables["runs"], tables["findings"]
    values: dict[int, Values] = {}
    seeds: dict[int, int] = {}
    for finding, name in NAMES.items():
        rows = first[(first["finding"] == finding) & first["part"].str.startswith(name)]
        seeds[finding] = int(rows["seeds"].min()) if len(rows) else 0
        values[finding] = {}
        for part, pair in rows.groupby("part", sort=False):
            by = {r["method"]: (r["value"], r["low"], r["high"]) for r in pair.to_dict("records")}
            which = str(part).removeprefix(name).removeprefix(", ") or "mean over categories"
            values[finding][which] = both_variances(by["mean"], by["documents"])
    return parts_table(
        [*_gains(runs, values, seeds), _existence(runs, None, _learned_smallest(runs))]
    )


def _gains(runs: pd.DataFrame, values: dict[int, Values], seeds: dict[int, int]) -> Iterator[Part]:
    """Findings 1 and 2: the mean over categories, and all categories but at most one."""
    named = runs if "run" in runs else runs.assign(run=runs.index)
    compared = {1: gains_at_equal_size(named), 2: gains_over_unigrams(named)}
    for finding, name in NAMES.items():
        if not values[finding]:
            continue
        of_categories = dict(values[finding])
        mean = of_categories.pop("mean over categories")

        def part(text: str, kind: str, interval: Interval, outcome: str, n: int = finding) -> Part:
            lacks = _budgets(named, compared[n]) if kind == ESSENTIAL else MET
            return Part(n, text, kind, "both", interval, outcome, EFFECT, seeds[n], lacks)

        text = f"{name}, mean over categories"
        yield part(text, ESSENTIAL, mean, side(mean, 0.0))
        if finding == 2:
            yield part(f"{text}, above {GAIN:g} point", SIDE, mean, side(mean, GAIN))
        if of_categories:
            second = sorted(of_categories.values())[min(1, len(of_categories) - 1)]
            outcome = _all_but_one([side(v, 0.0) for v in of_categories.values()])
            yield part(f"{name}, all categories but one", SIDE, second, outcome)
        for category, interval in of_categories.items():
            yield part(f"{name}, {category}", SHOWN, interval, side(interval, 0.0))
        if finding == 1:
            yield from _control(named, compared[finding], seeds[finding])


def _control(runs: pd.DataFrame, contrast: Contrast, seeds: int) -> Iterator[Part]:
    """The learned structures trained from scratch in place of the learned models, over seeds."""
    learned = runs["family"] == "regularised"
    if (
        "scratch_test_accuracy" not in runs
        or runs.loc[learned, "scratch_test_accuracy"].isna().any()
    ):
        return
    accuracy = runs["test_accuracy"].mask(learned, runs["scratch_test_accuracy"])
    accuracy = accuracy.set_axis(runs["run"].astype(str))
    shared = set.intersection(*(set(by_seed) for by_seed in contrast.values()))
    gains = [
        float(np.mean([_weighted(accuracy, by_seed[seed]) for by_seed in contrast.values()]))
        for seed in sorted(shared)
    ]
    interval = mean_interval(gains)
    name = "the same structures trained from scratch minus baseline"
    yield Part(1, name, SHOWN, "mean", interval, side(interval, 0.0), EFFECT, seeds)


def _weighted(accuracy: pd.Series, weights: Weights) -> float:
    return sum(weight * float(accuracy[str(run)]) for run, weight in weights.items())


def _all_but_one(outcomes: list[str]) -> str:
    """yes: at most one category is not; no: two or more are false."""
    if sum(outcome != "yes" for outcome in outcomes) <= 1:
        return "yes"
    return "no" if outcomes.count("no") > 1 else "unsure"


def _budgets(runs: pd.DataFrame, contrast: Contrast) -> str:
    """Were both sides of a difference trained about as long? Each model counts by its weight."""
    epochs = runs.set_index(runs["run"].astype(str))["epochs"]
    each = [pd.Series(weights) for of in contrast.values() for weights in of.values()]
    weight = pd.concat(each).rename(index=str).groupby(level=0).sum()
    learned, base = (
        float((part * epochs[part.index]).sum() / part.sum())
        for part in (weight[weight > 0], weight[weight < 0])
    )
    if min(learned, base) / max(learned, base) < EQUAL_BUDGETS:
        return f"unequal training: learned models {learned:.0f} epochs, baselines {base:.0f}"
    return MET


def _learned_smallest(runs: pd.DataFrame) -> pd.DataFrame:
    """The learned models with few WFSAs, the best on the development set first."""
    few = runs[(runs["family"] == "regularised") & (runs["wfsas"] <= FEW)]
    return few.sort_values(["dev_accuracy", "category", "seed"], ascending=[False, True, True])


def _heavy(runs: pd.DataFrame, category: str) -> pd.DataFrame:
    """For each seed the learned model nearest to the unigram baseline's transitions."""
    own = runs[runs["category"] == category]
    base = own[own["family"] == "baseline"]
    unigrams = base.loc[base["transitions"] == UNIGRAMS * base["wfsas"], "transitions"]
    learned = own[own["family"] == "regularised"]
    if unigrams.empty:
        return learned.iloc[:0]
    size = float(unigrams.iloc[0])
    return learned.loc[[nearest(group, size) for _, group in learned.groupby("seed")]]


def _existence(runs: pd.DataFrame, samples: Samples | None, few: pd.DataFrame) -> Part:
    """Finding 3: the best model with few WFSAs against the heavily regularised ones."""
    searched = int((runs["family"] == "regularised").sum())
    name = f"a model with at most {FEW} WFSAs minus the heavily regularised ones"
    if few.empty:
        return Part(3, name, ESSENTIAL, "documents", UNKNOWN, "no", LOSS, searched)
    found = few.iloc[0]
    others = _heavy(runs, str(found["category"]))
    others = others[others["seed"] != found["seed"]]
    if samples is not None:
        weights = dict.fromkeys(others["run"].astype(str), -1 / max(len(others), 1))
        sample = samples[str(found["category"])]
        interval = sample.estimate({**weights, str(found["run"]): 1.0}).interval()
    else:
        documents = int(found["test_documents"])
        shares = (found["test_accuracy"] / 100, others["test_accuracy"].mean() / 100)
        ours, theirs = (wilson_interval(float(share), documents) for share in shares)
        value, low, high = difference_of(ours, theirs)
        interval = (100 * value, 100 * low, 100 * high)
    outcome = side(interval, -LOSS)
    return Part(3, name, ESSENTIAL, "documents", interval, outcome, LOSS, searched)


def _values(contrast: Contrast, samples: Samples) -> Values:
    """Interval of each category and of their mean, over seeds and documents."""
    found: Values = {}
    for category, by_seed in contrast.items():
        sample = samples[category]
        found[category] = interval_of([sample.estimate(by_seed[seed]) for seed in sorted(by_seed)])
    shared = set.intersection(*(set(c) for c in contrast.values())) if contrast else set()
    if shared:
        means = []
        for seed in sorted(shared):
            parts = [samples[c].estimate(by_seed[seed]) for c, by_seed in contrast.items()]
            values, draws = zip(*parts, strict=True)
            means.append(Estimate(float(np.mean(values)), np.mean(draws, axis=0)))
        found["mean over categories"] = interval_of(means)
    return found


@dataclass(frozen=True)
class Sample:
    """Which test documents of one category each run gets right, and redraws of the documents."""

    runs: list[str]
    accuracy: NDArray[np.float64]  # (runs,) in percent
    redrawn: NDArray[np.float64]  # (n_boot, runs)

    def estimate(self, weights: Weights) -> Estimate:
        """A weighted sum of accuracies, and of each redraw's."""
        w = np.array([weights.get(run, 0.0) for run in self.runs])
        return Estimate(float(self.accuracy @ w), self.redrawn @ w)


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
