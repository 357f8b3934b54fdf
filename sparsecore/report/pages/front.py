"""What the front page shows: the tables of its figure, from the committed runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sparsecore.runs.reference import read_reference
from sparsecore.stats.tables import rows_where

TEXTS = ("wikitext-2-lr20", "enwiki-7m-lr20")
METHODS = ("pearson_log", "pearson")
DROPPED = 20  # the commonest words, of those seen often


def over_training(results: Path) -> pd.DataFrame:
    """rho of the h2 gradient with target frequency over training, by words, text, method and seed.

    ``words``: those seen at least 3,000 times by the end of the run, ``all`` of them or ``without``
    the twenty commonest. ``millions``: words of training text read until then.
    """
    found = []
    for text in TEXTS:
        tables, known = read_reference(results / "emergent" / text)
        every = tables["scale"].query("finding == 1").rename(columns={"value": "rho"})
        parts = {"all": every, "without": tables["without"].query("dropped == @DROPPED")}
        for name, part in parts.items():
            part = part.loc[part["method"].isin(METHODS), ["method", "seed", "epoch", "rho"]]
            millions = part["epoch"] * known["corpus"]["tokens"]["train"] / 1e6
            found.append(part.assign(words=name, text=text, millions=millions))
    return pd.concat(found, ignore_index=True)


def by_optimiser(results: Path) -> pd.DataFrame:
    """The same by way of training, log frequency alone: the third round of ``causes``."""
    tables, known = read_reference(results / "causes" / "enwiki-3")
    rows = rows_where(tables["frequency"], measure="training", statistic="log frequency")
    words = known["settings"]["batch_size"] * known["settings"]["sequence_length"]
    names = ["arm", "millions", "value", "low", "high", "seeds"]
    return rows.assign(millions=rows["update"] * words / 1e6)[names].reset_index(drop=True)
