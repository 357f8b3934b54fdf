"""The small tables of a language-modelling study: Table 1 and curves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sparsecore.experiments.language.findings import gap
from sparsecore.stats.seeds import over_seeds
from sparsecore.stats.tables import Summary

STEPS = {"no": "", "yes": "_finetuned"}  # fine-tuned? -> suffix of the columns


def tables_of(tables: Summary) -> Summary:
    """The small tables of a study.

    ``perplexity`` (Table 1): a row a model and step, mean test perplexity over seeds with its t
    interval and standard deviation, means of the other texts, sizes. ``runs``: a row a run.
    ``curves``: losses epoch by epoch.

    Args:
        tables: ``results`` and ``epochs`` of all runs on top of one another, with ``seed``,
            ``stack``, ``hidden_size`` and ``reduction`` in front.
    """
    results, epochs = (_with_model(tables[name]) for name in ("results", "epochs"))
    curves = ["model", "seed", "epoch", "phase", "train_loss", "valid_loss", "averaged"]
    return {
        "perplexity": perplexities(results),
        "runs": results.drop(columns="run").reset_index(drop=True),
        "curves": epochs[curves].reset_index(drop=True),
    }


def perplexities(results: pd.DataFrame) -> pd.DataFrame:
    """Table 1: a row a model and step: test perplexity (mean, low, high, sd) and the others'."""
    rows = []
    for finetuned, suffix in STEPS.items():
        for model, group in results.groupby("model", sort=False):
            rows.append(
                {
                    "model": model,
                    "finetuned": finetuned,
                    "hidden_size": group["hidden_size"].iloc[0],
                    "parameters": group["parameters"].iloc[0],
                    **over_seeds(group[f"test_perplexity{suffix}"], "test_perplexity"),
                    "valid_perplexity": group[f"valid_perplexity{suffix}"].mean(),
                    "train_perplexity": group[f"train_perplexity{suffix}"].mean(),
                    "gap": gap(group, suffix).mean(),
                    "seeds": len(group),
                }
            )
    return pd.DataFrame(rows)


def _with_model(table: pd.DataFrame) -> pd.DataFrame:
    """With ``model`` in front: ``dense`` or ``sparse``."""
    model = np.where(table["stack"] == "dense", "dense", "sparse")
    return pd.concat([pd.DataFrame({"model": model}, table.index), table], axis=1)
