"""What the rules look at of one run: correlations and differences, with their resamples.

Resample r of the words is the same in every seed of a configuration, whose words are the same, so
that :mod:`sparsecore.experiments.emergent.findings` can put seeds together word by word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.measure.words import matched_samples
from sparsecore.stats.bootstrap import Floats
from sparsecore.stats.correlation import Replicates, correlation_replicates
from sparsecore.stats.groups import difference_replicates
from sparsecore.stats.tables import EXCLUDED

EXPOSURE = 3_000  # occurrences × epochs
OFTEN = 1_000  # occurrences, Fig. 5
MATCHED = 120  # words of each class in the paper's samples
METHODS = ("pearson", "pearson_log")

ACTIVATIONS = [("embedding", "activation"), ("lstm1", "activation"), ("lstm2", "activation")]
GRADIENTS = [
    ("embedding", "gradient"),
    ("lstm1", "gradient"),
    ("lstm2", "gradient"),
    ("softmax", "gradient"),
]
TOP = ("lstm2", "gradient")

Estimate = tuple[float, Floats]  # of one run: the statistic, and in each resample of the words


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
    top = rows_of(statistics, *TOP, "target")
    of_classes = top[top["word_class"].isin(["open", "closed"])]
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
        counts |= {f"{name} {c}": int(sizes.get(c, 0)) for c in ("open", "closed")}
    return counts


def rows_of(table: pd.DataFrame, layer: str, signal: str, role: str) -> pd.DataFrame:
    """The rows of one layer, signal and role."""
    return table[(table["layer"] == layer) & (table["signal"] == signal) & (table["role"] == role)]


def matched_words(words: pd.DataFrame) -> pd.DataFrame:
    """The paper's samples of equally frequent open and closed words, smaller where words lack.

    Columns as :func:`~sparsecore.measure.words.matched_samples`; no rows where a class has fewer
    than 10 words.
    """
    known = words[~words["word"].isin(EXCLUDED)]
    counts = known.loc[known["frequency"] > 0, "word_class"].value_counts()
    size = int(min(MATCHED, counts.get("open", 0), counts.get("closed", 0)))
    if size < 10:
        return known.iloc[:0][["word", "word_class", "frequency"]]
    return matched_samples(known, size)


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
        if (chosen["word_class"].value_counts().reindex(["open", "closed"]) >= 2).all():
            found[name] = difference_replicates(chosen, given=given, n_boot=n_boot)
    return found
