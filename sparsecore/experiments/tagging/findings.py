"""The findings of a tagging study, and the rules that decide them.

The rules were written before the study was run. Accuracies are of the test set after the last
epoch, in percent of its words; differences are between means over seeds, with Welch's t interval
(95 %). A part is true if the whole interval is on the claimed side of the bound, false if it is
wholly on the other side, else open. *Size* is how many values the embedding stores for a word on
average: k of a dense embedding, 20 δ of a sparse one.

1. Fig. 3: of two embeddings with equally few parameters (size at most 5), the sparse one gives the
   better accuracy. One part a size in the study: sparse less dense is above 0.
2. Text of §4.2: with 15 % of the parameters little is lost. One part: the sparse embedding of
   δ = 0.15 (or the nearest in the study) less the full one is above -0.5 points.
3. Table 3: short vectors for rare words (``up``) are better than for words at random (``none``).
   One part a density: up less none is above 0.
4. Table 3: short vectors for frequent words (``down``) are worse still. One part a density: none
   less down is above 0.
"""

from __future__ import annotations

import pandas as pd

from sparsecore.experiments.tagging.study import FULL
from sparsecore.stats.seeds import Interval, difference_interval
from sparsecore.stats.verdict import side

SMALL_SIZE = 5.0  # up to here finding 1 compares
FEW = 0.15  # the density of finding 2
LITTLE = 0.5  # points of accuracy, finding 2


def findings(study: pd.DataFrame) -> pd.DataFrame:
    """The parts of the four findings; see the module's text for the rules."""
    rows = [
        *_sparse_less_dense(study),
        *_little_is_lost(study),
        *_orders(study, 3, "up", "none"),
        *_orders(study, 4, "none", "down"),
    ]
    names = ["finding", "part", "method", "value", "low", "high", "outcome", "seeds"]
    return pd.DataFrame(rows, columns=pd.Index(names))


Row = tuple[int, str, str, float, float, float, str, int]


def _sparse_less_dense(study: pd.DataFrame) -> list[Row]:
    sparse = study[(study["density"] < 1) & (study["order"] == "up")]
    rows = []
    for size in sorted(sparse["size"].unique()):
        group = sparse[sparse["size"] == size]
        dense = study[(study["density"] == 1) & (study["size"] == size)]
        if size <= SMALL_SIZE and len(dense):
            interval = _difference(group, dense)
            what = f"sparse less dense, size {size:g}"
            rows.append(_row(1, what, interval, side(interval, 0.0), group))
    return rows


def _little_is_lost(study: pd.DataFrame) -> list[Row]:
    full = study[(study["density"] == 1) & (study["embedding_dim"] == FULL)]
    sparse = study[(study["density"] < 1) & (study["order"] == "up")]
    if full.empty or sparse.empty:
        return []
    near = min(sparse["density"].unique(), key=lambda density: abs(density - FEW))
    group = sparse[sparse["density"] == near]
    interval = _difference(group, full)
    return [_row(2, f"density {near:g} less 1", interval, side(interval, -LITTLE), group)]


def _orders(study: pd.DataFrame, finding: int, better: str, worse: str) -> list[Row]:
    rows = []
    sparse = study[study["density"] < 1]
    for density, group in sparse.groupby("density", sort=False):
        ours, theirs = (group[group["order"] == order] for order in (better, worse))
        if len(ours) and len(theirs):
            interval = _difference(ours, theirs)
            what = f"{better} less {worse}, density {density:g}"
            rows.append(_row(finding, what, interval, side(interval, 0.0), ours))
    return sorted(rows, key=lambda row: row[1], reverse=True)


def _difference(ours: pd.DataFrame, theirs: pd.DataFrame) -> Interval:
    return difference_interval(ours["percent"].tolist(), theirs["percent"].tolist())


def _row(finding: int, part: str, interval: Interval, outcome: str, group: pd.DataFrame) -> Row:
    return (finding, part, "mean", *interval, outcome, len(group))
