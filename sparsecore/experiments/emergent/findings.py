"""The eight findings of Saphra & Lopez 2019 as questions that a run answers by a fixed rule.

The rules were written down before any run was looked at, and are not tuned afterwards. Each
finding has parts; a part is a statistic with a 95 % bootstrap interval over words and a
threshold:

    yes     the whole interval is on the finding's side of the threshold
    no      the whole interval is on the other side
    unsure  the interval holds the threshold, or the run cannot say (too few epochs, no step cut)

A part that rests on a correlation is asked twice, of Pearson's rho with raw frequency (the
paper's) and with log frequency, which a handful of words cannot carry. Seeds are combined by
unanimity, parts into a verdict by :func:`sparsecore.stats.verdict.verdict`.

Thresholds: a correlation is *strong* from 0.3 and *slight* within ±0.1 (the paper's own bound in
§4). Epoch 1 is the first epoch of training, E the last, M = ceil(E / 2) the middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparsecore.errors import InputError
from sparsecore.measure.words import matched_samples
from sparsecore.stats.correlation import Replicates, correlation_replicates
from sparsecore.stats.groups import mean_difference
from sparsecore.stats.seeds import Interval
from sparsecore.stats.tables import EXCLUDED
from sparsecore.stats.verdict import every, flip, side, within

STRONG = 0.3
SLIGHT = 0.1
METHODS = ("pearson", "pearson_log")
MATCHED = 120
WINDOW = 4  # epochs on either side of the first learning-rate decay

ACTIVATIONS = [("embedding", "activation"), ("lstm1", "activation"), ("lstm2", "activation")]
GRADIENTS = [
    ("embedding", "gradient"),
    ("lstm1", "gradient"),
    ("lstm2", "gradient"),
    ("softmax", "gradient"),
]
TOP = ("lstm2", "gradient")

UNKNOWN: Interval = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Evidence:
    """What the rules look at, for one run and one method."""

    method: str
    last: int  # E
    cut: int | None  # the first epoch at whose end the learning rate decays
    chi: Replicates  # by epoch, layer, signal, role
    l1: Replicates  # by epoch: of the top gradient, target
    classes: Replicates  # by epoch, word_class: of the top gradient, target

    @property
    def middle(self) -> int:
        """M."""
        return math.ceil(self.last / 2)

    def rho(self, terms: dict[tuple[int, str, str, str], float]) -> Interval:
        """A linear combination of rho, terms given as (epoch, layer, signal, role)."""
        return self.chi.contrast(terms)


@dataclass(frozen=True)
class Part:
    """One statistic, its interval, and what the rule makes of it."""

    finding: int
    part: str
    method: str  # of the correlation; "mean" where none is involved
    value: float
    low: float
    high: float
    outcome: str  # yes | no | unsure


def findings(
    statistics: pd.DataFrame,
    words: pd.DataFrame,
    epochs: pd.DataFrame,
    *,
    n_boot: int = 1000,
    seed: int = 0,
    evidence: dict[str, Evidence] | None = None,
) -> pd.DataFrame:
    """The parts of the findings for one run: finding, part, method, value, low, high, outcome.

    ``statistics``: the run's per-word table of all epochs (epoch, word, frequency, word_class,
    layer, signal, role, chi, l1); ``words``: word, frequency, word_class; ``epochs``: epoch,
    step_cut; ``evidence``: of :func:`evidence_of`, where it is there already. The first part of
    each finding is its headline. Raises InputError for missing columns or a run without a trained
    epoch.
    """
    parts: list[Part] = []
    found = evidence or evidence_of(statistics, epochs, n_boot=n_boot, seed=seed)
    for of_method in found.values():
        for rule in RULES:
            parts += rule(of_method)
    top = _of(statistics, *TOP, "target")
    last = top[top["epoch"] == found[METHODS[0]].last]
    parts += finding_7(last, words, n_boot=n_boot, seed=seed)
    return pd.DataFrame(parts).sort_values("finding", kind="stable", ignore_index=True)


def evidence_of(
    statistics: pd.DataFrame, epochs: pd.DataFrame, *, n_boot: int = 1000, seed: int = 0
) -> dict[str, Evidence]:
    """What the rules look at, by method. Raises InputError for a run without a trained epoch."""
    last = int(epochs["epoch"].max())
    if last < 1:
        raise InputError("the run has no trained epoch yet; the findings need at least one")
    cuts = epochs.loc[epochs["step_cut"].astype(bool), "epoch"]
    cut = int(cuts.min()) if len(cuts) else None
    top = _of(statistics, *TOP, "target")
    open_closed = top[top["word_class"].isin(["open", "closed"])]
    options: dict[str, Any] = {"n_boot": n_boot, "seed": seed}
    by = ["epoch", "layer", "signal", "role"]
    return {
        method: Evidence(
            method=method,
            last=last,
            cut=cut,
            chi=correlation_replicates(statistics, by, method, **options),
            l1=correlation_replicates(top, ["epoch"], method, "l1", **options),
            classes=correlation_replicates(open_closed, ["epoch", "word_class"], method, **options),
        )
        for method in METHODS
    }


def finding_1(e: Evidence) -> Iterator[Part]:
    """rho of the top gradient with target frequency is positive, and grows over training."""
    yield _above(1, "ρ at the last epoch", e, e.rho({(e.last, *TOP, "target"): 1}), 0)
    yield _above(1, "its change since epoch 1", e, _change(e, *TOP, "target"), 0)


def finding_2(e: Evidence) -> Iterator[Part]:
    """No other signal's rho with target frequency is strong and growing; h² is not concentrated."""
    others = [pair for pair in ACTIVATIONS + GRADIENTS if pair != TOP]
    found, outcomes = [], []
    for pair in others:
        rho = e.rho({(e.last, *pair, "target"): 1})
        grown = _change(e, *pair, "target")
        strong, growing = side(rho, STRONG), side(grown, 0)
        found.append(rho)
        outcomes.append({"yes": "no", "no": "yes"}.get(every([strong, growing]), "unsure"))
    largest = max(found, key=lambda interval: interval[0])
    yield _part(2, "largest ρ of another signal, last epoch", e, largest, every(outcomes))
    dispersed = e.rho({(e.last, "lstm2", "activation", "target"): 1})
    yield _below(2, "ρ of h² activations, last epoch", e, dispersed, SLIGHT)


def finding_3(e: Evidence) -> Iterator[Part]:
    """rho with input frequency: h¹ rises fast, then slowly, and h^e overtakes it."""
    lower = ("lstm1", "activation", "input")
    bottom = ("embedding", "activation", "input")
    end = e.rho({(e.last, *bottom): 1, (e.last, *lower): -1})
    begin = e.rho({(1, *lower): 1, (1, *bottom): -1})
    overtakes = every([side(end, 0), side(begin, 0)])
    yield _part(
        3, "ρ of hᵉ less ρ of h¹, last epoch (and the reverse at epoch 1)", e, end, overtakes
    )
    yield _above(3, "ρ of h¹ at epoch 1", e, e.rho({(1, *lower): 1}), 0)
    slower = UNKNOWN
    if e.last >= 2:  # [rho(M) - rho(0)] / M - [rho(E) - rho(M)] / (E - M), per epoch
        m, rest = e.middle, e.last - e.middle
        slower = e.rho(
            {(m, *lower): 1 / m + 1 / rest, (0, *lower): -1 / m, (e.last, *lower): -1 / rest}
        )
    yield _above(3, "gain of h¹ per epoch: first half of training less second", e, slower, 0)


def finding_4(e: Evidence) -> Iterator[Part]:
    """No gradient's rho with input frequency is ever more than slight."""
    rhos = [
        e.rho({(epoch, *pair, "input"): 1}) for pair in GRADIENTS for epoch in range(1, e.last + 1)
    ]
    outcomes = [within(rho, SLIGHT) for rho in rhos]
    largest = max(rhos, key=lambda interval: abs(interval[0]))
    yield _part(4, "ρ furthest from 0, any gradient, any epoch", e, largest, every(outcomes))


def finding_5(e: Evidence) -> Iterator[Part]:
    """After the first learning-rate decay, rho of activations with input frequency turns upward."""
    steeper, after = UNKNOWN, UNKNOWN
    if e.cut is not None and e.cut >= 2 and e.last >= e.cut + 2:
        before = _slope(range(max(1, e.cut - WINDOW), e.cut + 1))
        since = _slope(range(e.cut, min(e.last, e.cut + WINDOW) + 1))
        after = e.rho(_over_activations(since))
        both = {epoch: since.get(epoch, 0) - before.get(epoch, 0) for epoch in before | since}
        steeper = e.rho(_over_activations(both))
    yield _above(5, "slope of ρ after the first step cut less slope before", e, steeper, 0)
    yield _above(5, "slope of ρ after the first step cut", e, after, 0)


def finding_6(e: Evidence) -> Iterator[Part]:
    """Closed classes: correlated early, then stable; open classes go on rising."""
    later = UNKNOWN
    gain = {"open": UNKNOWN}
    if e.last >= 2:
        ends = {(e.last, "open"): 1.0, (e.middle, "open"): -1.0}
        gain["open"] = e.classes.contrast(ends)
        later = e.classes.contrast(ends | {(e.last, "closed"): -1.0, (e.middle, "closed"): 1.0})
    early = e.classes.contrast({(1, "closed"): 1.0, (1, "open"): -1.0})
    yield _above(6, "gain in the second half of training: open less closed", e, later, 0)
    yield _above(6, "ρ at epoch 1: closed less open", e, early, 0)
    yield _above(6, "gain in the second half of training: open", e, gain["open"], 0)


def finding_7(top: pd.DataFrame, words: pd.DataFrame, **options: Any) -> Iterator[Part]:
    """Function words' top gradients are more concentrated, in samples matched in frequency too."""
    seen = top.loc[top["chi"].notna() & ~top["word"].isin(EXCLUDED), "word"]
    known = words[words["word"].isin(seen)]
    sizes = known["word_class"].value_counts()
    size = int(min(MATCHED, sizes.get("open", 0), sizes.get("closed", 0)))
    matched = everyone = UNKNOWN
    if size >= 10:
        sample = matched_samples(known, size)
        matched = _difference(top[top["word"].isin(sample["word"])], **options)
        everyone = _difference(top, **options)
    name = f"mean χ: closed less open, {size} + {size} matched words"
    yield Part(7, name, "mean", *matched, outcome=side(matched, 0))
    name = "mean χ: closed less open, all words"
    yield Part(7, name, "mean", *everyone, outcome=side(everyone, 0))


def finding_8(e: Evidence) -> Iterator[Part]:
    """l1 of the top gradient is at most slightly anti-correlated; softmax chi is no match."""
    rhos = [e.l1.contrast({(epoch,): 1.0}) for epoch in range(1, e.last + 1)]
    lowest = min(rhos, key=lambda interval: interval[0])
    outcome = every([side(rho, -SLIGHT) for rho in rhos])
    yield _part(8, "lowest ρ of ℓ1, any epoch", e, lowest, outcome)
    softmax = ("softmax", "gradient", "target")
    gap = e.rho({(e.last, *TOP, "target"): 1, (e.last, *softmax): -1})
    weak = flip(side(e.rho({(e.last, *softmax): 1}), STRONG))
    both = every([side(gap, 0), weak])
    yield _part(8, "ρ of h² gradient less ρ of softmax gradient, last epoch", e, gap, both)


RULES: tuple[Callable[[Evidence], Iterator[Part]], ...] = (
    finding_1,
    finding_2,
    finding_3,
    finding_4,
    finding_5,
    finding_6,
    finding_8,
)


def over_runs(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Parts of several seeds as one: mean value, widest interval, outcome where unanimous."""
    if not tables:
        raise InputError("findings of at least one run are needed")
    everything = pd.concat(tables, ignore_index=True)
    keys = ["finding", "part", "method"]
    grouped = everything.groupby(keys, sort=False)
    merged = grouped.agg(
        value=("value", "mean"),
        low=("low", "min"),
        high=("high", "max"),
        outcome=("outcome", lambda o: o.iloc[0] if o.nunique() == 1 else "unsure"),
        seeds=("value", "size"),
    )
    return merged.reset_index().sort_values("finding", kind="stable", ignore_index=True)


def _of(table: pd.DataFrame, layer: str, signal: str, role: str) -> pd.DataFrame:
    return table[(table["layer"] == layer) & (table["signal"] == signal) & (table["role"] == role)]


def _change(e: Evidence, layer: str, signal: str, role: str) -> Interval:
    """rho at E less rho at 1."""
    if e.last < 2:
        return UNKNOWN
    return e.rho({(e.last, layer, signal, role): 1, (1, layer, signal, role): -1})


def _slope(epochs: range) -> dict[int, float]:
    """Coefficients of the least-squares slope over these epochs."""
    x = np.array(epochs, dtype=float)
    centred = x - x.mean()
    return dict(zip(epochs, (centred / (centred @ centred)).tolist(), strict=True))


def _over_activations(slope: dict[int, float]) -> dict[tuple[int, str, str, str], float]:
    return {
        (epoch, *pair, "input"): coefficient / len(ACTIVATIONS)
        for epoch, coefficient in slope.items()
        for pair in ACTIVATIONS
    }


def _difference(table: pd.DataFrame, **options: Any) -> Interval:
    row = mean_difference(table, "closed", "open", by=[], **options).iloc[0]
    return float(row["difference"]), float(row["low"]), float(row["high"])


def _above(finding: int, part: str, e: Evidence, interval: Interval, threshold: float) -> Part:
    return _part(finding, part, e, interval, side(interval, threshold))


def _below(finding: int, part: str, e: Evidence, interval: Interval, threshold: float) -> Part:
    return _part(finding, part, e, interval, flip(side(interval, threshold)))


def _part(finding: int, part: str, e: Evidence, interval: Interval, outcome: str) -> Part:
    return Part(finding, part, e.method, *interval, outcome=outcome)
