"""What the notebooks of the chapter on causes show: the arms, what each learned, sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from sparsecore.report.figures.causes import ARMS
from sparsecore.report.pages.parts import (
    Study,
    about_study,
    corpus_name,
    html_table,
    open_study,
    reference_folder,
)
from sparsecore.runs.claims import format_value
from sparsecore.runs.reference import Summary, read_provenance, read_summary

THOUSANDTHS = 1e3
KINDS = {"split": "split", "thin": "thinned", "words": "whole words"}
AGAIN = "new seeds"  # of an arm that was trained in a later round too
OF_ARMS = ("slopes", "replicates", "losses")  # tables of a row or more an arm


open_page = partial(open_study, "causes")
"""The study of a preset beside the reference runs; finished runs are found, not repeated."""


def about(page: Study) -> Any:
    """What was trained: here, and in the reference runs."""

    def told(_: Summary, corpus: Mapping[str, Any], settings: Mapping[str, Any], runs: int) -> str:
        return (  # how many is in the table of arms, which has several folders
            f"{settings['num_updates']:,} updates a run on {corpus_name(corpus)}, "
            f"{settings['max_types']:,} different words, {settings['hidden_size']} units a layer"
        )

    return about_study(page, told)


def every_arm(reference: str) -> Summary | None:
    """The tables of all arms of a round: of each folder of its seeds whose name begins with its.

    None where there is no such reference.
    """
    own = reference_folder("causes", reference)
    known = read_provenance(own)
    if known is None:
        return None
    parts = []
    for folder in (own, *sorted(own.parent.glob(f"{reference}-*"))):
        tables, provenance = read_summary(folder), read_provenance(folder)
        if tables and provenance and set(provenance["seeds"]) <= set(known["seeds"]):
            parts.append(tables)
    return {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in OF_ARMS}


def having(tables: Summary | None, names: Sequence[str]) -> Summary | None:
    """The tables, or None where none of these arms was run."""
    ran = tables is not None and tables["replicates"]["arm"].isin(names).any()
    return tables if ran else None


def arms_table(page: Study, *references: str, kinds: Sequence[str] = tuple(KINDS)) -> Any:
    """What every arm of these rounds learned, and its slopes, one below the other.

    Below: the seeds of each round, and which arms were not run.
    """
    named = list(ARMS.values())
    known = [(AGAIN if number else "", every_arm(name)) for number, name in enumerate(references)]
    known.append(("your runs", page.own))
    rounds = [(mark, arms(tables, kinds)) for mark, tables in known if tables is not None]
    table = pd.concat(
        rows.assign(
            place=rows["arm"].map(named.index), arm=rows["arm"] + (f" ({mark})" if mark else "")
        )
        for mark, rows in rounds
    )
    table = table.sort_values("place", kind="stable")
    seeds = [f"{mark or 'seeds'}: {'; '.join(rows['seeds'].unique())}" for mark, rows in rounds]
    missing = [name for number, name in enumerate(named) if number not in set(table["place"])]
    note = f"Random {'; '.join(seeds)}."
    note += f" Registered and not run: {'; '.join(missing)}." if missing else ""
    return html_table(table.drop(columns=["place", "seeds"]), note=note)


def arms(tables: Summary, kinds: Sequence[str] = tuple(KINDS)) -> pd.DataFrame:
    """A row an arm, at the last update: its seeds, held-out loss, and slopes by both measures."""
    losses, slopes = tables["losses"], tables["slopes"]
    end = losses["update"].max()
    of_arm = losses[losses["update"] == end].groupby("arm")
    loss, seeds = of_arm["valid_loss"].mean(), of_arm["seed"].unique()
    last = slopes[slopes["update"] == end].set_index(["arm", "measure", "kind"])
    names = [arm for arm in ARMS if arm in loss.index]
    first = {
        "arm": [ARMS[arm] for arm in names],
        "seeds": [", ".join(map(str, sorted(seeds[arm]))) for arm in names],
        "held-out loss, nats": [f"{loss[arm]:.2f}" for arm in names],
    }
    shown = {
        f"{KINDS[kind]}, {where}": [_slope(last, arm, measure, kind) for arm in names]
        for kind in kinds
        for measure, where in (("training", "in training"), ("held out", "held out"))
    }
    return pd.DataFrame({**first, **shown})


def right_of(page: Study, later: str) -> dict[str, Any]:
    """What stands right of the reference runs: the reader's, else those of a later round.

    Returns the arguments of ``figures.beside`` that say so: ``yours``, ``titles``, ``same_y``.
    """
    if page.own is not None:
        return {"yours": page.own, "titles": page.titles, "same_y": False}
    tables = read_summary(reference_folder("causes", later))
    return {"yours": tables, "titles": ("second round", "third round")}


def progress(tables: Summary | None) -> Summary | None:
    """The table ``progress``: slopes beside the held-out loss (mean over seeds) of that moment."""
    if tables is None:
        return None
    keys = ["arm", "update"]
    losses = tables["losses"].groupby(keys, as_index=False)["valid_loss"].mean()
    return {"progress": tables["slopes"].merge(losses, on=keys)}


def carriers_table(page: Study) -> Any:
    """What χ goes with over words, held out, in the arm ``sgd-5``."""
    own = page.main["carriers"]
    own = own[own["arm"] == "sgd-5"]
    shown = [_value(row) for row in own.to_dict("records")]
    table = pd.DataFrame({"correlation of": own["statistic"], "ρ": shown})
    return html_table(table, note=f"{ARMS['sgd-5']}, over whole words, on held-out text.")


def _slope(last: Any, arm: str, measure: str, kind: str) -> str:
    row = last.loc[(arm, measure, kind)].to_dict()
    return _value({name: THOUSANDTHS * row[name] for name in ("value", "low", "high")})


def _value(row: dict[Any, Any]) -> str:
    """Value and interval; one seed or two have none."""
    interval = None if pd.isna(row["low"]) else [row["low"], row["high"]]
    return format_value(row["value"], interval)
