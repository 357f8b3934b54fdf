"""The four findings of a tagging study, and the rules that decide them, from runs of any rounds.

Differences are of mean test accuracies in percentage points, with Welch's 95 % interval over seeds.
*Size* is how many values the embedding stores for a word on average: k of a dense embedding, 20 δ
of a sparse one. Seeds and the rule of power stand in ``book/registrations.md`` (*Tagging, second
round*).

1. Fig. 3: of two embeddings with equally few parameters (size at most 5), the sparse one gives the
   better accuracy. One part a size in the study: sparse minus dense is above 0.
2. Text of §4.2: with 15 % of the parameters little is lost. One part: the sparse embedding of
   δ = 0.15 (or the nearest in the study) minus the full one is above -0.5 points. The seeds of the
   second round alone decide it, since those of the first suggested how many there should be.
3. Table 3: short vectors for rare words (``up``) are better than for words at random (``none``).
   One part a density: up minus none is above 0.
4. Table 3: short vectors for frequent words (``down``) are worse still. One part a density: none
   minus down is above 0.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sparsecore.experiments.tagging.config import FULL, TUNING_SEED
from sparsecore.stats.judgement import ESSENTIAL, SHOWN, Part, difference_part, parts_table
from sparsecore.stats.tables import Summary

FROM_RUNS = True  # the table of runs alone decides, so rounds can be put together
FIRST_ROUND = range(4)  # seeds
SMALL_SIZE = 5.0  # up to here finding 1 compares
FEW = 0.15  # the density of finding 2
LITTLE = 0.5  # points of accuracy, finding 2: the bound, and the half width that tests it


def verdict_parts(tables: Summary) -> pd.DataFrame:
    """The parts of the four findings from the table ``runs``: see ``parts_table``."""
    runs = tables["runs"]
    runs = runs[runs["seed"] != TUNING_SEED].assign(percent=100 * runs["test_accuracy"])
    runs = runs.drop_duplicates(["embedding_dim", "density", "order", "seed"])
    new = runs[~runs["seed"].isin(FIRST_ROUND)]
    parts = [*_sparse_less_dense(runs, "", ESSENTIAL)]
    deciding, beside = (new, runs) if len(new) else (runs, new)
    parts += _little_is_lost(deciding, "", ESSENTIAL)
    if len(new):
        parts += _sparse_less_dense(new, ", seeds of the second round", SHOWN)
        parts += _little_is_lost(beside, ", all seeds", SHOWN)
    parts += _orders(runs, 3, "up", "none")
    parts += _orders(runs, 4, "none", "down")
    return parts_table(parts)


def _sparse_less_dense(runs: pd.DataFrame, which: str, kind: str) -> Iterator[Part]:
    sparse = runs[(runs["density"] < 1) & (runs["order"] == "up") & (runs["size"] <= SMALL_SIZE)]
    for size in sorted(sparse["size"].unique()):
        ours = sparse[sparse["size"] == size]
        theirs = runs[(runs["density"] == 1) & (runs["size"] == size)]
        if len(theirs):
            ours = ours[ours["seed"].isin(theirs["seed"])]  # finding 2 has more of one size
            name = f"sparse minus dense, size {size:g}{which}"
            yield difference_part(1, name, kind, ours["percent"], theirs["percent"])


def _little_is_lost(runs: pd.DataFrame, which: str, kind: str) -> Iterator[Part]:
    full = runs[(runs["density"] == 1) & (runs["embedding_dim"] == FULL)]
    sparse = runs[(runs["density"] < 1) & (runs["order"] == "up")]
    if full.empty or sparse.empty:
        return
    near = min(sparse["density"].unique(), key=lambda density: abs(density - FEW))
    name = f"density {near:g} minus 1{which}"
    ours = sparse.loc[sparse["density"] == near, "percent"]
    yield difference_part(2, name, kind, ours, full["percent"], -LITTLE, LITTLE)


def _orders(runs: pd.DataFrame, finding: int, better: str, worse: str) -> Iterator[Part]:
    sparse = runs[runs["density"] < 1]
    for density in sorted(sparse["density"].unique(), reverse=True):
        ours, theirs = (
            sparse.loc[(sparse["density"] == density) & (sparse["order"] == order), "percent"]
            for order in (better, worse)
        )
        if len(ours) and len(theirs):
            name = f"{better} minus {worse}, density {density:g}"
            yield difference_part(finding, name, ESSENTIAL, ours, theirs)
