"""The eight findings of Saphra & Lopez 2019, and the rules that decide them.

Statistics, kinds, conditions and margins stand in ``book/registrations.md`` (*Emergent sparsity,
second round*), written before the runs that they judge (the condition of finding 2 when the first
of them had begun). Intervals are over seeds and words at once (:mod:`sparsecore.stats.two_level`).
The words W of findings 1, 6 and 7 are those whose exposure, occurrences × epochs, is at least
3,000; F those that occur more than 1,000 times. Epoch 1 is the first epoch of training, E the
last, M = ceil(E / 2) the middle. A part that rests on a correlation is asked of raw frequency (the
paper's) and of log frequency. Resample r of the words is the same in every seed of a configuration,
whose words are the same, so that seeds are put together word by word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from sparsecore.errors import InputError
from sparsecore.measure.words import matched_words
from sparsecore.stats.bootstrap import Estimate
from sparsecore.stats.correlation import Replicates, correlation_replicates
from sparsecore.stats.groups import difference_replicates
from sparsecore.stats.judgement import ESSENTIAL, MET, SHOWN, SIDE, Part, parts_table
from sparsecore.stats.seeds import UNKNOWN, Interval
from sparsecore.stats.tables import EXCLUDED, rows_where
from sparsecore.stats.two_level import LEAST_SEEDS, interval_of
from sparsecore.stats.verdict import every, flip, side, within

EXPOSURE = 3_000  # occurrences × epochs
OFTEN = 1_000  # occurrences, Fig. 5
METHODS = ("pearson", "pearson_log")

ACTIVATIONS = [(layer, "activation") for layer in ("embedding", "lstm1", "lstm2")]
GRADIENTS = [(layer, "gradient") for layer in ("embedding", "lstm1", "lstm2", "softmax")]
CLASSES = ["open", "closed"]
TOP = ("lstm2", "gradient")
OTHERS = [pair for pair in ACTIVATIONS + GRADIENTS if pair != TOP]

STRONG = 0.3  # a correlation, from here
SLIGHT = 0.1  # and within ± this, the paper's own bound in §4
WINDOW = 4  # epochs on either side of the first learning-rate decay
LEAST_EXPOSED = 100  # words of W, finding 1
LEAST_OF_CLASS = 30  # words of W of each class, findings 6 and 7
LEAST_OFTEN = 20  # words of F of each class, finding 7
CHI_MARGIN = 1e-3
SLOPE_MARGIN = 0.02  # an epoch

Terms = dict[tuple[Any, ...], float]


@dataclass(frozen=True)
class Evidence:
    """Correlations with frequency over all words, of one run and by one method."""

    chi: Replicates  # by epoch, layer, signal, role
    l1: Replicates  # by epoch: of the top gradient, target
    classes: Replicates  # by epoch, word_class: of the top gradient, target


@dataclass(frozen=True)
class RunEvidence:
    """What the rules look at of one run."""

    last: int  # E
    cut: int | None  # the first epoch at whose end the learning rate decays
    counts: dict[str, int]  # words of each set
    everything: dict[str, Evidence]  # by method
    exposed: dict[str, Replicates] = field(default_factory=dict)  # W, by epoch
    classes: dict[str, Replicates] = field(default_factory=dict)  # W, by epoch and class
    differences: dict[str, Estimate] = field(default_factory=dict)  # mean chi, closed minus open


def evidence_of(
    statistics: pd.DataFrame, words: pd.DataFrame, epochs: pd.DataFrame, *, n_boot: int = 1000
) -> RunEvidence:
    """What the rules look at, from one run's tables.

    Args:
        statistics: all epochs: epoch, word, frequency, word_class, layer, signal, role, chi, l1.
        words: word, frequency, word_class.
        epochs: epoch, step_cut.
        n_boot: resamples of the words.

    Raises:
        InputError: missing columns, or a run without a trained epoch.
    """
    last, cut = ends_of(epochs)
    if last < 1:
        raise InputError("the run has no trained epoch yet; the findings need at least one")
    exposed, often = word_sets(words, last)
    counts = counts_of(exposed, often)
    signals, classes = ["epoch", "layer", "signal", "role"], ["epoch", "word_class"]
    top = top_rows(statistics)
    of_classes = top[top["word_class"].isin(CLASSES)]
    of_exposed, of_exposed_classes = (t[t["word"].isin(exposed["word"])] for t in (top, of_classes))
    everything: dict[str, Evidence] = {}
    by_word: dict[str, Replicates] = {}
    by_class: dict[str, Replicates] = {}
    rho = partial(correlation_replicates, n_boot=n_boot)
    for method in METHODS:
        everything[method] = Evidence(
            chi=rho(statistics, signals, method),
            l1=rho(top, ["epoch"], method, "l1"),
            classes=rho(of_classes, classes, method),
        )
        if counts["exposed"] >= 3:
            by_word[method] = rho(of_exposed, ["epoch"], method)
        if min(counts["exposed open"], counts["exposed closed"]) >= 3:
            by_class[method] = rho(of_exposed_classes, classes, method)
    differences = _differences(top[top["epoch"] == last], exposed, often, n_boot)
    return RunEvidence(last, cut, counts, everything, by_word, by_class, differences)


def ends_of(epochs: pd.DataFrame) -> tuple[int, int | None]:
    """The last epoch, and the first at whose end the learning rate decays."""
    cuts = epochs.loc[epochs["step_cut"].astype(bool), "epoch"]
    return int(epochs["epoch"].max()), int(cuts.min()) if len(cuts) else None


def word_sets(words: pd.DataFrame, passes: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """W, the words whose exposure in so many passes is large, and F, those that are frequent."""
    known = words[~words["word"].isin(EXCLUDED)]
    return known[known["frequency"] * passes >= EXPOSURE], known[known["frequency"] > OFTEN]


def counts_of(exposed: pd.DataFrame, often: pd.DataFrame) -> dict[str, int]:
    """How many words the sets have, in all and by class."""
    counts = {"exposed": len(exposed)}
    for name, chosen in (("exposed", exposed), ("often", often)):
        sizes = chosen["word_class"].value_counts()
        counts |= {f"{name} {c}": int(sizes.get(c, 0)) for c in CLASSES}
    return counts


def top_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the upper layer's gradient, by target word."""
    return rows_where(table, layer="lstm2", signal="gradient", role="target")


def _differences(
    end: pd.DataFrame, exposed: pd.DataFrame, often: pd.DataFrame, n_boot: int
) -> dict[str, Estimate]:
    """Mean chi of closed minus open words at the last epoch, over each set that has both."""
    found = {}
    sets: dict[str, tuple[pd.Series, str | None]] = {
        "often": (often["word"], None),
        "exposed": (exposed["word"], "log_frequency"),
        "matched": (matched_words(exposed)["word"], None),
        "all": (end["word"], None),
    }
    for name, (words, given) in sets.items():
        chosen = end[end["word"].isin(words) & end["chi"].notna()]
        if (chosen["word_class"].value_counts().reindex(CLASSES) >= 2).all():
            found[name] = difference_replicates(chosen, given=given, n_boot=n_boot)
    return found


def decide(seeds: Sequence[RunEvidence]) -> pd.DataFrame:
    """The parts of the eight findings for runs that differ in their seed: see ``parts_table``."""
    parts: list[Part] = []
    for method in METHODS:
        for rule in RULES:
            parts += rule(_Pool(seeds, method))
    parts += finding_7(_Pool(seeds, "mean"))
    return parts_table(parts)


@dataclass(frozen=True)
class _Pool:
    """Several seeds and one method."""

    seeds: Sequence[RunEvidence]
    method: str

    @property
    def last(self) -> int:
        return self.seeds[0].last

    @property
    def middle(self) -> int:
        return math.ceil(self.last / 2)

    def over(self, estimate: Callable[[RunEvidence], Estimate | None]) -> Interval:
        """A statistic of each seed, over seeds and words; unknown if a seed lacks it."""
        found = [value for seed in self.seeds if (value := estimate(seed)) is not None]
        if not found or len(found) < len(self.seeds):
            return UNKNOWN
        return interval_of(found)

    def rho(self, terms: Terms) -> Interval:
        """A combination of rho over all words: (epoch, layer, signal, role)."""
        return self.over(lambda seed: _take(seed.everything[self.method].chi, terms))

    def exposed(self, terms: Terms) -> Interval:
        """The same of the top gradient over W: (epoch,)."""
        return self.over(lambda seed: _take(seed.exposed.get(self.method), terms))

    def change(self, layer: str, signal: str, role: str) -> Interval:
        """rho at E minus rho at 1."""
        if self.last < 2:
            return UNKNOWN
        return self.rho({(self.last, layer, signal, role): 1, (1, layer, signal, role): -1})

    def part(
        self,
        finding: int,
        name: str,
        kind: str,
        interval: Interval,
        outcome: str,
        effect: float = STRONG,
        condition: str = MET,
    ) -> Part:
        count = len(self.seeds)
        return Part(finding, name, kind, self.method, interval, outcome, effect, count, condition)

    def above(self, finding: int, name: str, kind: str, interval: Interval, **more: Any) -> Part:
        """A part that is true above 0."""
        return self.part(finding, name, kind, interval, side(interval, 0), **more)


def finding_1(p: _Pool) -> Iterator[Part]:
    """Figs. 2, 3a: over W, rho of the top gradient and frequency is above 0 at E; it grew."""
    condition = _condition(p, "exposed", LEAST_EXPOSED)
    end = p.exposed({(p.last,): 1})
    grown = p.exposed({(p.last,): 1, (1,): -1}) if p.last >= 2 else UNKNOWN
    yield p.above(1, "ρ over W at the last epoch", ESSENTIAL, end, condition=condition)
    yield p.above(1, "its change since epoch 1", SIDE, grown)
    everyone = p.rho({(p.last, *TOP, "target"): 1})
    yield p.above(1, "ρ over all words at the last epoch", SHOWN, everyone)
    change = p.change(*TOP, "target")
    yield p.above(1, "its change since epoch 1, all words", SHOWN, change)


def finding_2(p: _Pool) -> Iterator[Part]:
    """Fig. 3a: no other signal's rho is strong and growing; h² activations are not concentrated.

    Says something only where the h² gradient itself follows frequency strongly.
    """
    own = max(_Pool(p.seeds, m).rho({(p.last, *TOP, "target"): 1})[0] for m in METHODS)
    weak = "the h² gradient itself has no strong correlation: ρ over all words is"
    condition = MET if own > STRONG else f"{weak} {own:.2f}, not above 0.3"
    found, outcomes = [], []
    for pair in OTHERS:
        rho = p.rho({(p.last, *pair, "target"): 1})
        both = every([side(rho, STRONG), side(p.change(*pair, "target"), 0)])
        found.append(rho)
        outcomes.append(flip(both))
    largest = max(found, key=lambda interval: interval[0])
    name = "largest ρ of another signal, last epoch"
    yield p.part(2, name, ESSENTIAL, largest, every(outcomes), SLIGHT, condition=condition)
    dispersed = p.rho({(p.last, "lstm2", "activation", "target"): 1})
    outcome = flip(side(dispersed, SLIGHT))
    name = "ρ of h² activations, last epoch"
    yield p.part(2, name, ESSENTIAL, dispersed, outcome, SLIGHT)


def finding_3(p: _Pool) -> Iterator[Part]:
    """Fig. 3b: by input words, the embedding's rho is ahead of h¹'s at E; behind it at first."""
    lower, bottom = ("lstm1", "activation", "input"), ("embedding", "activation", "input")
    end = p.rho({(p.last, *bottom): 1, (p.last, *lower): -1})
    yield p.above(3, "ρ of hᵉ minus ρ of h¹, last epoch", ESSENTIAL, end)
    begin = p.rho({(1, *lower): 1, (1, *bottom): -1})
    yield p.above(3, "ρ of h¹ minus ρ of hᵉ, epoch 1", SIDE, begin)
    yield p.above(3, "ρ of h¹ at epoch 1", SIDE, p.rho({(1, *lower): 1}))
    slower = UNKNOWN
    if p.last >= 2:
        m, rest = p.middle, p.last - p.middle
        slower = p.rho(
            {(m, *lower): 1 / m + 1 / rest, (0, *lower): -1 / m, (p.last, *lower): -1 / rest}
        )
    yield p.above(3, "gain of h¹ per epoch: first half of training minus second", SIDE, slower)


def finding_4(p: _Pool) -> Iterator[Part]:
    """Fig. 3b: no gradient's rho with input frequency is ever more than slight."""
    rhos = [p.rho({(e, *g, "input"): 1}) for g in GRADIENTS for e in range(1, p.last + 1)]
    outcomes = every([within(rho, SLIGHT) for rho in rhos])
    largest = max(rhos, key=lambda interval: abs(interval[0]))
    name = "ρ furthest from 0, any gradient, any epoch"
    yield p.part(4, name, ESSENTIAL, largest, outcomes, SLIGHT)


def finding_5(p: _Pool) -> Iterator[Part]:
    """Fig. 3b: after the first cut rho of activations turns upward, in seeds that have one."""
    usable = [s for s in p.seeds if s.cut and s.cut >= 2 and s.last >= s.cut + 2]
    condition = MET
    if len(usable) < LEAST_SEEDS:
        condition = (
            f"{len(usable)} of {len(p.seeds)} seeds have a cut with two epochs on either side"
        )
    pool = _Pool(usable, p.method)

    def slope(seed: RunEvidence, less_before: bool) -> Estimate | None:
        assert seed.cut is not None
        terms = _slope(range(seed.cut, min(seed.last, seed.cut + WINDOW) + 1))
        if less_before:
            before = _slope(range(max(1, seed.cut - WINDOW), seed.cut + 1))
            terms = {e: terms.get(e, 0) - before.get(e, 0) for e in terms | before}
        spread = {
            (e, *a, "input"): c / len(ACTIVATIONS) for e, c in terms.items() for a in ACTIVATIONS
        }
        return _take(seed.everything[p.method].chi, spread)

    steeper = pool.over(lambda seed: slope(seed, True)) if usable else UNKNOWN
    after = pool.over(lambda seed: slope(seed, False)) if usable else UNKNOWN
    name = "slope of ρ after the first step cut"
    more: dict[str, Any] = {"effect": SLOPE_MARGIN, "condition": condition}
    yield pool.above(5, f"{name} minus slope before", ESSENTIAL, steeper, **more)
    yield pool.above(5, name, SIDE, after, effect=SLOPE_MARGIN)


def finding_6(p: _Pool) -> Iterator[Part]:
    """Fig. 4: over W, open classes go on rising in the second half, and more than closed ones."""
    enough = _condition(p, "exposed", LEAST_OF_CLASS, CLASSES)

    def rho(words: str, terms: Terms) -> Interval:
        if words == "over W":
            return p.over(lambda seed: _take(seed.classes.get(p.method), terms))
        return p.over(lambda seed: _take(seed.everything[p.method].classes, terms))

    half = "gain in the second half of training"
    rise: Terms = {(p.last, "open"): 1, (p.middle, "open"): -1}
    more: Terms = rise | {(p.last, "closed"): -1, (p.middle, "closed"): 1}
    for words, kind in (("over W", ESSENTIAL), ("over all words", SHOWN)):
        gain, later = (rho(words, t) if p.last >= 2 else UNKNOWN for t in (rise, more))
        lacks = enough if kind == ESSENTIAL else MET
        yield p.above(6, f"{half} {words}: open", kind, gain, condition=lacks)
        yield p.above(6, f"{half} {words}: open minus closed", kind, later, condition=lacks)
        early = rho(words, {(1, "closed"): 1, (1, "open"): -1})
        name = f"ρ at epoch 1 {words}: closed minus open"
        yield p.above(6, name, SIDE if kind == ESSENTIAL else SHOWN, early)


def finding_7(p: _Pool) -> Iterator[Part]:
    """Figs. 4, 5: function words' gradients are more concentrated, at equal frequency too."""
    sets = {
        "often": ("over words seen more than 1,000 times", ESSENTIAL),
        "exposed": ("at equal log frequency over W", ESSENTIAL),
        "matched": ("in samples of W matched in frequency", SIDE),
        "all": ("over all words", SHOWN),
    }
    for name, (text, kind) in sets.items():
        condition = {
            "often": _condition(p, "often", LEAST_OFTEN, CLASSES),
            "exposed": _condition(p, "exposed", LEAST_OF_CLASS, CLASSES),
        }.get(name, MET)
        found = p.over(lambda seed, n=name: seed.differences.get(n))
        text = f"mean χ, closed minus open, {text}"
        yield p.above(7, text, kind, found, effect=CHI_MARGIN, condition=condition)


def finding_8(p: _Pool) -> Iterator[Part]:
    """§4: rho of ℓ1 is at most slightly negative; chi of the softmax gradient is no match."""
    rhos = [
        p.over(lambda seed, e=epoch: _take(seed.everything[p.method].l1, {(e,): 1.0}))
        for epoch in range(1, p.last + 1)
    ]
    lowest = min(rhos, key=lambda interval: interval[0])
    outcome = every([side(rho, -SLIGHT) for rho in rhos])
    yield p.part(8, "lowest ρ of ℓ1, any epoch", ESSENTIAL, lowest, outcome, SLIGHT)
    softmax = ("softmax", "gradient", "target")
    gap = p.rho({(p.last, *TOP, "target"): 1, (p.last, *softmax): -1})
    weak = flip(side(p.rho({(p.last, *softmax): 1}), STRONG))
    name = "ρ of h² gradient minus ρ of softmax gradient, last epoch"
    yield p.part(8, name, ESSENTIAL, gap, every([side(gap, 0), weak]), SLIGHT)


RULES = (finding_1, finding_2, finding_3, finding_4, finding_5, finding_6, finding_8)


def _take(replicates: Replicates | None, terms: Terms) -> Estimate | None:
    return None if replicates is None else replicates.combined(terms)


def _slope(epochs: range) -> dict[int, float]:
    """Coefficients of the least-squares slope over these epochs."""
    x = np.array(epochs, dtype=float)
    centred = x - x.mean()
    return dict(zip(epochs, (centred / (centred @ centred)).tolist(), strict=True))


def _condition(p: _Pool, words: str, least: int, classes: Sequence[str] = ("",)) -> str:
    """Met if a set of words (W or F) has so many, in all or of each class."""
    where = {"exposed": f"with an exposure of {EXPOSURE:,}", "often": f"seen over {OFTEN:,} times"}
    for word_class in classes:
        count = p.seeds[0].counts.get(f"{words} {word_class}".strip(), 0)
        if count < least:
            what = f"{word_class}-class words" if word_class else "words"
            return f"{count} {what} {where[words]}; {least} are needed"
    return MET
