"""What the runs of a language-modelling study say, and the rules that decide the findings.

The rules were written before the study was run. Differences are between means over seeds, with
Welch's t interval (95 %). A part is true if the whole interval is on the claimed side of 0, false
if it is wholly on the other side, else open. "Without fine-tuning" is the epoch of the first phase
with the lowest validation loss; "after it" the best epoch of both phases.

1. Table 1: without fine-tuning the sparse model has the lower test perplexity. One part: perplexity
   of the dense model less that of the sparse one is above 0.
2. Table 1: after fine-tuning the dense model is ahead. One part: perplexity of the sparse model
   less that of the dense one is above 0.
3. Text of §3.2: the sparse model overfits more strongly, especially in the fine-tune step. The gap
   is validation loss less training loss in nats, both without dropout. Three parts, sparse less
   dense: the gap without fine-tuning, the gap after it, and what fine-tuning adds are above 0.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from sparsecore.stats.seeds import difference_interval, mean_interval
from sparsecore.stats.verdict import side

Summary = dict[str, pd.DataFrame]

SPLITS = ("train", "valid", "test")
STEPS = {"no": "", "yes": "_finetuned"}  # fine-tuned? -> suffix of the columns


def tables_of(tables: Summary) -> Summary:
    """The small tables of a study.

    ``perplexity`` (Table 1): a row a model and step, mean test perplexity over seeds with its t
    interval and standard deviation, means of the other texts, sizes. ``runs``: a row a run.
    ``curves``: losses epoch by epoch. ``findings``.

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
        "findings": findings(results),
    }


def perplexities(results: pd.DataFrame) -> pd.DataFrame:
    """Table 1: a row a model and step: test perplexity (mean, low, high, sd) and the others'."""
    rows = []
    for finetuned, suffix in STEPS.items():
        for model, group in results.groupby("model", sort=False):
            test = group[f"test_perplexity{suffix}"]
            mean, low, high = mean_interval(test.tolist())
            rows.append(
                {
                    "model": model,
                    "finetuned": finetuned,
                    "hidden_size": group["hidden_size"].iloc[0],
                    "parameters": group["parameters"].iloc[0],
                    "test_perplexity": mean,
                    "low": low,
                    "high": high,
                    "sd": float(test.std(ddof=1)) if len(group) > 1 else math.nan,
                    "valid_perplexity": group[f"valid_perplexity{suffix}"].mean(),
                    "train_perplexity": group[f"train_perplexity{suffix}"].mean(),
                    "gap": _gap(group, suffix).mean(),
                    "seeds": len(group),
                }
            )
    return pd.DataFrame(rows)


def findings(results: pd.DataFrame) -> pd.DataFrame:
    """The parts of the three findings; see the module's text for the rules."""
    sparse, dense = (results[results["model"] == model] for model in ("sparse", "dense"))
    rows = []
    if len(sparse) and len(dense):
        before, after = "test_perplexity", "test_perplexity_finetuned"
        added = [_gap(group, "_finetuned") - _gap(group, "") for group in (sparse, dense)]
        rows = [
            _row(1, "test perplexity, dense less sparse", dense[before], sparse[before]),
            _row(2, "fine-tuned test perplexity, sparse less dense", sparse[after], dense[after]),
            _row(3, "gap without fine-tuning, sparse less dense", _gap(sparse), _gap(dense)),
            _row(
                3,
                "gap after fine-tuning, sparse less dense",
                _gap(sparse, "_finetuned"),
                _gap(dense, "_finetuned"),
            ),
            _row(3, "what fine-tuning adds to the gap, sparse less dense", *added),
        ]
    names = ["finding", "part", "method", "value", "low", "high", "outcome", "seeds"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def _with_model(table: pd.DataFrame) -> pd.DataFrame:
    """With ``model`` in front: ``dense`` or ``sparse``."""
    model = np.where(table["stack"] == "dense", "dense", "sparse")
    return pd.concat([pd.DataFrame({"model": model}, table.index), table], axis=1)


def _gap(results: pd.DataFrame, suffix: str = "") -> pd.Series:
    """Validation loss less training loss, nats a word."""
    valid, train = (results[f"{split}_perplexity{suffix}"] for split in ("valid", "train"))
    return (valid / train).map(math.log)


def _row(finding: int, part: str, ours: pd.Series, theirs: pd.Series) -> tuple:
    interval = difference_interval(ours.tolist(), theirs.tolist())
    return finding, part, "mean", *interval, side(interval, 0.0), min(len(ours), len(theirs))
