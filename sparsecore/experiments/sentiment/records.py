"""The tables of a run's folder.

results      one row: what was kept, dev and test accuracy, how it was found
epochs       epoch, phase, trial, strength, train_loss, penalty, dev_loss, dev_error, …
trials       every λ that was tried: transitions and WFSAs left, dev error, epochs
states       wfsa, state, norm, kept: of the accepted try, or of the baseline
predictions  document, label, margin: the test documents
patterns     the top and bottom phrases of every state (of models with few WFSAs)
corpora      documents and tokens of each split, and what was dropped
timing       epoch, seconds, tokens
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import Tensor

from sparsecore.experiments.sentiment.config import Sentiment
from sparsecore.experiments.sentiment.fit import PhaseState
from sparsecore.experiments.sentiment.inputs import Inputs

Row = dict[str, Any]


def trial_row(at: PhaseState, kept: Sequence[int]) -> Row:
    """What came of one λ."""
    return {
        "trial": at.trial,
        "strength": at.strength,
        "transitions": sum(kept),
        "wfsas": sum(length > 0 for length in kept),
        "dev_error": at.best_error,
        "best_epoch": at.best_epoch,
        "epochs": at.epoch,
    }


def state_rows(norms: Sequence[float], lengths: Sequence[int], kept: Sequence[int]) -> list[Row]:
    """One row a state: its WFSA, its place 1, 2, …, its norm, and whether it stays."""
    norm = iter(norms)
    return [
        {"wfsa": d, "state": i + 1, "norm": next(norm), "kept": i < kept[d]}
        for d, length in enumerate(lengths)
        for i in range(length)
    ]


def failure(config: Sentiment, trials: Sequence[Row]) -> str:
    """One line for a search that ended without success: what was tried."""
    tried = ", ".join(f"{row['strength']:.2g}: {row['transitions']}" for row in trials)
    if config.goal is None:
        return (
            f"strength={config.strength} leaves no state, or none that does better than guessing; "
            "try a smaller one"
        )
    return (
        f"no strength leaves {config.goal} ± {config.tolerance} transitions in {len(trials)} tries "
        f"(strength: transitions left: {tried}); try a larger tolerance or max_tries"
    )


def log10(strength: float) -> float:
    """log10 λ; NaN for λ = 0."""
    return math.log10(strength) if strength > 0 else math.nan


def predictions(logits: Tensor, labels: Tensor) -> pd.DataFrame:
    """Margin (logit of the second label minus that of the first) of every test document."""
    margin = (logits[:, 1] - logits[:, 0]).double().numpy().astype("float32")
    table = pd.DataFrame({"label": labels.numpy().astype("int8"), "margin": margin})
    table.insert(0, "document", range(len(table)))
    return table.astype({"document": "int32"})


def corpora(inputs: Inputs) -> pd.DataFrame:
    """One row: what the documents are."""
    info = inputs.info
    row = {"corpus": inputs.name}
    for what in ("documents", "tokens"):
        row |= {f"{split}_{what}": count for split, count in info[what].items()}
    row |= {"types": info["types"], "labels": ", ".join(info["labels"])}
    row |= {"dropped": json.dumps({k: v for k, v in info["dropped"].items() if v})}
    return pd.DataFrame([row])
