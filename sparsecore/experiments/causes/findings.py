"""What the arms say, by the rules of ``book/registrations.md`` (*Causes*), written before the runs.

Every finding is about the last measurement. *Training* is χ as the paper measures it, *held out* by
the closed form on other text; slopes are χ per nat of frequency. Parts and verdicts:
:mod:`sparsecore.stats.judgement`. An arm of fewer than three seeds has no interval and no verdict.

1. Frequency causes concentration: the split slope at SGD 5 is above 0, and 1:1 makes no difference.
2. Not through the competitor: the thinning slope at SGD 5 is above 0.
3. The learning rate decides: the split slope at 20 is below that at 5.
4. It is not SGD's alone: the split slope with Adam is above 0.
5. It is not the initial rows': the split slope from normal ones is above 0.
6. It owes nothing to language: the split slope with shuffled targets is above 0.
7. It is not the LSTM's: the split slope of each other network is above 0.
8. Output rows carry it: χ goes with that of the rows alone more than with that of the shares alone.
9. Frequency and not surprisal: the partial correlation given surprisal is above 0.
10. At 5 it is what frequent words are: the slope over whole words exceeds the split slope.
11. At 20 it is frequency: split and thinning slope in training are above 0.
12. With Adam frequency does the opposite: split and thinning slope held out are below 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from sparsecore.experiments.causes import effects
from sparsecore.experiments.causes.effects import Draws, Estimate
from sparsecore.stats.judgement import ESSENTIAL, SHOWN, SIDE, Part, parts_table
from sparsecore.stats.verdict import flip, side, within

Measured = dict[tuple[str, int, str], pd.DataFrame]  # arm, seed, measure -> the last measurement

TRAINING, HELD_OUT = "training", "held out"
SLOPE = 0.0008  # half width that a slope's interval may have
DIFFERENCE = 0.0016  # and a difference of slopes
EQUAL = 0.0011  # of χ, between types equally frequent
NETWORKS = ("gru", "mingru", "transformer", "sparse")


def decide(last: Measured) -> pd.DataFrame:
    """The parts of the twelve findings."""
    return parts_table(_parts(last))


def _parts(last: Measured) -> Iterator[Part]:
    split, thin = effects.split_slope, effects.thin_slope
    yield _sloped(last, 1, "sgd-5", TRAINING, split, ESSENTIAL)
    yield _sloped(last, 1, "sgd-5", HELD_OUT, split, SIDE)
    for measure in (TRAINING, HELD_OUT):
        equal = _seeds(last, "sgd-5", measure, lambda t, s: effects.split_mean(t, "split-1", s))
        interval = _interval(equal)
        outcome = within(interval, EQUAL)
        yield Part(1, "difference at 1:1", SIDE, measure, interval, outcome, seeds=len(equal))
    yield _sloped(last, 2, "sgd-5", TRAINING, thin, ESSENTIAL)
    yield _sloped(last, 2, "sgd-5", HELD_OUT, thin, SIDE)
    gap = _difference(last, "sgd-20", "sgd-5")
    name = "split slope, SGD 20 minus SGD 5"
    yield _part(3, name, ESSENTIAL, HELD_OUT, gap, DIFFERENCE, above=False)
    for finding, arm in ((4, "adam"), (5, "normal-init")):
        for measure in (TRAINING, HELD_OUT):
            yield _sloped(last, finding, arm, measure, split, ESSENTIAL)
    yield _sloped(last, 6, "shuffled", HELD_OUT, split, ESSENTIAL)
    for arm in NETWORKS:
        yield _sloped(last, 7, arm, HELD_OUT, split, ESSENTIAL)
    for measure in (HELD_OUT, TRAINING):
        gap = _seeds(last, "sgd-5", measure, words_less_split)
        name = f"slope over whole words minus split slope, sgd-5, {measure}"
        yield _part(10, name, ESSENTIAL, "slope", gap, DIFFERENCE)
    for finding, arm, first, above in (
        (11, "sgd-20", TRAINING, True),
        (12, "adam", HELD_OUT, False),
    ):
        for measure in (TRAINING, HELD_OUT):
            kind = ESSENTIAL if measure == first else SHOWN
            for statistic in (split, thin):
                yield _sloped(last, finding, arm, measure, statistic, kind, above)
    for finding, name, statistic in (
        (8, "ρ with χ of rows alone minus with χ of shares alone", carried),
        (9, "partial ρ with log frequency, given surprisal", given_surprisal),
    ):
        found = _seeds(last, "sgd-5", HELD_OUT, statistic)
        yield _part(finding, name, ESSENTIAL, "correlation", found)


def words_less_split(table: pd.DataFrame, draws: Draws) -> Estimate:
    """The part of the slope over whole words that is not frequency's own."""
    return effects.words_slope(table, draws) - effects.split_slope(table, draws)


def carried(table: pd.DataFrame, draws: Draws) -> Estimate:
    """How much better χ goes with that of the output rows alone than with that of the shares."""
    rows = effects.correlation(table, "rows", draws)
    return rows - effects.correlation(table, "shares", draws)


def given_surprisal(table: pd.DataFrame, draws: Draws) -> Estimate:
    """The partial correlation of χ with log frequency given a word's mean surprisal."""
    return effects.correlation(table, "log_frequency", draws, given=["surprisal"])


def _seeds(
    last: Measured, arm: str, measure: str, statistic: Callable[[pd.DataFrame, Draws], Estimate]
) -> list[Estimate]:
    keys = sorted(key for key in last if key[0] == arm and key[2] == measure)
    return [statistic(last[key], Draws(key[1])) for key in keys]


def _difference(last: Measured, ours: str, theirs: str) -> list[Estimate]:
    """Split slopes of two arms, held out, seed by seed: they share words and initial weights."""
    seeds = sorted({key[1] for key in last if key[0] == ours})
    keys = [((ours, seed, HELD_OUT), (theirs, seed, HELD_OUT)) for seed in seeds]
    return [
        effects.split_slope(last[a], Draws(a[1])) - effects.split_slope(last[b], Draws(b[1]))
        for a, b in keys
        if b in last
    ]


def _interval(estimates: Sequence[Estimate]) -> tuple[float, float, float]:
    return effects.over_seeds(estimates) if estimates else (math.nan, math.nan, math.nan)


def _sloped(
    last: Measured,
    finding: int,
    arm: str,
    measure: str,
    statistic: Callable[[pd.DataFrame, Draws], Estimate],
    kind: str,
    above: bool = True,
) -> Part:
    what = "thinning" if statistic is effects.thin_slope else "split"
    name = f"{what} slope, {arm}, {measure}"
    found = _seeds(last, arm, measure, statistic)
    return _part(finding, name, kind, "slope", found, SLOPE, above)


def _part(
    finding: int,
    name: str,
    kind: str,
    method: str,
    found: Sequence[Estimate],
    effect: float = math.nan,
    above: bool = True,
) -> Part:
    """Whether the interval over seeds and words lies on that side of 0."""
    interval = _interval(found)
    outcome = side(interval, 0) if above else flip(side(interval, 0))
    return Part(finding, name, kind, method, interval, outcome, effect, len(found))
