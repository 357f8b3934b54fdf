"""The small tables of a reciting study: Table 4 and curves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from sparsecore.experiments.reciting.config import TUNING_SEED
from sparsecore.experiments.reciting.findings import BOTH, DENSE, RNN
from sparsecore.stats.seeds import over_seeds
from sparsecore.stats.tables import Summary

POINTS = 120  # of a curve, at most
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


def tables_of(tables: Summary) -> Summary:
    """The small tables of a study.

    ``accuracy`` (Table 4): a row a model, mean accuracy over seeds in percent with its t interval
    and standard deviation, by either way of measuring, and the paper's. ``runs``: a row a run.
    ``curves``: accuracy over the epochs, at most 120 of them. ``tuning``: a row a run that chose
    the learning rate, if there are any.

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
        "curves": epochs.loc[_shown(epochs), curves].reset_index(drop=True),
    }
    if len(tuning):
        names = ["family", "part", "learning_rate", "accuracy", "best_epoch"]
        summary["tuning"] = tuning[names].reset_index(drop=True)
    return summary


def _shown(epochs: pd.DataFrame) -> pd.Series:
    """Which rows curves need: all of a few hundred epochs, of more every so many and both ends."""
    epoch, last = epochs["epoch"], epochs.groupby("run")["epoch"].transform("max")
    return (epoch % math.ceil(int(epoch.max()) / POINTS) == 0) | (epoch == 1) | (epoch == last)


def accuracies(results: pd.DataFrame) -> pd.DataFrame:
    """Table 4: family, part, sizes, parameters, accuracy (mean, low, high, sd), and others."""
    sizes = ("embedding_size", "embedding_density", "hidden_size")
    fields = (*sizes, "learning_rate", "parameters")
    rows = []
    for (part, family), group in results.groupby(["part", "family"], sort=False):
        rows.append(
            {
                "family": family,
                "part": part,
                **{name: group[name].iloc[0] for name in fields},
                "words_to_learn": group["tokens"].iloc[0],
                **over_seeds(100 * group["accuracy"], "accuracy"),
                "evaluated_accuracy": 100 * group["evaluated_accuracy"].mean(),
                # pyrefly: ignore[bad-argument-type]
                "paper_accuracy": PAPER.get((int(part), str(family)), math.nan),
                "epochs": group["epochs"].mean(),
                "seeds": len(group),
            }
        )
    return pd.DataFrame(rows)


def _with_model(table: pd.DataFrame) -> pd.DataFrame:
    """With ``family`` and ``part`` in front: 1 the original's widths, 2 a half, 3 a third."""
    widest = table["hidden_size"].max()
    dense = table["stack"] == "dense"
    part = np.where(dense, widest / table["hidden_size"], 1 / table["reduction"])
    model = {"family": table["stack"].map(FAMILIES), "part": np.rint(part).astype(int)}
    return pd.concat([pd.DataFrame(model), table], axis=1)
