"""The eight findings of Saphra & Lopez 2019, and the rules that decide them.

Statistics, kinds, conditions and margins stand in ``book/registrations.md`` (*Emergent sparsity,
second round*), written before the runs that they judge (the condition of finding 2 when the first
of them had begun). Intervals are over seeds and words at once (:mod:`sparsecore.stats.two_level`).
The words W of findings 1, 6 and 7 are those whose exposure, occurrences × epochs, is at least
3,000; F those that occur more than 1,000 times. Epoch 1 is the first epoch of training, E the
last, M = ceil(E / 2) the middle. A part that rests on a correlation is asked of raw frequency (the
paper's) and of log frequency.

1. Figs. 2 and 3a: over W, ρ of χ of the upper gradient and target frequency is positive at E
   (essential), and it grew (side).
2. Fig. 3a: no other signal's ρ is strong and growing; h² activations are not concentrated.
3. Fig. 3b: with input words, the embedding's ρ is ahead of h¹'s at E (essential); behind it, and
   h¹'s positive and growing fast, at first (side).
4. Fig. 3b: no gradient's ρ with input frequency is ever more than slight.
5. Fig. 3b: after the first cut of the learning rate ρ of activations turns upward.
6. Fig. 4: over W, open classes go on rising in the second half, and more than closed ones.
7. Figs. 4 and 5: gradients of function words are more concentrated, at equal frequency too.
8. §4: ρ of the ℓ1 norm is at most slightly negative; χ of the softmax gradient is no match.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparsecore.experiments.emergent.evidence import (
    ACTIVATIONS,
    EXPOSURE,
    GRADIENTS,
    METHODS,
    OFTEN,
    OTHERS,
    TOP,
    RunEvidence,
)
from sparsecore.stats.bootstrap import Estimate
from sparsecore.stats.correlation import Replicates
from sparsecore.stats.judgement import ESSENTIAL, MET, SHOWN, SIDE, Part, parts_table
from sparsecore.stats.seeds import UNKNOWN, Interval
from sparsecore.stats.two_level import LEAST_SEEDS, interval_of
from sparsecore.stats.verdict import every, flip, side, within

STRONG = 0.3  # a correlation, from here
SLIGHT = 0.1  # and within ± this, the paper's own bound in §4
WINDOW = 4  # epochs on either side of the first learning-rate decay
LEAST_EXPOSED = 100  # words of W, finding 1
LEAST_OF_CLASS = 30  # words of W of each class, findings 6 and 7
LEAST_OFTEN = 20  # words of F of each class, finding 7
CHI_MARGIN = 1e-3
SLOPE_MARGIN = 0.02  # an epoch

Terms = dict[tuple[Any, ...], float]


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
    """rho of the top gradient over W is positive at the end; it grew; the same over all words."""
    words = p.seeds[0].counts.get("exposed", 0)
    enough = words >= LEAST_EXPOSED
    condition = MET if enough else _too_few(words, LEAST_EXPOSED, "words")
    end = p.exposed({(p.last,): 1})
    grown = p.exposed({(p.last,): 1, (1,): -1}) if p.last >= 2 else UNKNOWN
    yield p.above(1, "ρ over W at the last epoch", ESSENTIAL, end, condition=condition)
    yield p.above(1, "its change since epoch 1", SIDE, grown)
    everyone = p.rho({(p.last, *TOP, "target"): 1})
    yield p.above(1, "ρ over all words at the last epoch", SHOWN, everyone)
    change = p.change(*TOP, "target")
    yield p.above(1, "its change since epoch 1, all words", SHOWN, change)


def finding_2(p: _Pool) -> Iterator[Part]:
    """No other signal's rho is strong and growing; h² activations are not concentrated.

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
    """The embedding's rho with input frequency is ahead of h¹'s in the end; behind at first."""
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
    """No gradient's rho with input frequency is ever more than slight."""
    rhos = [p.rho({(e, *g, "input"): 1}) for g in GRADIENTS for e in range(1, p.last + 1)]
    outcomes = every([within(rho, SLIGHT) for rho in rhos])
    largest = max(rhos, key=lambda interval: abs(interval[0]))
    name = "ρ furthest from 0, any gradient, any epoch"
    yield p.part(4, name, ESSENTIAL, largest, outcomes, SLIGHT)


def finding_5(p: _Pool) -> Iterator[Part]:
    """After the first cut rho of activations turns upward; seeds without a cut do not count."""
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
    """Over W, open classes go on rising in the second half, and more than closed ones."""
    enough = _class_condition(p, "exposed", LEAST_OF_CLASS)

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
    """Function words' top gradients are more concentrated, at equal frequency too."""
    sets = {
        "often": ("over words seen more than 1,000 times", ESSENTIAL),
        "exposed": ("at equal log frequency over W", ESSENTIAL),
        "matched": ("in samples of W matched in frequency", SIDE),
        "all": ("over all words", SHOWN),
    }
    for name, (text, kind) in sets.items():
        condition = {
            "often": _class_condition(p, "often", LEAST_OFTEN),
            "exposed": _class_condition(p, "exposed", LEAST_OF_CLASS),
        }.get(name, MET)
        found = p.over(lambda seed, n=name: seed.differences.get(n))
        text = f"mean χ, closed minus open, {text}"
        yield p.above(7, text, kind, found, effect=CHI_MARGIN, condition=condition)


def finding_8(p: _Pool) -> Iterator[Part]:
    """l1 of the top gradient is at most slightly anti-correlated; softmax chi is no match."""
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


RULES: tuple[Callable[[_Pool], Iterator[Part]], ...] = (
    finding_1,
    finding_2,
    finding_3,
    finding_4,
    finding_5,
    finding_6,
    finding_8,
)


def _take(replicates: Replicates | None, terms: Terms) -> Estimate | None:
    return None if replicates is None else replicates.combined(terms)


def _slope(epochs: range) -> dict[int, float]:
    """Coefficients of the least-squares slope over these epochs."""
    x = np.array(epochs, dtype=float)
    centred = x - x.mean()
    return dict(zip(epochs, (centred / (centred @ centred)).tolist(), strict=True))


def _class_condition(p: _Pool, words: str, least: int) -> str:
    for word_class in ("open", "closed"):
        count = p.seeds[0].counts.get(f"{words} {word_class}", 0)
        if count < least:
            return _too_few(count, least, f"{word_class}-class words", words)
    return MET


def _too_few(count: int, least: int, what: str, words: str = "exposed") -> str:
    where = {"exposed": f"with an exposure of {EXPOSURE:,}", "often": f"seen over {OFTEN:,} times"}
    return f"{count} {what} {where[words]}; {least} are needed"
