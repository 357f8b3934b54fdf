"""The small tables of a sentiment study: trade-off, searches, ablation, verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from sparsecore.experiments.sentiment.findings import Samples, decide, samples_of
from sparsecore.stats.seeds import mean_interval, over_seeds
from sparsecore.stats.tables import Summary

N_BOOT = 1000


def tables_of(tables: Summary, n_boot: int = N_BOOT) -> Summary:
    """The small tables of a study.

    ``tradeoff``: a row a point of Fig. 3, accuracy with both intervals. ``runs``: a row a run.
    ``ablation``: fine-tuned from the extraction minus trained from scratch. ``trials``: what the
    searches tried. ``patterns`` and ``states``: of the smallest learned model of each category.
    ``corpora``. ``verdicts``: see :mod:`sparsecore.experiments.sentiment.findings`.

    Args:
        tables: those of the runs on top of one another (see
            :mod:`sparsecore.experiments.sentiment.task`), with seed, category, structure, goal
            and run in front.
        n_boot: redraws of the test documents.
    """
    runs = described(tables["results"])
    samples = samples_of(runs, tables["predictions"], n_boot)
    summary = {
        "tradeoff": tradeoff(runs, samples),
        "runs": runs.drop(columns=["run", "test_correct"]),
        "trials": _trials(tables["trials"]),
        "corpora": _corpora(tables["corpora"]),
        "verdicts": decide(runs, samples),
    }
    found = ablation(runs)
    if len(found):
        summary["ablation"] = found
    shown = _smallest(runs)
    for name in ("patterns", "states"):
        part = tables[name][tables[name]["run"].isin(shown)]
        summary[name] = _with_category(part).drop(columns=["run"]).reset_index(drop=True)
    return summary


def described(results: pd.DataFrame) -> pd.DataFrame:
    """The results with ``family`` (baseline or regularised), ``point`` and accuracies in percent.

    A point is what the seeds of one mark in the figure share: the structure of a baseline, or the
    goal of a search (else the strength).
    """
    runs = _with_category(results)
    learned = runs["strength"].to_numpy(dtype=float) > 0
    goals = runs["goal"].to_numpy(dtype=float)
    family = np.where(learned, "regularised", "baseline")
    points = [
        (f"goal {goal:g}" if goal == goal else f"strength {strength:g}")
        if is_learned
        else structure
        for is_learned, goal, strength, structure in zip(
            learned, goals, runs["strength"], runs["structure"], strict=True
        )
    ]
    runs = runs.assign(family=family, point=points)
    for column in [c for c in runs.columns if str(c).endswith("accuracy")]:
        runs[column] = 100 * runs[column]
    front = ["category", "family", "point", "seed"]
    own = [c for c in runs.columns if c not in (*front, "structure", "strength")]
    return runs[[*front, *own]].reset_index(drop=True)


def tradeoff(runs: pd.DataFrame, samples: Samples) -> pd.DataFrame:
    """A row a point: transitions, WFSAs and test accuracy, mean over the seeds.

    low and high: Student's t interval over the seeds; documents_low and documents_high: bootstrap
    interval over the test documents of the mean over the seeds.
    """
    rows: list[dict[str, Any]] = []
    for (category, family, point), group in _groups(runs, ["category", "family", "point"]):
        share = 1 / len(group)
        mean = samples[category].estimate(dict.fromkeys(group["run"], share))
        _, d_low, d_high = mean.interval()
        rows.append(
            {
                "category": category,
                "family": family,
                "point": point,
                "transitions": group["transitions"].mean(),
                "transitions_sd": group["transitions"].std(ddof=1),
                "wfsas": group["wfsas"].mean(),
                **over_seeds(group["test_accuracy"], "accuracy"),
                "documents_low": d_low,
                "documents_high": d_high,
                "dev_accuracy": group["dev_accuracy"].mean(),
                "trials": group["trials"].mean(),
                "epochs": group["epochs"].mean(),
                "seeds": len(group),
            }
        )
    return pd.DataFrame(rows)


def ablation(runs: pd.DataFrame) -> pd.DataFrame:
    """Found structures fine-tuned from the exact extraction, minus the same trained from scratch.

    Paired by seed; mean and t interval in points of test accuracy, and before any fine-tuning.
    """
    if "scratch_test_accuracy" not in runs.columns:
        return pd.DataFrame()
    both = runs[runs["scratch_test_accuracy"].notna() & (runs["family"] == "regularised")]
    rows: list[dict[str, Any]] = []
    for (category, point), group in _groups(both, ["category", "point"]):
        gain = (group["test_accuracy"] - group["scratch_test_accuracy"]).tolist()
        value, low, high = mean_interval(gain)
        rows.append(
            {
                "category": category,
                "point": point,
                "extraction": group["test_accuracy"].mean(),
                "scratch": group["scratch_test_accuracy"].mean(),
                "before_finetuning": group["extracted_accuracy"].mean(),
                "difference": value,
                "low": low,
                "high": high,
                "seeds": len(group),
            }
        )
    return pd.DataFrame(rows)


def _groups(table: pd.DataFrame, keys: list[str]) -> Iterable[tuple[tuple[Any, ...], pd.DataFrame]]:
    for key, group in table.groupby(keys, sort=False):
        assert isinstance(key, tuple)
        yield key, group


def _with_category(table: pd.DataFrame) -> pd.DataFrame:
    """``category`` as text; the only one of a corpus without categories is ``all``."""
    return table.assign(category=table["category"].astype("object").fillna("all").astype(str))


def _trials(trials: pd.DataFrame) -> pd.DataFrame:
    """λ as its decimal logarithm: summaries keep six decimals."""
    table = _with_category(trials)
    table = table[table["strength"] > 0]
    table = table.assign(log10_strength=np.log10(table["strength"].to_numpy(dtype=float)))
    return table.drop(columns=["run", "strength"]).reset_index(drop=True)


def _corpora(corpora: pd.DataFrame) -> pd.DataFrame:
    table = _with_category(corpora).drop(columns=["seed", "structure", "goal", "strength", "run"])
    return table.drop_duplicates("category").reset_index(drop=True)


def _smallest(runs: pd.DataFrame) -> list[str]:
    """The run with the fewest transitions of each category (the first seed of equals)."""
    order = runs.sort_values(["family", "transitions", "seed"], ascending=[False, True, True])
    return order.drop_duplicates("category")["run"].tolist()
