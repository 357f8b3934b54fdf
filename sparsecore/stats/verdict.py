"""From an interval and a threshold to an outcome, and the names of verdicts.

An outcome is "yes" if the whole interval is on the claimed side of the threshold, "no" if it is
wholly on the other side, "unsure" if it holds the threshold or is unknown (NaN).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparsecore.stats.seeds import Interval

NOT_TESTED = "not tested at this size"
VERDICTS = ("holds", "partly", "fails", "undecided", NOT_TESTED)
MET = "met"  # the condition that a claim presupposes


def side(interval: Interval, threshold: float) -> str:
    """yes: above the threshold; no: below it; unsure: neither, or unknown.

    >>> side((0.4, 0.3, 0.5), 0.2), side((0.1, 0.0, 0.15), 0.2), side((0.2, 0.1, 0.3), 0.2)
    ('yes', 'no', 'unsure')
    """
    _, low, high = interval
    return "yes" if low > threshold else "no" if high < threshold else "unsure"


def within(interval: Interval, bound: float) -> str:
    """yes: inside ±bound; no: outside; unsure: across."""
    _, low, high = interval
    if -bound < low and high < bound:
        return "yes"
    return "no" if low > bound or high < -bound else "unsure"


def flip(outcome: str) -> str:
    """The outcome of the opposite claim."""
    return {"yes": "no", "no": "yes"}.get(outcome, outcome)


def every(outcomes: Iterable[str]) -> str:
    """no if any is no, else unsure if any is unsure, else yes."""
    seen = set(outcomes)
    return "no" if "no" in seen else "unsure" if "unsure" in seen else "yes"
