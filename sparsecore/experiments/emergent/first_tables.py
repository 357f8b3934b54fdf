"""Evidence from committed tables that were made before the rule: no resamples, no words by seed.

These runs suggested the rule's statistics, so that they decide nothing; the values are shown.

What the tables keep is rho of every seed and epoch, and in the table ``findings``, of a first rule
that this one replaced, the widest interval over words for each part. The interval over seeds is
taken from the one and put together with the other in quadrature
(:func:`sparsecore.stats.two_level.both_variances`), which is wider than the bootstrap of both would
be, never narrower.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sparsecore.experiments.emergent.evidence import (
    METHODS,
    TOP,
    Evidence,
    Seed,
    counts_of,
    ends_of,
    rows_of,
    word_sets,
)
from sparsecore.stats.correlation import Replicates
from sparsecore.stats.judgement import ESSENTIAL
from sparsecore.stats.tables import Summary
from sparsecore.stats.two_level import both_variances
from sparsecore.stats.verdict import MET, side

SUGGESTED = "exploratory: these runs suggested the statistics of the second rule"
FIRST_RULE = {  # part -> part of the first rule, where the names differ
    "ρ of hᵉ minus ρ of h¹, last epoch": (
        "ρ of hᵉ minus ρ of h¹, last epoch (and the reverse at epoch 1)"
    ),
}
SIMPLE = (3, 5)  # findings whose parts are one interval each, against 0


def seeds_of(tables: Summary) -> list[Seed]:
    """What the tables ``epochs``, ``correlations``, ``classes`` and ``words`` tell of each seed."""
    return [_seed(tables, int(seed)) for seed in sorted(tables["epochs"]["seed"].unique())]


def widened(parts: pd.DataFrame, findings: pd.DataFrame) -> pd.DataFrame:
    """Parts over seeds, with the interval over words of the first rule's ``findings`` added."""
    first: dict[Any, Any] = {
        (row["finding"], row["part"], row["method"]): row for row in findings.to_dict("records")
    }
    rows = []
    known: Any = parts.to_dict("records")
    for row in known:
        name = FIRST_RULE.get(row["part"], row["part"])
        rows.append(_widened(row, first.get((row["finding"], name, row["method"]))))
    return pd.DataFrame(rows)


def _widened(row: dict[str, Any], over_words: dict[str, Any] | None) -> dict[str, Any]:
    if row["kind"] == ESSENTIAL and row["condition"] == MET:
        row = {**row, "condition": SUGGESTED}
    if over_words is None:  # known over seeds alone
        return row
    ends = [(r["value"], r["low"], r["high"]) for r in (row, over_words)]
    value, low, high = both_variances(ends[0], ends[1])
    outcome = row["outcome"] if row["outcome"] == over_words["outcome"] else "unsure"
    if row["finding"] in SIMPLE:
        outcome = side((value, low, high), 0)
    return {**row, "low": low, "high": high, "outcome": outcome}


def _seed(tables: Summary, seed: int) -> Seed:
    """A seed's rho of every epoch, without resamples."""
    epochs, rhos, classes = (
        table[table["seed"] == seed]
        for table in (tables["epochs"], tables["correlations"], tables["classes"])
    )
    everything = {}
    for method in METHODS:
        chosen = rhos[rhos["method"] == method]
        signals = chosen[chosen["value"] == "chi"]
        l1 = rows_of(chosen[chosen["value"] == "l1"], *TOP, "target")
        groups = classes[(classes["method"] == method) & classes["group"].isin(["open", "closed"])]
        everything[method] = Evidence(
            chi=_estimates(signals, ["epoch", "layer", "signal", "role"]),
            l1=_estimates(l1, ["epoch"]),
            classes=_estimates(groups, ["epoch", "group"]),
        )
    last, cut = ends_of(epochs)
    return Seed(last, cut, counts_of(*word_sets(tables["words"], last)), everything)


def _estimates(table: pd.DataFrame, by: list[str]) -> Replicates:
    keys = [tuple(key) for key in table[by].astype({"epoch": int}).itertuples(index=False)]
    index = {key: n for n, key in enumerate(keys)}
    return Replicates(tuple(by), index, table["rho"].to_numpy(float), np.empty((0, len(keys))))
