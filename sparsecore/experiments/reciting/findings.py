"""The three findings of a memorization study, and the rules that decide them.

Accuracies are the paper's (of the training pass, best epoch), in percent of the words; those of a
row get Student's interval of their logits over seeds, differences the interval of Zou and Donner
from the two, which stays within ±100. A part is true above 0. Runs that never left the plateau of
predicting the most frequent token are counted apart. "A half" and "a third" are the models with as
many parameters as the dense one of a half or a third of the original's widths. Conditions and
effects stand in ``book/registrations.md`` (*Learning to recite, second round*).

1. Table 4: at a half, sparse recurrent layers recite more than dense ones.
2. Table 4: at a half, a sparse embedding beside them costs some of that, but not all.
3. Table 4: at a third it is the other way round: both sparse is best, and sparse layers alone are
   worst.
"""

from __future__ import annotations

import pandas as pd

from sparsecore.experiments.reciting.config import TUNING_SEED
from sparsecore.stats.judgement import ESSENTIAL, MET, SIDE, Part, parts_table
from sparsecore.stats.proportions import difference_of, share_interval
from sparsecore.stats.seeds import UNKNOWN
from sparsecore.stats.tables import Summary
from sparsecore.stats.two_level import LEAST_SEEDS
from sparsecore.stats.verdict import side

DENSE, RNN, BOTH = "dense", "sparse RNN", "sparse RNN + sparse embedding"
FROM_RUNS = True  # the table of runs alone decides, so rounds can be put together
PLATEAU = 2.0  # times the share of the most frequent token: below it a run failed to train
FULL_ENOUGH = 0.995  # accuracy of the full dense model
CEILING = 0.999
PARAMETERS_A_TOKEN = {2: 7.6, 3: 3.9}  # the paper's, at a half and a third
PARTS: tuple[tuple[int, str, str, int, str, str, float], ...] = (
    (1, "a half: sparse RNN minus dense", ESSENTIAL, 2, RNN, DENSE, 0.62),
    (2, "a half: sparse RNN and embedding minus dense", ESSENTIAL, 2, BOTH, DENSE, 0.41),
    (2, "a half: sparse RNN minus sparse RNN and embedding", SIDE, 2, RNN, BOTH, 0.21),
    (3, "a third: sparse RNN and embedding minus dense", ESSENTIAL, 3, BOTH, DENSE, 8.50),
    (3, "a third: dense minus sparse RNN", SIDE, 3, DENSE, RNN, 5.11),
)  # finding, part, kind, 1 / share of the widths, better, worse, the paper's effect in points


def plateau(runs: pd.DataFrame) -> float:
    """The accuracy below which a run failed to train: twice the share of the commonest token.

    That share is the column ``commonest``; tables from before it was kept have it where a run is
    stuck, as the accuracy of a pass without updates.
    """
    if "commonest" in runs.columns:
        return PLATEAU * float(runs["commonest"].iloc[0])
    stuck = float(runs["evaluated_accuracy"].min())
    return PLATEAU * stuck if stuck < 0.2 else 0.0


def trained(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the study that left the plateau; those that chose a setting are none of it."""
    study = runs[runs["seed"] != TUNING_SEED]
    return study[study["accuracy"] >= plateau(runs)]


def verdict_parts(tables: Summary) -> pd.DataFrame:
    """The parts of the three findings from the table ``runs``: see ``parts_table``."""
    study = trained(tables["runs"])
    everything = tables["runs"][tables["runs"]["seed"] != TUNING_SEED]
    full = study.loc[(study["part"] == 1) & (study["family"] == DENSE), "accuracy"]
    parts = []
    for finding, name, kind, size, better, worse, effect in PARTS:
        ours, theirs = (
            study[(study["part"] == size) & (study["family"] == family)]
            for family in (better, worse)
        )
        of_row = everything[everything["part"] == size]
        condition = _condition(full, ours, theirs, of_row, size)
        interval = UNKNOWN
        if len(ours) and len(theirs):
            a, b = (
                share_interval(rows["accuracy"].tolist(), int(rows["tokens"].iloc[0]))
                for rows in (ours, theirs)
            )
            value, low, high = difference_of(a, b)
            interval = (100 * value, 100 * low, 100 * high)
        seeds = min(len(ours), len(theirs))
        outcome = side(interval, 0.0)
        parts.append(
            Part(finding, name, kind, "share", interval, outcome, effect, seeds, condition)
        )
    return parts_table(parts)


def _condition(
    full: pd.Series, ours: pd.DataFrame, theirs: pd.DataFrame, of_row: pd.DataFrame, size: int
) -> str:
    """What the comparison presupposes and does not have; ``met`` if nothing."""
    if full.empty or full.mean() < FULL_ENOUGH:
        found = f"{100 * full.mean():.1f} %" if len(full) else "nothing"
        return f"the full dense model recites {found}, not {100 * FULL_ENOUGH:g} %"
    if of_row.empty:
        return "the runs have no such model"
    ratio = float(of_row["parameters"].iloc[0]) / float(of_row["tokens"].iloc[0])
    if not 0.5 <= ratio / PARAMETERS_A_TOKEN[size] <= 2:
        return f"{ratio:.2g} parameters a token; the paper's have {PARAMETERS_A_TOKEN[size]}"
    left = min(len(ours), len(theirs))
    if left < LEAST_SEEDS:
        return f"{left} seeds of one of the two models left the plateau; three are needed"
    if ours["accuracy"].mean() > CEILING and theirs["accuracy"].mean() > CEILING:
        return f"both recite more than {100 * CEILING:g} %: a tie at the ceiling"
    return MET
