"""The three findings on language modelling by the second rule.

Statistics, conditions and effects stand in ``book/registrations.md`` (*Language modelling, second
round*). Differences of log perplexity and of gaps are in nats a word, with Welch's 95 % interval
over seeds; a gap is validation less training loss, both without dropout.
"""

from __future__ import annotations

import pandas as pd

from sparsecore.stats.judgement import ESSENTIAL, MET, SIDE, Part, parts_table
from sparsecore.stats.seeds import difference_interval
from sparsecore.stats.verdict import side

FROM_RUNS = True  # the table of runs alone decides, so rounds can be put together
PARAMETERS_A_TOKEN = 26  # of the paper's models
EFFECTS = {1: 0.0154, 2: 0.0070, 3: 0.02}  # nats: ln(58.8 / 57.9), ln(57.0 / 56.6), a margin
OVERFITS = 0.2  # nats, the dense model's gap after fine-tuning


def verdict_parts(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The parts of the three findings from the table ``runs``: see ``parts_table``."""
    import numpy as np

    runs = tables["runs"]
    losses = {
        name: pd.Series(np.log(runs[name].to_numpy(dtype=float)), runs.index)
        for name in runs.columns
        if "perplexity" in str(name)
    }
    gap = losses["valid_perplexity"] - losses["train_perplexity"]
    later = losses["valid_perplexity_finetuned"] - losses["train_perplexity_finetuned"]
    dense = runs["model"] == "dense"
    size = runs.loc[dense, "parameters"].iloc[0] / runs.loc[dense, "train_tokens"].iloc[0]
    enough = MET
    if 2 * size < PARAMETERS_A_TOKEN:
        enough = f"{size:.2g} parameters a token; the paper's models have {PARAMETERS_A_TOKEN}"
    overfits = enough
    if enough == MET and later[dense].mean() < OVERFITS:
        overfits = f"the dense model overfits by {later[dense].mean():.2g} nats, not {OVERFITS}"

    def part(finding: int, name: str, kind: str, values: pd.Series, sign: int, met: str) -> Part:
        """``values``: one a run; ``sign`` 1: sparse less dense."""
        ours, theirs = (values[~dense].tolist(), values[dense].tolist())
        if sign < 0:
            ours, theirs = theirs, ours
        interval = difference_interval(ours, theirs)
        seeds = min(len(ours), len(theirs))
        outcome = side(interval, 0.0)
        return Part(finding, name, kind, "mean", interval, outcome, EFFECTS[finding], seeds, met)

    return parts_table(
        [
            part(
                1,
                "log test perplexity, dense less sparse",
                ESSENTIAL,
                losses["test_perplexity"],
                -1,
                enough,
            ),
            part(
                2,
                "fine-tuned log test perplexity, sparse less dense",
                ESSENTIAL,
                losses["test_perplexity_finetuned"],
                1,
                enough,
            ),
            part(3, "gap after fine-tuning, sparse less dense", ESSENTIAL, later, 1, overfits),
            part(3, "gap without fine-tuning, sparse less dense", SIDE, gap, 1, MET),
            part(
                3,
                "what fine-tuning adds to the gap, sparse less dense",
                SIDE,
                later - gap,
                1,
                MET,
            ),
        ]
    )
