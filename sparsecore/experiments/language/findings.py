"""The findings of a language-modelling study, and the rules that decide them.

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

import pandas as pd

from sparsecore.stats.seeds import difference_interval
from sparsecore.stats.verdict import side


def findings(results: pd.DataFrame) -> pd.DataFrame:
    """The parts of the three findings; see the module's text for the rules."""
    sparse, dense = (results[results["model"] == model] for model in ("sparse", "dense"))
    rows = []
    if len(sparse) and len(dense):
        before, after = "test_perplexity", "test_perplexity_finetuned"
        added = [gap(group, "_finetuned") - gap(group, "") for group in (sparse, dense)]
        rows = [
            _row(1, "test perplexity, dense less sparse", dense[before], sparse[before]),
            _row(2, "fine-tuned test perplexity, sparse less dense", sparse[after], dense[after]),
            _row(3, "gap without fine-tuning, sparse less dense", gap(sparse), gap(dense)),
            _row(
                3,
                "gap after fine-tuning, sparse less dense",
                gap(sparse, "_finetuned"),
                gap(dense, "_finetuned"),
            ),
            _row(3, "what fine-tuning adds to the gap, sparse less dense", *added),
        ]
    names = ["finding", "part", "method", "value", "low", "high", "outcome", "seeds"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def gap(results: pd.DataFrame, suffix: str = "") -> pd.Series:
    """Validation loss less training loss, nats a word."""
    valid, train = (results[f"{split}_perplexity{suffix}"] for split in ("valid", "train"))
    return (valid / train).map(math.log)


def _row(finding: int, part: str, ours: pd.Series, theirs: pd.Series) -> tuple:
    interval = difference_interval(ours.tolist(), theirs.tolist())
    return finding, part, "mean", *interval, side(interval, 0.0), min(len(ours), len(theirs))
