"""What the front page shows: the tables of its figure, from the committed runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sparsecore.runs.reference import read_reference
from sparsecore.stats.tables import rows_where

TEXTS = ("enwiki", "wikitext-2-lr20")
HEADLINE = {"layer": "lstm2", "signal": "gradient", "role": "target", "value": "chi"}
METHODS = ("pearson_log", "pearson")
WITHOUT = "without 20"  # a text's name for its often seen words but the twenty commonest


def over_training(results: Path) -> pd.DataFrame:
    """rho of the h2 gradient with target frequency, by words, text, method, seed and epoch.

    ``words``: ``all``, or ``often seen``: at least 3,000 times by the end of the run, where the
    tables tell them apart; of these also without the twenty commonest (``text``: ``without 20``).
    ``millions``: words of training text read by the end of the epoch.
    """
    found = []
    for text in TEXTS:
        tables, known = read_reference(results / "emergent" / text)
        rows = rows_where(tables["correlations"], **HEADLINE)
        rows = rows[rows["method"].isin(METHODS)]
        parts = {("all", text): rows}
        if "scale" in tables:
            over_w = tables["scale"].query("finding == 1")
            parts["often seen", text] = over_w.rename(columns={"value": "rho"})
        if "without" in tables:
            parts["often seen", WITHOUT] = tables["without"].query("dropped == 20")
        for (words, name), part in parts.items():
            millions = part["epoch"] * known["corpus"]["tokens"]["train"] / 1e6
            part = part[["method", "seed", "epoch", "rho"]]
            found.append(part.assign(words=words, text=name, millions=millions))
    return pd.concat(found, ignore_index=True)


def by_optimiser(results: Path) -> pd.DataFrame:
    """The same by way of training, log frequency alone: the third round of ``causes``."""
    tables, known = read_reference(results / "causes" / "enwiki-3")
    rows = rows_where(tables["frequency"], measure="training", statistic="log frequency")
    words = known["settings"]["batch_size"] * known["settings"]["sequence_length"]
    names = ["arm", "millions", "value", "low", "high", "seeds"]
    return rows.assign(millions=rows["update"] * words / 1e6)[names].reset_index(drop=True)
