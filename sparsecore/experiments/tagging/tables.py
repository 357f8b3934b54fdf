"""The small tables of a tagging study: accuracy by setting, the trade-off of Fig. 3.

*Size* is how many values the embedding stores for a word on average: k of a dense embedding, 20 δ
of a sparse one.
"""

from __future__ import annotations

import pandas as pd

from sparsecore.experiments.tagging.config import DROPOUTS, FULL, SETTING, TUNING_SEED
from sparsecore.stats.seeds import over_seeds
from sparsecore.stats.tables import Summary


def tables_of(tables: Summary) -> Summary:
    """The small tables of a study.

    ``accuracy``: a row a setting, mean over seeds with its t interval and standard deviation.
    ``tradeoff``: those of Fig. 3. ``runs``: a row a run of the study. ``tuning``: a row a tuning
    run, if there are any. ``frequencies``: accuracy by how often a word was seen in training.

    Args:
        tables: ``results`` and ``frequencies`` of all runs on top of one another, with ``seed`` and
            the fields of the settings and dropouts in front.
    """
    results = tables["results"]
    results = results.assign(size=_size(results), percent=100 * results["test_accuracy"])
    tuning = results[results["seed"] == TUNING_SEED]
    study = results[results["seed"] != TUNING_SEED]
    names = [*SETTING, "size", *DROPOUTS]
    own = ["embedding_parameters", "parameters", "dev_accuracy", "test_accuracy"]
    accuracy = accuracies(study)
    summary = {
        "accuracy": accuracy,
        "tradeoff": tradeoff(accuracy),
        "runs": study[[*names, "seed", *own]].reset_index(drop=True),
        "frequencies": by_frequency(tables["frequencies"]),
    }
    if len(tuning):
        summary["tuning"] = tuning[[*names, "dev_accuracy"]].reset_index(drop=True)
    return summary


def accuracies(study: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy of each setting in percent: mean, low, high, sd, and what it was trained with.

    ``family`` is ``dense`` or ``sparse``; the full embedding is dense.
    """
    sizes = ("size", "embedding_parameters", "parameters")
    rows = []
    for setting, group in study.groupby([*SETTING, *DROPOUTS], sort=False):
        assert isinstance(setting, tuple)
        row = dict(zip((*SETTING, *DROPOUTS), setting, strict=True))
        rows.append(
            {
                "family": "dense" if row["density"] == 1 else "sparse",
                **row,
                **{name: group[name].iloc[0] for name in sizes},
                **over_seeds(group["percent"], "accuracy"),
                "dev_accuracy": 100 * float(group["dev_accuracy"].mean()),
                "seeds": len(group),
            }
        )
    return pd.DataFrame(rows)


def tradeoff(accuracy: pd.DataFrame) -> pd.DataFrame:
    """The points of Fig. 3: family, size, accuracy, sd; the full embedding ends both families."""
    columns = ["family", "size", "accuracy", "low", "high", "sd", "seeds"]
    shown = accuracy[accuracy["order"] == "up"]
    full = shown[shown["size"] == FULL].assign(family="sparse")
    points = pd.concat([shown, full])[columns]
    return points.sort_values(["family", "size"], kind="stable").reset_index(drop=True)


def by_frequency(frequencies: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in percent of each setting on words of each class of frequency, over all seeds."""
    study = frequencies[frequencies["seed"] != TUNING_SEED]
    sums = study.groupby([*SETTING, "seen"], sort=False)[["words", "correct"]].sum().reset_index()
    sums.insert(len(SETTING), "size", _size(sums))
    return sums.assign(accuracy=100 * sums["correct"] / sums["words"])


def _size(table: pd.DataFrame) -> pd.Series:
    return (table["embedding_dim"] * table["density"]).round(6)
