"""From the parts of a finding to its verdict.

In this order: *not tested*, if the design lacks what an essential part presupposes, or has fewer
than three seeds; *fails*, if an essential part is false; *holds*, if all essential and side parts
are true; *partly*, if all essential ones are true or divided; else an essential part is open, which
is *not tested* where its interval is wider than the effect to be shown, and *undecided* otherwise.

A table of parts has one row a statistic: finding, part, kind (essential, side or shown), method,
value, low, high, outcome (see :mod:`sparsecore.stats.verdict`), effect (what the interval should be
able to show: its half width must not be larger; NaN for none), seeds, and condition (``met``, or
what the design lacks). Parts of the same name asked by several methods are one part; so are those
of several texts of equal standing (:func:`on_several_texts`), once each text has its outcome. See
``book/registrations.md``, *Verdicts, second rule* and *When two corpora decide one finding*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from sparsecore.stats.seeds import Interval, difference_interval
from sparsecore.stats.two_level import LEAST_SEEDS
from sparsecore.stats.verdict import MET, NOT_TESTED, side

ESSENTIAL, SIDE, SHOWN = "essential", "side", "shown"
THOUSANDTHS = 0.01  # effects below it are told in thousandths
DIVIDED = "divided"  # true by one method, false by another
COLUMNS = ["finding", "part", "kind", "method", "value", "low", "high", "outcome", "effect"]
COLUMNS += ["seeds", "condition"]


@dataclass(frozen=True)
class Part:
    """One statistic of a finding; see the module's text."""

    finding: int
    part: str
    kind: str
    method: str
    interval: Interval
    outcome: str  # yes | no | unsure
    effect: float = math.nan
    seeds: int = 0
    condition: str = MET


def difference_part(
    finding: int,
    part: str,
    kind: str,
    ours: pd.Series,
    theirs: pd.Series,
    bound: float = 0.0,
    effect: float = math.nan,
    condition: str = MET,
) -> Part:
    """Mean of our runs minus that of theirs, with Welch's interval over seeds: true above bound."""
    interval = difference_interval(ours.tolist(), theirs.tolist())
    outcome, seeds = side(interval, bound), min(len(ours), len(theirs))
    return Part(finding, part, kind, "mean", interval, outcome, effect, seeds, condition)


def parts_table(parts: Iterable[Part]) -> pd.DataFrame:
    """One row a part, findings in order."""
    ends = ("value", "low", "high")
    rows = [{**vars(part), **dict(zip(ends, part.interval, strict=True))} for part in parts]
    table = pd.DataFrame(rows, columns=pd.Index(COLUMNS))
    return table.sort_values("finding", kind="stable", ignore_index=True)


def merged(outcomes: Iterable[str]) -> str:
    """One part asked by several methods: divided if they contradict each other.

    >>> merged(["yes", "unsure"]), merged(["no", "unsure"]), merged(["yes", "no"])
    ('yes', 'no', 'divided')
    """
    seen = set(outcomes)
    if {"yes", "no"} <= seen:
        return DIVIDED
    return "yes" if "yes" in seen else "no" if "no" in seen else "unsure"


def agreed(outcomes: Iterable[str]) -> str:
    """One part judged on several texts: divided if they contradict each other.

    >>> agreed(["yes", "divided"]), agreed(["no", "unsure"]), agreed(["divided", "unsure"])
    ('yes', 'no', 'unsure')
    """
    seen = set(outcomes)
    return seen.pop() if len(seen) == 1 else merged(seen)


def outcomes_of(parts: pd.DataFrame) -> dict[str, str]:
    """The outcome of each part, from its methods and, where there is a column ``corpus``, texts."""
    names = ["part", *(["corpus"] if "corpus" in parts else [])]
    found: dict[str, list[str]] = {}
    for (name, *_), group in parts.groupby(names, sort=False):
        found.setdefault(str(name), []).append(merged(group["outcome"]))
    return {name: agreed(outcomes) for name, outcomes in found.items()}


def on_several_texts(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The parts of one finding on texts of equal standing, with a column ``corpus``.

    ``parts``: the rows of the finding for each text. A text on which the design lacks what the
    finding presupposes is left out; the first stays if all do.
    """
    able = {name: rows for name, rows in parts.items() if not _lacking(rows)}
    kept = able or dict([next(iter(parts.items()))])
    return pd.concat([rows.assign(corpus=name) for name, rows in kept.items()], ignore_index=True)


def judge(parts: pd.DataFrame) -> tuple[str, str]:
    """The verdict of one finding from its parts, and in a few words why it is not a plain one.

    ``parts``: the rows of one finding of :func:`parts_table` or of :func:`on_several_texts`. The
    reason is empty where the outcomes say it all.
    """
    if lacking := _lacking(parts):
        return NOT_TESTED, lacking
    essential = parts[parts["kind"] == ESSENTIAL]
    found = outcomes_of(essential)
    side = outcomes_of(parts[parts["kind"] == SIDE]).values()
    if "no" in found.values():
        return "fails", ""
    if "unsure" in found.values():
        opened = essential[essential["part"].map(found) == "unsure"]
        return _power(opened)
    if {*found.values(), *side} == {"yes"}:
        return "holds", ""
    return "partly", ""


def headline(parts: pd.DataFrame, verdict: str) -> pd.Series:
    """The row that stands for a finding: the first essential one, of a failure the first false."""
    essential = parts[parts["kind"] == ESSENTIAL]
    failed = essential["part"].map(outcomes_of(essential)) == "no"
    false = essential[failed & (essential["outcome"] == "no")]
    return (false if verdict == "fails" and len(false) else essential).iloc[0]


def _lacking(parts: pd.DataFrame) -> str:
    """What keeps the runs from testing a finding, whatever they gave; empty if nothing does."""
    essential = parts[parts["kind"] == ESSENTIAL]
    if essential.empty:
        return "the runs have none of the models that it compares"
    unmet = essential.loc[essential["condition"] != MET, "condition"].tolist()
    if unmet:
        return str(unmet[0])
    seeds = int(essential["seeds"].min())
    if seeds < LEAST_SEEDS:
        return f"{seeds} seed{'' if seeds == 1 else 's'}; an interval needs three"
    return ""


def _power(opened: pd.DataFrame) -> tuple[str, str]:
    """Open essential parts: could the most precise method have shown the effect in each?"""
    half = (opened["high"] - opened["low"]) / 2
    for name, rows in opened.assign(half=half).groupby("part", sort=False):
        width, effect = float(rows["half"].min()), float(rows["effect"].iloc[0])
        if math.isnan(width):
            return NOT_TESTED, f"{name}: the runs do not give it"
        if width > effect:
            scale, unit = (1e3, " thousandths") if effect < THOUSANDTHS else (1, "")
            known = f"{name}: the interval is ±{scale * width:.2g}{unit}"
            return NOT_TESTED, f"{known}, too wide to show an effect of {scale * effect:.2g}"
    return "undecided", ""
