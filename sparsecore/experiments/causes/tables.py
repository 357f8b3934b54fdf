"""The small tables of a study: a row an arm and measurement, means over seeds with intervals.

slopes       arm, update, measure, kind (split | thin), value, low, high, nested_low,
             nested_high, relative (of the mean χ of whole words, per nat), seeds
replicates   the same seed by seed, with the standard error over words
doses        arm, measure, condition, dose, value, low, high: χ(frequent) − χ(rare), or what
             thinning takes away, at the last measurement
frequency    arm, update, measure, statistic, value, low, high: correlations over whole words
carriers     arm, statistic, value, low, high: what χ goes with, held out
bands        arm, update, band, words, chi, surprisal: of words by frequency, held out
losses       arm, seed, update, train_loss, valid_loss
verdicts     see :mod:`sparsecore.experiments.causes.findings`
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from sparsecore.experiments.causes import findings
from sparsecore.experiments.causes.config import ARMS, CONDITIONS
from sparsecore.experiments.causes.findings import HELD_OUT, TRAINING, Measured, Statistic
from sparsecore.stats.bootstrap import Draws, Estimate
from sparsecore.stats.tables import Summary
from sparsecore.stats.two_level import interval_of, nested_interval

Key = tuple[str, int, int, str]  # arm, seed, update, measure

FEW = 200  # resamples for what is drawn over training
BANDS = (0, 30, 100, 300, 1_000, math.inf)  # occurrences of a word in the training text


def _rho(x: str, y: str = "chi", given: Sequence[str] = ()) -> Statistic:
    return lambda table, draws: findings.correlation(table, x, draws, y, given)


WITHIN = {"log frequency": _rho("log_frequency"), "raw frequency": _rho("frequency")}
CARRIERS = {
    "χ with χ of rows alone": _rho("rows"),
    "χ with χ of shares alone": _rho("shares"),
    "χ with log frequency": _rho("log_frequency"),
    "χ of rows alone with log frequency": _rho("log_frequency", "rows"),
    "χ of shares alone with log frequency": _rho("log_frequency", "shares"),
    "χ with log frequency given χ of rows alone": _rho("log_frequency", given=["rows"]),
    "χ with log frequency given surprisal": _rho("log_frequency", given=["surprisal"]),
    "χ with surprisal given log frequency": _rho("surprisal", given=["log_frequency"]),
}


def tables_of(tables: Summary) -> Summary:
    """The small tables of finished runs.

    Args:
        tables: ``types``, ``stream``, ``probe`` and ``epochs`` of all runs on top of one another,
            with ``seed`` and ``arm`` in front.
    """
    measured = dict(measurements(tables))
    end = max(update for _, _, update, _ in measured)
    last = {(a, s, m): table for (a, s, update, m), table in measured.items() if update == end}
    kinds: dict[str, Statistic] = {
        "split": findings.split_slope,
        "thin": findings.thin_slope,
        "words": findings.words_slope,
    }
    replicates = pd.DataFrame(
        [
            {"arm": arm, "seed": seed, "update": update, "measure": measure, "kind": kind,
             "value": found.value, "error": float(found.draws.std()),
             "mean_chi": float(findings.whole_words(table)["chi"].mean()), "found": found}
            for (arm, seed, update, measure), table in measured.items()
            for kind, statistic in kinds.items()
            for found in [statistic(table, Draws(seed) if update == end else Draws(seed, FEW))]
        ]
    )  # fmt: skip
    held_out = {key: table for key, table in measured.items() if key[3] == HELD_OUT}
    ends = {key: table for key, table in held_out.items() if key[2] == end}
    columns = ["arm", "seed", "update", "train_loss", "valid_loss"]
    return {
        "slopes": _slopes(replicates),
        "replicates": replicates.drop(columns="found"),
        "doses": doses(last),
        "frequency": _described(measured, WITHIN, ["arm", "update", "measure"], end),
        "carriers": _described(ends, CARRIERS, ["arm"], end),
        "bands": bands(held_out),
        "losses": tables["epochs"][columns].reset_index(drop=True),
        "verdicts": findings.decide(last),
    }


def measurements(tables: Summary) -> Iterator[tuple[Key, pd.DataFrame]]:
    """Every run's types with their χ, by arm, seed, update and measure, arms in their order."""
    kept = ["type", "word", "word_id", "condition", "role", "dose", "frequency", "natural"]
    types: dict[Any, pd.DataFrame] = dict(iter(tables["types"].groupby(["arm", "seed"])))
    for name, measure in (("stream", TRAINING), ("probe", HELD_OUT)):
        groups: dict[Any, pd.DataFrame] = dict(
            iter(tables[name].groupby(["arm", "seed", "update"]))
        )
        for key in sorted(groups, key=lambda key: (list(ARMS).index(key[0]), *key[1:])):
            arm, seed, update = str(key[0]), int(key[1]), int(key[2])
            rows = groups[key].drop(columns=["arm", "seed", "update", "run"])
            yield (arm, seed, update, measure), types[arm, seed][kept].merge(rows, on="type")


def doses(last: Measured) -> pd.DataFrame:
    """What each condition does to χ, at the last measurement."""
    rows = []
    for arm, measure in dict.fromkeys((arm, measure) for arm, _, measure in last):
        for condition, (kind, ratio) in CONDITIONS.items():
            if kind == "intact":
                continue
            mean = findings.split_mean if kind == "split" else findings.thin_mean
            found = [
                mean(t, condition, Draws(s))
                for (a, s, m), t in last.items()
                if (a, m) == (arm, measure)
            ]
            dose = {"condition": condition, "dose": math.log(ratio)}
            rows.append({"arm": arm, "measure": measure, **dose, **_interval(found)})
    return pd.DataFrame(rows)


def bands(held_out: dict[Key, pd.DataFrame]) -> pd.DataFrame:
    """χ and surprisal of whole words by how often they were seen: when are they learned?"""
    parts = []
    for (arm, seed, update, _), table in held_out.items():
        words = findings.whole_words(table)
        band = pd.cut(words["frequency"], BANDS, right=False, labels=[f"{n}" for n in BANDS[:-1]])
        part = words.assign(from_count=band.astype(int))
        parts.append(part.assign(arm=arm, seed=seed, update=update))
    everything = pd.concat(parts, ignore_index=True)
    grouped = everything.groupby(["arm", "update", "from_count"], sort=False)
    table = grouped.agg(words=("chi", "size"), chi=("chi", "mean"), surprisal=("surprisal", "mean"))
    return table.reset_index().sort_values(["arm", "from_count", "update"], ignore_index=True)


def _slopes(replicates: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for key, group in replicates.groupby(["arm", "update", "measure", "kind"], sort=False):
        assert isinstance(key, tuple)
        row = dict(zip(("arm", "update", "measure", "kind"), key, strict=True))
        value = _interval(list(group["found"]))
        rows.append({**row, **value, "relative": value["value"] / float(group["mean_chi"].mean())})
    return pd.DataFrame(rows)


def _described(
    measured: dict[Key, pd.DataFrame], named: dict[str, Statistic], by: list[str], end: int
) -> pd.DataFrame:
    """Each statistic over the seeds of every group."""
    groups: dict[tuple[Any, ...], list[tuple[Draws, pd.DataFrame]]] = {}
    for (arm, seed, update, measure), table in measured.items():
        key = {"arm": arm, "update": update, "measure": measure}
        groups.setdefault(tuple(key[name] for name in by), []).append(
            (Draws(seed) if update == end else Draws(seed, FEW), table)
        )
    return pd.DataFrame(
        [
            {**dict(zip(by, key, strict=True)), "statistic": name,
             **_interval([statistic(table, draws) for draws, table in seeds])}
            for key, seeds in groups.items()
            for name, statistic in named.items()
        ]
    )  # fmt: skip


def _interval(found: list[Estimate]) -> dict[str, Any]:
    value, low, high = interval_of(found)
    _, nested_low, nested_high = nested_interval(found)
    ends = {"nested_low": nested_low, "nested_high": nested_high}
    return {"value": value, "low": low, "high": high, **ends, "seeds": len(found)}
