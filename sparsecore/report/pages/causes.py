"""What the notebooks of the chapter on causes show: the arms, what each learned, sentences."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from sparsecore.report.figures.causes import ARMS
from sparsecore.report.pages.parts import (
    Study,
    about_study,
    as_typed,
    html_table,
    open_study,
)
from sparsecore.report.pages.verdicts import parts_table
from sparsecore.runs.claims import format_value
from sparsecore.runs.reference import Summary

THOUSANDTHS = 1e3


open_page = partial(open_study, "causes")
"""The study of a preset beside the reference runs; finished runs are found, not repeated."""


def about(page: Study) -> Any:
    """What was trained: here, and in the reference runs."""

    def told(_: Summary, corpus: Mapping[str, Any], settings: Mapping[str, Any], runs: int) -> str:
        return (
            f"{runs} runs of {settings['num_updates']:,} updates on {as_typed(corpus['name'])}, "
            f"{settings['max_types']:,} types, H = {settings['hidden_size']}"
        )

    return about_study(page, told)


def arms_table(page: Study) -> Any:
    """What every arm learned and how steep χ rises with frequency in it, at the last update."""
    return html_table(arms(page.main))


def arms(tables: Summary) -> pd.DataFrame:
    """A row an arm: held-out loss, split slopes by both measures, thinning slope, seeds."""
    losses, slopes = tables["losses"], tables["slopes"]
    end = losses["update"].max()
    loss = losses[losses["update"] == end].groupby("arm")["valid_loss"].mean()
    last = slopes[slopes["update"] == end].set_index(["arm", "measure", "kind"])
    names = [arm for arm in ARMS if arm in loss.index]
    return pd.DataFrame(
        {
            "arm": [ARMS[arm] for arm in names],
            "held-out loss, nats": [f"{loss[arm]:.3f}" for arm in names],
            "split, training": [_slope(last, arm, "training", "split") for arm in names],
            "split, held out": [_slope(last, arm, "held out", "split") for arm in names],
            "thinned, training": [_slope(last, arm, "training", "thin") for arm in names],
            "seeds": [int(last.loc[(arm, "held out", "split"), "seeds"]) for arm in names],
        }
    )


def progress(tables: Summary | None) -> Summary | None:
    """The table ``progress``: slopes beside the held-out loss (mean over seeds) of that moment."""
    if tables is None:
        return None
    keys = ["arm", "update"]
    losses = tables["losses"].groupby(keys, as_index=False)["valid_loss"].mean()
    return {"progress": tables["slopes"].merge(losses, on=keys)}


def findings_table(page: Study) -> Any:
    """Every part of the findings beside those of the reader's runs; None as published."""
    return parts_table(page, *range(1, 13))


def carriers_table(page: Study, arm: str = "sgd-5") -> Any:
    """What χ goes with over words, held out."""
    own = page.main["carriers"]
    own = own[own["arm"] == arm]
    shown = [_value(row) for row in own.to_dict("records")]
    return html_table(pd.DataFrame({"correlation of": own["statistic"], "ρ": shown}))


def _slope(last: Any, arm: str, measure: str, kind: str) -> str:
    row = last.loc[(arm, measure, kind)].to_dict()
    return _value({name: THOUSANDTHS * row[name] for name in ("value", "low", "high")})


def _value(row: dict[Any, Any]) -> str:
    """Value and interval; one seed or two have none."""
    interval = None if pd.isna(row["low"]) else [row["low"], row["high"]]
    return format_value(row["value"], interval)
