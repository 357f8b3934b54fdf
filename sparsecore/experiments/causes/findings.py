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

import numpy as np
import pandas as pd

from sparsecore.stats.bootstrap import (
    Draws,
    Estimate,
    estimate,
    weighted_correlation,
    weighted_slope,
)
from sparsecore.stats.judgement import ESSENTIAL, SHOWN, SIDE, Part, parts_table
from sparsecore.stats.seeds import UNKNOWN, Interval
from sparsecore.stats.tables import EXCLUDED
from sparsecore.stats.two_level import interval_of
from sparsecore.stats.verdict import flip, side, within

Statistic = Callable[[pd.DataFrame, Draws], Estimate]  # of the words of one seed
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
    split, thin = split_slope, thin_slope
    yield _sloped(last, 1, "sgd-5", TRAINING, split, ESSENTIAL)
    yield _sloped(last, 1, "sgd-5", HELD_OUT, split, SIDE)
    for measure in (TRAINING, HELD_OUT):
        equal = _seeds(last, "sgd-5", measure, lambda t, s: split_mean(t, "split-1", s))
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


def pairs(table: pd.DataFrame) -> pd.DataFrame:
    """A row a split word: condition, dose, χ of its frequent type minus that of its rare one."""
    frequent, rare = (table[table["role"] == role] for role in ("frequent", "rare"))
    both = frequent.merge(rare[["word_id", "chi"]], on="word_id", suffixes=("", "_rare"))
    return both.assign(difference=both["chi"] - both["chi_rare"])


def split_slope(table: pd.DataFrame, draws: Draws) -> Estimate:
    """χ(frequent) − χ(rare) on the log ratio of their frequencies: χ per nat."""
    words = pairs(table)
    y, x = words["difference"].to_numpy(), words[["dose"]].to_numpy(np.float64)
    return estimate(lambda w: weighted_slope(w, y, x), len(y), draws)


def split_mean(table: pd.DataFrame, condition: str, draws: Draws) -> Estimate:
    """Mean of χ(frequent) − χ(rare) over the words split in one ratio."""
    words = pairs(table)
    y = words.loc[words["condition"] == condition, "difference"].to_numpy()
    return estimate(lambda w: (y @ w) / len(y), len(y), draws)


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    kept = table["condition"].isin(["intact", "thin-4", "thin-19"])
    return table[kept & (table["natural"] > 0)]


def thin_slope(table: pd.DataFrame, draws: Draws) -> Estimate:
    """χ on the log share of a word's occurrences that stay, given its natural log frequency."""
    words = _thinned(table)
    x = np.column_stack([-words["dose"], np.log(words["natural"])])
    y = words["chi"].to_numpy()
    return estimate(lambda w: weighted_slope(w, y, x), len(y), draws)


def thin_mean(table: pd.DataFrame, condition: str, draws: Draws) -> Estimate:
    """By how much χ of words thinned in one ratio is below that of intact words as frequent."""
    words = _thinned(table)
    words = words[words["condition"].isin(["intact", condition])]
    lost = np.asarray(words["condition"] == condition, dtype=np.float64)
    x = np.column_stack([lost, np.log(words["natural"].to_numpy(np.float64))])
    y = words["chi"].to_numpy()
    return estimate(lambda w: -weighted_slope(w, y, x), len(y), draws)


def whole_words(table: pd.DataFrame) -> pd.DataFrame:
    """The words that nothing was done to, without ``<unk>`` and ``<eos>``."""
    own = table["condition"].isin(["intact", "none"]) & ~table["word"].isin(EXCLUDED)
    return table[own & (table["frequency"] > 0)]


def words_slope(table: pd.DataFrame, draws: Draws) -> Estimate:
    """χ on log frequency over whole words: what one observes, whatever its cause; χ per nat.

    Of the ranks that words were drawn from, with the weights 1/rank that they were drawn with, so
    that it is about the same words as the split slope.
    """
    first = table.loc[table["condition"] != "none", "word_id"].min()
    words = whole_words(table)
    words = words[words["word_id"] >= first]
    y, x = words["chi"].to_numpy(), np.log(words[["frequency"]].to_numpy(np.float64))
    drawn = 1 / words["word_id"].to_numpy(np.float64)[:, None]
    return estimate(lambda w: weighted_slope(w * drawn, y, x), len(y), draws)


def correlation(
    table: pd.DataFrame, x: str, draws: Draws, y: str = "chi", given: Sequence[str] = ()
) -> Estimate:
    """Pearson's correlation over whole words, or the partial one given other columns."""
    words = whole_words(table)
    words = words.assign(log_frequency=np.log(words["frequency"]))
    controls = words[list(given)].to_numpy(np.float64)
    a, b = words[x].to_numpy(np.float64), words[[y]].to_numpy(np.float64)
    return estimate(lambda w: weighted_correlation(w, a, b, controls)[:, 0], len(words), draws)


def words_less_split(table: pd.DataFrame, draws: Draws) -> Estimate:
    """The part of the slope over whole words that is not frequency's own."""
    return words_slope(table, draws) - split_slope(table, draws)


def carried(table: pd.DataFrame, draws: Draws) -> Estimate:
    """How much better χ goes with that of the output rows alone than with that of the shares."""
    rows = correlation(table, "rows", draws)
    return rows - correlation(table, "shares", draws)


def given_surprisal(table: pd.DataFrame, draws: Draws) -> Estimate:
    """The partial correlation of χ with log frequency given a word's mean surprisal."""
    return correlation(table, "log_frequency", draws, given=["surprisal"])


def _seeds(last: Measured, arm: str, measure: str, statistic: Statistic) -> list[Estimate]:
    keys = sorted(key for key in last if key[0] == arm and key[2] == measure)
    return [statistic(last[key], Draws(key[1])) for key in keys]


def _difference(last: Measured, ours: str, theirs: str) -> list[Estimate]:
    """Split slopes of two arms, held out, seed by seed: they share words and initial weights."""
    seeds = sorted({key[1] for key in last if key[0] == ours})
    keys = [((ours, seed, HELD_OUT), (theirs, seed, HELD_OUT)) for seed in seeds]
    return [
        split_slope(last[a], Draws(a[1])) - split_slope(last[b], Draws(b[1]))
        for a, b in keys
        if b in last
    ]


def _interval(estimates: Sequence[Estimate]) -> Interval:
    return interval_of(estimates) if estimates else UNKNOWN


def _sloped(
    last: Measured,
    finding: int,
    arm: str,
    measure: str,
    statistic: Statistic,
    kind: str,
    above: bool = True,
) -> Part:
    what = "thinning" if statistic is thin_slope else "split"
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
