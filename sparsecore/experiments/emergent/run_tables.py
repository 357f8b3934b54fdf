"""The tables behind the figures, from the per-word statistics of one run.

Each function takes the statistics of some or all epochs of one run (``Run.statistics()``) and gives
a small tidy table; :mod:`sparsecore.experiments.emergent.tables` joins those of several seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sparsecore.errors import InputError
from sparsecore.experiments.emergent.evidence import EXPOSURE, OFTEN, TOP, matched_words, rows_of
from sparsecore.stats.correlation import DEFAULT_METHODS, frequency_correlation
from sparsecore.stats.groups import group_means, mean_difference
from sparsecore.stats.influence import without_most_frequent
from sparsecore.stats.tables import EXCLUDED

CHI_METHODS = (*DEFAULT_METHODS, "partial_class_length")  # statistics keep no surprisal
L1_METHODS = ("pearson", "spearman", "pearson_log")
CLASS_METHODS = ("pearson", "pearson_log")
LEFT_OUT = (0, 3, 10, 20, 30, 50, 100)  # the most frequent words, of those of large exposure
FEWEST = 3  # words for a correlation


def top_gradient(statistics: pd.DataFrame) -> pd.DataFrame:
    """Rows of the h² gradient with words as targets, without <unk> and <eos>."""
    top = rows_of(statistics, *TOP, "target")
    return top[~top["word"].isin(EXCLUDED)]


def correlation_table(statistics: pd.DataFrame, n_boot: int = 1000) -> pd.DataFrame:
    """rho of chi for every epoch, layer, signal and role, by all methods; of l1 for gradients."""
    gradients = statistics[statistics["signal"] == "gradient"]
    by = ["epoch", "layer", "signal", "role"]
    return pd.concat(
        [
            frequency_correlation(statistics, by, CHI_METHODS, n_boot=n_boot),
            frequency_correlation(gradients, by, L1_METHODS, "l1", n_boot=n_boot),
        ],
        ignore_index=True,
    ).drop(columns="p_permutation")


def class_table(statistics: pd.DataFrame, words: pd.DataFrame, n_boot: int = 1000) -> pd.DataFrame:
    """Fig. 4: for open and closed classes and the matched samples, rho and mean chi by epoch.

    Of the h² gradient with words as targets. Columns: epoch, group (open | closed | matched open |
    matched closed), method, rho, low, high, chi, chi_low, chi_high, words, mean_frequency.
    """
    groups = _grouped(top_gradient(statistics), words)
    if groups.empty:
        raise InputError("no open- or closed-class words in the run: was its text tagged?")
    by = ["epoch", "group"]
    rho = frequency_correlation(groups.drop(columns="word_class"), by, CLASS_METHODS, n_boot=n_boot)
    rho = rho[[*by, "method", "rho", "low", "high", "words"]]
    means = group_means(groups, by, n_boot=n_boot)
    means = means.rename(columns={"mean": "chi", "low": "chi_low", "high": "chi_high"})
    frequency = groups.groupby(by, observed=True)["frequency"].mean().rename("mean_frequency")
    means = means.merge(frequency.reset_index(), on=by).drop(columns=["value", "words"])
    return rho.merge(means, on=by)


def difference_table(
    statistics: pd.DataFrame, words: pd.DataFrame, n_boot: int = 1000
) -> pd.DataFrame:
    """Mean chi of closed minus open words by epoch, for all words and for the matched samples.

    Columns: epoch, sample (all | matched), mean_a (closed), mean_b (open), difference, low, high,
    words_a, words_b; adjusted, adjusted_low, adjusted_high: the difference at equal log frequency.
    """
    groups = _grouped(top_gradient(statistics), words)
    matched = groups["group"].str.startswith("matched")
    groups = groups.assign(sample=np.where(matched, "matched", "all"))
    by = ["epoch", "sample"]
    plain = mean_difference(groups, by=by, n_boot=n_boot).drop(columns=["value", "a", "b"])
    adjusted = mean_difference(groups, by=by, given="log_frequency", n_boot=n_boot)
    adjusted = adjusted[[*by, "difference", "low", "high"]].rename(
        columns={"difference": "adjusted", "low": "adjusted_low", "high": "adjusted_high"}
    )
    return plain.merge(adjusted, on=by)


def exposure_table(statistics: pd.DataFrame) -> pd.DataFrame:
    """Fig. 2: mean chi of the h² gradient for every target word by epoch, most frequent first."""
    table = top_gradient(statistics)[["word", "frequency", "epoch", "chi"]]
    return table.sort_values(["frequency", "word", "epoch"], ascending=[False, True, True])


def exposed_table(statistics: pd.DataFrame, words: pd.DataFrame, epochs: int) -> pd.DataFrame:
    """Mean chi of the h² gradient in every epoch, for words of large exposure or frequency.

    The words of the rules (:mod:`sparsecore.experiments.emergent.findings`), which can be
    decided anew from this table. Columns: epoch, word, frequency, word_class, chi.
    """
    known = words[(words["frequency"] * epochs >= EXPOSURE) | (words["frequency"] > OFTEN)]
    top = top_gradient(statistics)
    table = top.loc[top["word"].isin(known["word"])]
    return table[["epoch", "word", "frequency", "word_class", "chi"]]


def trajectory_table(
    statistics: pd.DataFrame, words: pd.DataFrame, count: int = 300
) -> pd.DataFrame:
    """Chi of every signal in one epoch, for the most frequent words and the matched samples.

    Columns: word, frequency, word_class, sample (in a matched sample), epoch,
    chi_LAYER_SIGNAL_ROLE …
    """
    table = _wide(statistics)
    sample = table["word"].isin(matched_words(words)["word"])
    chosen = table[sample | (table.index < count)].assign(sample=sample)
    chosen.insert(4, "epoch", int(statistics["epoch"].iloc[0]))
    front = ["word", "frequency", "word_class", "sample", "epoch"]
    return chosen[[*front, *(name for name in chosen.columns if name.startswith("chi_"))]]


def word_table(statistics: pd.DataFrame) -> pd.DataFrame:
    """One row a word, most frequent first: chi of every signal, and l1 of the h² gradient.

    ``statistics``: of one epoch. Columns: word, frequency, pos, word_class,
    chi_LAYER_SIGNAL_ROLE …, l1_lstm2_gradient_target.
    """
    l1 = top_gradient(statistics).set_index("word")["l1"].rename("l1_lstm2_gradient_target")
    return _wide(statistics).join(l1, on="word")


def _wide(statistics: pd.DataFrame) -> pd.DataFrame:
    """One row a word of one epoch, most frequent first, with a column of chi for each signal."""
    chosen = statistics[~statistics["word"].isin(EXCLUDED)]
    what = ["layer", "signal", "role"]
    wide = chosen.pivot(index="word_id", columns=what, values="chi")
    wide.columns = ["_".join(["chi", *map(str, column)]) for column in wide.columns]
    described = chosen.drop_duplicates("word_id").set_index("word_id")
    described = described[["word", "frequency", "pos", "word_class"]]
    table = described.join(wide)
    return table.sort_values(["frequency", "word"], ascending=[False, True]).reset_index(drop=True)


def influence_table(statistics: pd.DataFrame) -> pd.DataFrame:
    """Pearson's rho of the h² gradient without the most frequent words, from one epoch."""
    return without_most_frequent(top_gradient(statistics), by=[])


def without_table(exposed: pd.DataFrame) -> pd.DataFrame:
    """Rho of :func:`exposed_table`'s words without the most frequent, after every trained epoch.

    Columns as :func:`~sparsecore.stats.influence.without_most_frequent` by epoch, and method;
    without rows where there are hardly any such words.
    """
    trained = exposed[(exposed["epoch"] > 0) & ~exposed["word"].isin(EXCLUDED)]
    if trained["word"].nunique() < FEWEST:
        columns = ["epoch", "dropped", "rho", "words", "frequency_share", "method"]
        return pd.DataFrame(columns=pd.Index(columns))
    parts = [
        without_most_frequent(trained, LEFT_OUT, ["epoch"], log_frequency=on_log).assign(method=m)
        for m, on_log in (("pearson", False), ("pearson_log", True))
    ]
    return pd.concat(parts, ignore_index=True)


def _grouped(top: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """Rows with a ``group``: each word of a class, and again where it is in a matched sample."""
    classes = top[top["word_class"].isin(["open", "closed"])]
    matched = classes[classes["word"].isin(matched_words(words)["word"])]
    groups: Any = pd.concat(
        [
            classes.assign(group=classes["word_class"].astype(str)),
            matched.assign(group="matched " + matched["word_class"].astype(str)),
        ],
        ignore_index=True,
    )
    return groups
