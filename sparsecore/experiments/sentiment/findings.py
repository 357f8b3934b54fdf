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

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from sparsecore.experiments.sentiment.contrasts import (
    UNIGRAMS,
    Contrast,
    Samples,
    gains_at_equal_size,
    gains_over_unigrams,
    nearest,
)
from sparsecore.stats.judgement import ESSENTIAL, MET, SHOWN, SIDE, Part, parts_table
from sparsecore.stats.proportions import difference_of, wilson_interval
from sparsecore.stats.seeds import Interval
from sparsecore.stats.tables import Summary
from sparsecore.stats.two_level import both_variances, two_level_interval
from sparsecore.stats.verdict import side

EFFECT = 1.0  # points: the least of the paper's 1 to 2
GAIN = 1.0  # points, the side part of finding 2
LOSS = 1.0  # points, finding 3
FEW = 3  # WFSAs, finding 3
EQUAL_BUDGETS = 0.75  # the shorter mean training over the longer, in epochs
UNKNOWN: Interval = (math.nan, math.nan, math.nan)
NAMES = {
    1: "regularised minus baseline at equal transitions",
    2: "heavily regularised minus unigram baseline",
}
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
    condition = _budgets(runs)
    for finding, name in NAMES.items():
        if not values[finding]:
            continue
        of_categories = dict(values[finding])
        mean = of_categories.pop("mean over categories")

        def part(text: str, kind: str, interval: Interval, outcome: str, n: int = finding) -> Part:
            lacks = condition if kind == ESSENTIAL else MET
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


def _all_but_one(outcomes: list[str]) -> str:
    """yes: at most one category is not; no: two or more are false."""
    if sum(outcome != "yes" for outcome in outcomes) <= 1:
        return "yes"
    return "no" if outcomes.count("no") > 1 else "unsure"


def _budgets(runs: pd.DataFrame) -> str:
    """Were both sides trained about as long?"""
    mean = runs.groupby("family")["epochs"].mean()
    if {"baseline", "regularised"} - set(mean.index):
        return "the runs are of one family only"
    learned, base = float(mean["regularised"]), float(mean["baseline"])
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
        interval = samples[str(found["category"])].interval({**weights, str(found["run"]): 1.0})
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
        pairs = [samples[category].value(by_seed[seed]) for seed in sorted(by_seed)]
        draws = np.stack([d for _, d in pairs])
        found[category] = two_level_interval([v for v, _ in pairs], draws)
    shared = set.intersection(*(set(c) for c in contrast.values())) if contrast else set()
    if shared:
        parts = [
            [samples[c].value(by_seed[seed]) for c, by_seed in contrast.items()]
            for seed in sorted(shared)
        ]
        estimates = [float(np.mean([v for v, _ in pairs])) for pairs in parts]
        draws = np.stack([np.mean([d for _, d in pairs], axis=0) for pairs in parts])
        found["mean over categories"] = two_level_interval(estimates, draws)
    return found
