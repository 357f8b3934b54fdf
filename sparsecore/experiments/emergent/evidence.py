"""What the second rule looks at of one run: correlations and differences, with their resamples.

Resample r of the words is the same in every seed of a configuration, whose words are the same, so
that :mod:`sparsecore.experiments.emergent.judging` can put seeds together word by word.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from sparsecore.experiments.emergent.findings import METHODS, TOP, Evidence, evidence_of
from sparsecore.measure.words import matched_samples
from sparsecore.stats.bootstrap import Floats
from sparsecore.stats.correlation import Replicates, correlation_replicates
from sparsecore.stats.groups import difference_replicates
from sparsecore.stats.tables import EXCLUDED

EXPOSURE = 3_000  # occurrences × epochs
OFTEN = 1_000  # occurrences, Fig. 5
MATCHED = 120

Estimate = tuple[float, Floats]  # of one run: the statistic, and in each resample of the words


@dataclass(frozen=True)
class Seed:
    """What the rules look at of one run."""

    everything: dict[str, Evidence]  # by method
    exposed: dict[str, Replicates] = field(default_factory=dict)  # W, by epoch
    classes: dict[str, Replicates] = field(default_factory=dict)  # W, by epoch and class
    differences: dict[str, Estimate] = field(default_factory=dict)  # mean chi, closed less open
    counts: dict[str, int] = field(default_factory=dict)  # words of each set

    @property
    def last(self) -> int:
        """E."""
        return self.everything[METHODS[0]].last

    @property
    def cut(self) -> int | None:
        """The first epoch at whose end the learning rate was cut."""
        return self.everything[METHODS[0]].cut


def seed_of(
    statistics: pd.DataFrame, words: pd.DataFrame, epochs: pd.DataFrame, *, n_boot: int = 1000
) -> Seed:
    """One run's statistics of all epochs (as :func:`.findings.findings`), ready for the rules."""
    everything = evidence_of(statistics, epochs, n_boot=n_boot)
    last = everything[METHODS[0]].last
    known = words[~words["word"].isin(EXCLUDED)]
    exposed = known[known["frequency"] * last >= EXPOSURE]
    often = known[known["frequency"] > OFTEN]
    counts = {"exposed": len(exposed)}
    for name, chosen in (("exposed", exposed), ("often", often)):
        sizes = chosen["word_class"].value_counts()
        counts |= {f"{name} {c}": int(sizes.get(c, 0)) for c in ("open", "closed")}
    layer, signal = TOP
    top = statistics[
        (statistics["layer"] == layer)
        & (statistics["signal"] == signal)
        & (statistics["role"] == "target")
    ]
    of_exposed = top[top["word"].isin(exposed["word"])]
    of_classes = of_exposed[of_exposed["word_class"].isin(["open", "closed"])]
    by_word: dict[str, Replicates] = {}
    by_class: dict[str, Replicates] = {}
    for method in METHODS:
        if counts["exposed"] >= 3:
            by_word[method] = correlation_replicates(of_exposed, ["epoch"], method, n_boot=n_boot)
        if min(counts["exposed open"], counts["exposed closed"]) >= 3:
            by_class[method] = correlation_replicates(
                of_classes, ["epoch", "word_class"], method, n_boot=n_boot
            )
    end = top[top["epoch"] == last]
    return Seed(everything, by_word, by_class, _differences(end, exposed, often, n_boot), counts)


def _differences(
    end: pd.DataFrame, exposed: pd.DataFrame, often: pd.DataFrame, n_boot: int
) -> dict[str, Estimate]:
    """Mean chi of closed less open words at the last epoch, over each set that has both."""
    found = {}
    sizes = exposed["word_class"].value_counts()
    size = int(min(MATCHED, sizes.get("open", 0), sizes.get("closed", 0)))
    matched = matched_samples(exposed, size) if size >= 10 else exposed.iloc[:0]
    sets: dict[str, tuple[pd.Series, str | None]] = {
        "often": (often["word"], None),
        "exposed": (exposed["word"], "log_frequency"),
        "matched": (matched["word"], None),
        "all": (end["word"], None),
    }
    for name, (words, given) in sets.items():
        chosen = end[end["word"].isin(words) & end["chi"].notna()]
        if (chosen["word_class"].value_counts().reindex(["open", "closed"]) >= 2).all():
            found[name] = difference_replicates(chosen, given=given, n_boot=n_boot)
    return found
