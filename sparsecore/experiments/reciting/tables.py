"""What the runs of a reciting study say, and the rules that decide the findings.

The rules were written before the study was run. Accuracies are the paper's (of the training pass,
best epoch), in percent of the words; differences are between means over seeds, with Welch's t
interval (95 %). A part is true if the whole interval is on the claimed side of 0, false if it is
wholly on the other side, else open. "A half" and "a third" are the models with as many parameters
as the dense one of a half or a third of the original's widths.

1. Table 4: at a half, sparse recurrent layers recite more than dense ones. One part: their accuracy
   less that of the dense model is above 0.
2. Table 4: at a half, a sparse embedding beside them costs some of that, but not all. Two parts:
   sparse layers alone less both sparse, and both sparse less dense, are above 0.
3. Table 4: at a third it is the other way round: both sparse is best, and sparse layers alone are
   worst. Two parts: both sparse less dense, and dense less sparse layers alone, are above 0.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from sparsecore.experiments.reciting.config import TUNING_SEED
from sparsecore.stats.seeds import difference_interval, mean_interval
from sparsecore.stats.verdict import side

Summary = dict[str, pd.DataFrame]

DENSE, RNN, BOTH = "dense", "sparse RNN", "sparse RNN + sparse embedding"
FAMILIES = {"dense": DENSE, "sparse_hidden": RNN, "sparse_all": BOTH}  # by stack
PAPER = {  # Table 4, percent
    (1, DENSE): 100.0,
    (2, DENSE): 99.33,
    (2, RNN): 99.95,
    (2, BOTH): 99.74,
    (3, DENSE): 81.48,
    (3, RNN): 76.37,
    (3, BOTH): 89.98,
}
PARTS: tuple[tuple[int, str, int, str, str], ...] = (  # finding, text, part, better, worse
    (1, "a half: sparse RNN less dense", 2, RNN, DENSE),
    (2, "a half: sparse RNN less sparse RNN and embedding", 2, RNN, BOTH),
    (2, "a half: sparse RNN and embedding less dense", 2, BOTH, DENSE),
    (3, "a third: sparse RNN and embedding less dense", 3, BOTH, DENSE),
    (3, "a third: dense less sparse RNN", 3, DENSE, RNN),
)


def tables_of(tables: Summary) -> Summary:
    """The small tables of a study.

    ``accuracy`` (Table 4): a row a model, mean accuracy over seeds in percent with its t interval
    and standard deviation, by either way of measuring, and the paper's. ``runs``: a row a run.
    ``curves``: accuracy epoch by epoch. ``tuning``: a row a run that chose the learning rate, if
    there are any. ``findings``.

    Args:
        tables: ``results`` and ``epochs`` of all runs on top of one another, with ``seed`` and the
            fields that vary in front.
    """
    all_results, epochs = (_with_model(tables[name]) for name in ("results", "epochs"))
    tuned = all_results["seed"] == TUNING_SEED
    results, tuning = all_results[~tuned], all_results[tuned]
    epochs = epochs[epochs["seed"] != TUNING_SEED]
    curves = ["family", "part", "seed", "epoch", "accuracy", "evaluated_accuracy", "train_loss"]
    summary = {
        "accuracy": accuracies(results),
        "runs": results.drop(columns="run").reset_index(drop=True),
        "curves": epochs[curves].reset_index(drop=True),
        "findings": findings(results),
    }
    if len(tuning):
        names = ["family", "part", "learning_rate", "accuracy", "best_epoch"]
        summary["tuning"] = tuning[names].reset_index(drop=True)
    return summary


def accuracies(results: pd.DataFrame) -> pd.DataFrame:
    """Table 4: family, part, sizes, parameters, accuracy (mean, low, high, sd), and others."""
    rows = []
    for (part, family), group in results.groupby(["part", "family"], sort=False):
        percent = 100 * group["accuracy"]
        mean, low, high = mean_interval(percent.tolist())
        rows.append(
            {
                "family": family,
                "part": part,
                "embedding_size": group["embedding_size"].iloc[0],
                "embedding_density": group["embedding_density"].iloc[0],
                "hidden_size": group["hidden_size"].iloc[0],
                "learning_rate": group["learning_rate"].iloc[0],
                "parameters": group["parameters"].iloc[0],
                "words_to_learn": group["tokens"].iloc[0],
                "accuracy": mean,
                "low": low,
                "high": high,
                "sd": float(percent.std(ddof=1)) if len(group) > 1 else math.nan,
                "evaluated_accuracy": 100 * group["evaluated_accuracy"].mean(),
                "paper_accuracy": PAPER.get((int(part), str(family)), math.nan),  # pyright: ignore
                "epochs": group["epochs"].mean(),
                "seeds": len(group),
            }
        )
    return pd.DataFrame(rows)


def findings(results: pd.DataFrame) -> pd.DataFrame:
    """The parts of the three findings; see the module's text for the rules."""
    rows = []
    for finding, text, part, better, worse in PARTS:
        ours, theirs = (
            100 * results.loc[(results["part"] == part) & (results["family"] == family), "accuracy"]
            for family in (better, worse)
        )
        if len(ours) and len(theirs):
            interval = difference_interval(ours.tolist(), theirs.tolist())
            seeds = min(len(ours), len(theirs))
            rows.append((finding, text, "mean", *interval, side(interval, 0.0), seeds))
    names = ["finding", "part", "method", "value", "low", "high", "outcome", "seeds"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def _with_model(table: pd.DataFrame) -> pd.DataFrame:
    """With ``family`` and ``part`` in front: 1 the original's widths, 2 a half, 3 a third."""
    widest = table["hidden_size"].max()
    dense = table["stack"] == "dense"
    part = np.where(dense, widest / table["hidden_size"], 1 / table["reduction"])
    model = {"family": table["stack"].map(FAMILIES), "part": np.rint(part).astype(int)}
    return pd.concat([pd.DataFrame(model), table], axis=1)
