"""Is a Transformer sparse by nature? The findings, by the rule registered before the run.

A part is true (yes) if its whole 95 % interval over words is above 0, false if it is below, else
open; open and wider than ±0.1 is *not tested at this size*. There is one model, so that there is no
interval over trainings and no verdict.

1. Frequent inputs, concentrated activations: rho over words of mean chi and log frequency, residual
   stream, mean over blocks (essential); neurons and attention (side).
2. Frequent targets, concentrated gradients: the last norm (essential); residual stream (side).
3. Not by outlier dimensions: both without them.
4. Not by surprisal: both with the word's mean surprisal held fixed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sparsecore.stats.correlation import correlation_replicates
from sparsecore.stats.verdict import side

FINDINGS = ["finding", "part", "essential", "method", "value", "low", "high", "outcome", "words"]
LOG, PARTIAL = "pearson_log", "partial_surprisal"
MARGIN = 0.1

# finding, essential, kind, signal, method, value
PARTS = (
    (1, True, "residual", "activation", LOG, "chi"),
    (1, False, "neurons", "activation", LOG, "chi"),
    (1, False, "attention", "activation", LOG, "chi"),
    (2, True, "norm", "gradient", LOG, "chi"),
    (2, False, "residual", "gradient", LOG, "chi"),
    (3, True, "residual", "activation", LOG, "chi_without"),
    (3, True, "norm", "gradient", LOG, "chi_without"),
    (4, True, "norm", "gradient", PARTIAL, "chi"),
    (4, False, "residual", "activation", PARTIAL, "chi"),
)
NAMES = {
    "residual": "residual stream, mean over blocks",
    "neurons": "MLP neurons, mean over blocks",
    "attention": "attention output, mean over blocks",
    "norm": "last norm",
}


def decide(words: pd.DataFrame, resamples: int) -> pd.DataFrame:
    """The parts whose layers were tracked: value, interval over words, outcome."""
    return pd.DataFrame(_rows(words, resamples), columns=pd.Index(FINDINGS))


def _rows(words: pd.DataFrame, resamples: int) -> Iterator[tuple[object, ...]]:
    for number, essential, kind, signal, method, value in PARTS:
        own = words[(words["kind"] == kind) & (words["signal"] == signal)]
        if own.empty:
            continue
        found = correlation_replicates(own, ["block"], method, value, n_boot=resamples)
        share = {key: 1 / len(found.index) for key in found.index}
        rho, low, high = found.contrast(share)
        name = f"ρ of the {signal}, {NAMES[kind]}"
        name += ", without outlier dimensions" if value == "chi_without" else ""
        name += ", surprisal held fixed" if method == PARTIAL else ""
        outcome = side((rho, low, high), 0.0)
        yield number, name, essential, method, rho, low, high, outcome, own["word"].nunique()


def untested(part: dict[str, float]) -> bool:
    """Whether an interval is too wide to have told: it holds 0 and reaches beyond ±``MARGIN``."""
    return part["low"] <= 0 <= part["high"] and part["high"] - part["low"] > 2 * MARGIN
