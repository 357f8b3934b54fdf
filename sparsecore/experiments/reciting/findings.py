"""The findings of a reciting study, and the rules that decide them.

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

import pandas as pd

from sparsecore.stats.seeds import difference_interval
from sparsecore.stats.verdict import side

DENSE, RNN, BOTH = "dense", "sparse RNN", "sparse RNN + sparse embedding"
PARTS: tuple[tuple[int, str, int, str, str], ...] = (  # finding, text, part, better, worse
    (1, "a half: sparse RNN less dense", 2, RNN, DENSE),
    (2, "a half: sparse RNN less sparse RNN and embedding", 2, RNN, BOTH),
    (2, "a half: sparse RNN and embedding less dense", 2, BOTH, DENSE),
    (3, "a third: sparse RNN and embedding less dense", 3, BOTH, DENSE),
    (3, "a third: dense less sparse RNN", 3, DENSE, RNN),
)


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
