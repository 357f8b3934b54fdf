"""The three findings of a language-modelling study, and the rules that decide them.

Differences are in nats a word, with Welch's 95 % interval over seeds; a part is true above 0. A gap
is validation minus training loss, both without dropout. "Without fine-tuning" is the epoch of the
first phase with the lowest validation loss; "after it" the best epoch of both phases. Conditions
and effects stand in ``book/registrations.md`` (*Language modelling, second round*).

1. Table 1: without fine-tuning the sparse model has the lower log test perplexity.
2. Table 1: after fine-tuning the dense model is ahead.
3. Text of §3.2: the sparse model overfits more strongly, especially in the fine-tune step: its gap
   after fine-tuning is larger (essential), and so are the one without it and what it adds (side).
"""

from __future__ import annotations

import math

import pandas as pd

from sparsecore.stats.judgement import ESSENTIAL, MET, SIDE, Part, difference_part, parts_table
from sparsecore.stats.tables import Summary

FROM_RUNS = True  # the table of runs alone decides, so rounds can be put together
PARAMETERS_A_TOKEN = 26  # of the paper's models
EFFECTS = {1: 0.0154, 2: 0.0070, 3: 0.02}  # nats: ln(58.8 / 57.9), ln(57.0 / 56.6), a margin
OVERFITS = 0.2  # nats, the dense model's gap after fine-tuning


def verdict_parts(tables: Summary) -> pd.DataFrame:
    """The parts of the three findings from the table ``runs``: see ``parts_table``."""
    runs = tables["runs"]
    before, later = gap(runs), gap(runs, "_finetuned")
    dense = runs["model"] == "dense"
    if dense.all() or not dense.any():
        return parts_table([])
    size = runs.loc[dense, "parameters"].iloc[0] / runs.loc[dense, "train_tokens"].iloc[0]
    enough = MET
    if 2 * size < PARAMETERS_A_TOKEN:
        enough = f"{size:.2g} parameters a token; the paper's models have {PARAMETERS_A_TOKEN}"
    overfits = enough
    if enough == MET and later[dense].mean() < OVERFITS:
        overfits = f"the dense model overfits by {later[dense].mean():.2g} nats, not {OVERFITS}"

    def part(finding: int, name: str, kind: str, values: pd.Series, sign: int, met: str) -> Part:
        """``values``: one a run; ``sign`` 1: sparse minus dense."""
        ours, theirs = (values[~dense], values[dense])[::sign]
        return difference_part(finding, name, kind, ours, theirs, 0.0, EFFECTS[finding], met)

    test, tuned = _loss(runs, "test"), _loss(runs, "test", "_finetuned")
    difference = "sparse minus dense"
    return parts_table(
        [
            part(1, "log test perplexity, dense minus sparse", ESSENTIAL, test, -1, enough),
            part(2, f"fine-tuned log test perplexity, {difference}", ESSENTIAL, tuned, 1, enough),
            part(3, f"gap after fine-tuning, {difference}", ESSENTIAL, later, 1, overfits),
            part(3, f"gap without fine-tuning, {difference}", SIDE, before, 1, MET),
            part(
                3, f"what fine-tuning adds to the gap, {difference}", SIDE, later - before, 1, MET
            ),
        ]
    )


def gap(runs: pd.DataFrame, suffix: str = "") -> pd.Series:
    """Validation minus training loss of each run, nats a word."""
    return _loss(runs, "valid", suffix) - _loss(runs, "train", suffix)


def _loss(runs: pd.DataFrame, split: str, suffix: str = "") -> pd.Series:
    return runs[f"{split}_perplexity{suffix}"].astype(float).apply(math.log)
