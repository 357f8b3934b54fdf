"""Ratios from commit to commit, so that a slower commit is seen: ``history.csv``.

Beside the folder of results lies one file for all of them. Each run of the benchmark appends a row
for every contestant, and nothing is ever taken out. Times of two days do not compare on a machine
that others use as well; ratios of contestants that took turns in one process do, up to a noise that
:func:`noise` states.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparsecore.errors import InputError
from sparsecore.files import write_text
from sparsecore.runs.reference import read_csv

NAME = "history.csv"
OURS = "sparsecore"  # whose time the others are divided by
MACHINE = ["machine", "device", "threads"]  # only runs with equal values are compared
WHAT = ["suite", "case", "contestant"]
COLUMNS = ["date", "commit", *MACHINE, "mhz", "torch", *WHAT, "rounds", "ratio", "low", "high"]


def append(path: Path, table: pd.DataFrame, machine: dict[str, Any]) -> None:
    """Add a run to the file, whole or not at all, without this library and what was not timed.

    Args:
        path: of the file.
        table: of :data:`sparsecore.bench.harness.COLUMNS`.
        machine: as in ``environment.json``.

    Raises:
        InputError: the file cannot be written.
    """
    found = table[(table["contestant"] != OURS) & table["ratio_to_reference"].notna()]
    ratios = {"ratio_to_reference": "ratio", "ratio_low": "low", "ratio_high": "high"}
    run = {
        "date": machine["started"],
        "commit": machine.get("commit", ""),
        "machine": machine["device_name"],
        "mhz": machine.get("mhz"),
        "torch": machine["torch"],
    }
    rows = found.rename(columns=ratios).assign(**run)[COLUMNS]
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    text = rows.to_csv(index=False, header=not before, float_format="%.4g", lineterminator="\n")
    write_text(path, before + text)


def read(path: Path) -> pd.DataFrame:
    """The rows of a history, oldest first; none where there is no such file.

    Raises:
        InputError: the file is not one.
    """
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS)
    try:
        table = read_csv(path, {"mhz": [""]})
        return table[COLUMNS].sort_values("date", kind="stable", ignore_index=True)
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is no history of sparsecore bench: {error}") from error


def like(history: pd.DataFrame, machine: dict[str, Any]) -> pd.DataFrame:
    """The rows that were measured on a machine, with as many threads, on the same device."""
    wanted = [machine[name] for name in ("device_name", "device", "threads")]
    return history[(history[MACHINE] == wanted).all(axis=1)]


def noise(history: pd.DataFrame) -> pd.DataFrame:
    """How far the ratios of a suite scatter over rounds, and from run to run.

    Args:
        history: of one machine.

    Returns:
        A row a suite. ``rounds``: half the distance between the quartiles over the rounds of a run,
        as a share of the ratio. ``runs``: by what share the quotient of two *other* contestants,
        with which this library has nothing to do, changed from a run to the next with the same
        PyTorch; NaN with a single run or contestant. Both are medians over the suite.
    """
    timed = history[history["rounds"] > 1]
    share = (timed["high"] - timed["low"]) / (2 * timed["ratio"])
    found = share.groupby(timed["suite"], sort=False).median().rename("rounds").to_frame()
    table = timed.pivot_table(index=["suite", "torch", "date"], columns=WHAT[1:], values="ratio")
    logs = table.map(math.log).T.groupby(level="case").diff().T  # of one by the one before it
    steps = logs.groupby(level=["suite", "torch"]).diff().abs()
    runs: Any = steps.stack([0, 1]).groupby(level="suite").median().map(math.expm1)
    return found.join(runs.rename("runs"), how="left").reset_index()


def changes(history: pd.DataFrame) -> pd.DataFrame:
    """What the last run found other than the one before it, by more than the suite's noise.

    Args:
        history: of one machine.

    Returns:
        Rows whose intervals over rounds are apart and whose ratios differ by more than ``runs`` of
        :func:`noise`: suite, case, contestant; commit, ratio, low and high of the last run and,
        with ``_before``, of the run before that timed the contestant; ``change``, the quotient of
        the ratios: below 1 this library has become slower beside that contestant.
    """
    timed = history[history["rounds"] > 1]
    last = timed[timed["date"] == timed["date"].max()]
    before = timed[timed["date"] < timed["date"].max()].groupby(WHAT, sort=False).tail(1)
    pairs = last.merge(before, on=WHAT, suffixes=("", "_before")).merge(noise(timed), on="suite")
    pairs["change"] = pairs["ratio"] / pairs["ratio_before"]
    apart = (pairs["low"] > pairs["high_before"]) | (pairs["high"] < pairs["low_before"])
    beyond = np.log(pairs["change"]).abs() > np.log1p(pairs["runs"].fillna(0.0))
    values = ["commit", "ratio", "low", "high"]
    columns = [*WHAT, *values, *(f"{name}_before" for name in values), "change"]
    return pairs.loc[apart & beyond, columns].sort_values("change", ignore_index=True)
