"""The small tables of the emergent part's runs (seeds of one configuration).

    epochs        seed, epoch, train_loss, valid_loss, valid_perplexity, learning_rate, step_cut
    correlations  seed, epoch, layer, signal, role, value, method, rho, low, high, words
    classes       seed, epoch, group, method, rho, low, high, words, chi, chi_low, chi_high, …
    differences   seed, epoch, sample, mean_a, mean_b, difference, low, high, adjusted, …
    exposure      word, frequency, epoch, chi of the h² gradient (mean over seeds)
    trajectories  word, frequency, word_class, sample, epoch, chi of each signal (mean over seeds)
    words         word, frequency, pos, word_class, chi of each signal (last epoch, mean over seeds)
    influence     seed, dropped, rho, words, frequency_share
    verdicts      the parts of the findings, see :mod:`sparsecore.stats.judgement`
    exposed       seed, epoch, word, frequency, word_class, chi of the h² gradient: words whose
                  exposure is large, from which the verdicts can be recomputed
    without       seed, epoch, method, dropped, rho, words, frequency_share: the same words without
                  the most frequent of them
    left_out      epoch, method, dropped, statistic (rho, or its change since epoch 1), value, low,
                  high: of ``exposed``, over seeds and words; not part of any rule
    scale         seed, finding, statistic, epoch, updates, exposure, method, value, low, high

A run's statistics are too many to stack, so they are read run by run and epoch by epoch. A finding
of a small run may be one of its size: ``scale`` has each statistic over updates and over cumulative
exposure; the paper's place on these axes is :data:`~sparsecore.experiments.emergent.config.PAPER`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sparsecore.errors import InputError
from sparsecore.experiments.emergent.findings import (
    EXPOSURE,
    METHODS,
    OFTEN,
    OTHERS,
    RunEvidence,
    decide,
    evidence_of,
    top_rows,
    word_sets,
)
from sparsecore.measure.words import matched_words
from sparsecore.stats.correlation import (
    DEFAULT_METHODS,
    correlation_replicates,
    frequency_correlation,
)
from sparsecore.stats.groups import group_means, mean_difference
from sparsecore.stats.influence import left_out_table, without_most_frequent, without_table
from sparsecore.stats.tables import EXCLUDED, Summary, rounded
from sparsecore.training.run_folder import Run

CHI_METHODS = (*DEFAULT_METHODS, "partial_class_length")  # statistics keep no surprisal
L1_METHODS = ("pearson", "spearman", "pearson_log")
CLASS_METHODS = ("pearson", "pearson_log")
PARQUET = ("correlations", "classes", "exposure", "trajectories", "words")
TRAJECTORIES = 300  # of the most frequent words
SCALE = ["finding", "statistic", "epoch", "updates", "exposure", "method", "value", "low", "high"]
DIGITS = 4  # kept of chi, rho and their intervals

Row = tuple[int, str, int, str, float, float, float]  # finding … method, value, low, high


def tables_of_runs(runs: Sequence[Run], n_boot: int = 1000) -> Summary:
    """The summary of finished runs (seeds of one configuration), in memory."""
    found = [_tables_of_run(run, n_boot) for run in runs]
    parts, evidence = [part for part, _ in found], [seed for _, seed in found]
    tables: Summary = {}
    for name in (
        "epochs",
        "correlations",
        "classes",
        "differences",
        "influence",
        "exposed",
        "without",
        "scale",
    ):
        stacked = [
            part[name].assign(seed=int(run.config["seed"]))
            for run, part in zip(runs, parts, strict=True)
        ]
        table = pd.concat(stacked, ignore_index=True)
        table.insert(0, "seed", table.pop("seed"))
        tables[name] = table.sort_values("seed", kind="stable", ignore_index=True)
    for name, keys in (
        ("exposure", ["word", "frequency", "epoch"]),
        ("trajectories", ["word", "frequency", "word_class", "sample", "epoch"]),
        ("words", ["word", "frequency", "pos", "word_class"]),
    ):
        stacked = pd.concat([part[name] for part in parts], ignore_index=True)
        tables[name] = stacked.groupby(keys, sort=False, as_index=False).mean()
    tables["left_out"] = left_out_table(tables["exposed"], n_boot)
    tables["verdicts"] = decide(evidence)
    return {
        name: rounded(table, 6 if name in ("epochs", "verdicts") else DIGITS, name in PARQUET)
        for name, table in tables.items()
    }


def _tables_of_run(run: Run, n_boot: int) -> tuple[Summary, RunEvidence]:
    last = int(run.epochs["epoch"].max())
    epochs = [run.statistics([epoch]) for epoch in range(last + 1)]  # one at a time: less memory
    by_epoch = [
        {
            "correlations": correlation_table(part, n_boot),
            "classes": class_table(part, run.words, n_boot),
            "differences": difference_table(part, run.words, n_boot),
            "exposure": exposure_table(part),
            "trajectories": trajectory_table(part, run.words),
        }
        for part in epochs
    ]
    tables = {
        name: pd.concat([part[name] for part in by_epoch], ignore_index=True)
        for name in by_epoch[0]
    }
    everything = pd.concat(epochs, ignore_index=True)
    seed = evidence_of(everything, run.words, run.epochs, n_boot=n_boot)
    exposed = exposed_table(everything, run.words, last)
    summary = {
        **tables,
        "epochs": run.epochs,
        "words": word_table(epochs[-1]),
        "influence": influence_table(epochs[-1]),
        "exposed": exposed,
        "without": without_table(exposed),
        "scale": scale_table(
            run.part_statistics() if run.has_parts else everything,
            run.words,
            updates_an_epoch(run),
            n_boot,
        ),
    }
    return summary, seed


def updates_an_epoch(run: Run) -> int:
    """How many windows one pass over the training text has."""
    batch, length = int(run.config["batch_size"]), int(run.config["sequence_length"])
    positions = int(run.timing["tokens"].iloc[-1])
    return math.ceil(positions / batch / length)


def top_gradient(statistics: pd.DataFrame) -> pd.DataFrame:
    """Rows of the h² gradient with words as targets, without <unk> and <eos>."""
    top = top_rows(statistics)
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


def trajectory_table(statistics: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """Chi of every signal in one epoch, for the 300 most frequent words and the matched samples.

    Columns: word, frequency, word_class, sample (in a matched sample), epoch,
    chi_LAYER_SIGNAL_ROLE …
    """
    table = _wide(statistics)
    sample = table["word"].isin(matched_words(words)["word"])
    chosen = table[sample | (table.index < TRAJECTORIES)].assign(sample=sample)
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


def scale_table(
    statistics: pd.DataFrame, words: pd.DataFrame, updates_an_epoch: int, n_boot: int = 1000
) -> pd.DataFrame:
    """One row a statistic, method and moment of one run.

    Args:
        statistics: as ``Run.statistics()`` gives them, of whole epochs; or of parts of epochs, with
            a column ``updates``, the number of updates up to the end of the part.
        words: word, frequency, word_class of every word.
        updates_an_epoch: how many make one pass over the text.
        n_boot: resamples of the words for the intervals.

    Returns:
        pandas.DataFrame: finding (1, 2, 3, 6, 7), statistic, epoch (a fraction within epochs),
        updates, exposure (occurrences of the median word of W so far), method, value, low, high
        (95 % over words). W, the words whose exposure in the end is at least 3,000, is the same at
        every moment.
    """
    table = statistics
    if "updates" not in table.columns:
        table = table.assign(updates=table["epoch"] * updates_an_epoch)
    passes = table["updates"].max() / updates_an_epoch
    exposed, often = word_sets(words, passes)
    rows = [
        *_correlations_by_scale(table, exposed, n_boot),
        *_differences_by_scale(table, exposed, often, n_boot),
    ]
    if not rows:
        return pd.DataFrame(columns=pd.Index(SCALE))
    columns = ["finding", "statistic", "updates", "method", "value", "low", "high"]
    curves = pd.DataFrame(rows, columns=pd.Index(columns))
    epoch = curves["updates"] / updates_an_epoch
    median = float(exposed["frequency"].median()) if len(exposed) else float("nan")
    curves = curves.assign(epoch=epoch, exposure=epoch * median)
    keys = ["finding", "statistic", "method", "updates"]
    return curves[SCALE].sort_values(keys, kind="stable", ignore_index=True)


def _correlations_by_scale(
    table: pd.DataFrame, exposed: pd.DataFrame, n_boot: int
) -> Iterator[Row]:
    moments = sorted(table["updates"].unique())
    top = top_rows(table)
    over_w = top[top["word"].isin(exposed["word"])]
    for method in METHODS:
        every = ["updates", "layer", "signal", "role"]
        chi = correlation_replicates(table, every, method, n_boot=n_boot)
        for now in moments:
            signals = [chi.contrast({(now, *pair, "target"): 1}) for pair in OTHERS]
            largest = max(signals, key=lambda interval: interval[0])
            yield 2, "largest ρ of another signal", int(now), method, *largest
            bottom, lower = ("embedding", "activation", "input"), ("lstm1", "activation", "input")
            ahead = chi.contrast({(now, *bottom): 1, (now, *lower): -1})
            yield 3, "ρ of hᵉ minus ρ of h¹, input words", int(now), method, *ahead
        yield from _over(over_w, 1, "ρ over W", moments, method, n_boot)
        for word_class in ("open", "closed"):
            chosen = over_w[over_w["word_class"] == word_class]
            name = f"ρ over the {word_class} classes of W"
            yield from _over(chosen, 6, name, moments, method, n_boot)


def _over(
    chosen: pd.DataFrame, finding: int, name: str, moments: list[Any], method: str, n_boot: int
) -> Iterator[Row]:
    """rho of the top gradient over some words, where there are enough of them."""
    if chosen["word"].nunique() < 3:
        return
    found = correlation_replicates(chosen, ["updates"], method, n_boot=n_boot)
    for now in moments:
        yield finding, name, int(now), method, *found.contrast({(now,): 1})


def _differences_by_scale(
    table: pd.DataFrame, exposed: pd.DataFrame, often: pd.DataFrame, n_boot: int
) -> Iterator[Row]:
    top = top_rows(table)
    sets = {
        "mean χ, closed minus open, words seen more than 1,000 times": (often, None),
        "mean χ, closed minus open, W, at equal log frequency": (exposed, "log_frequency"),
    }
    for name, (words, given) in sets.items():
        chosen = top[top["word"].isin(words["word"])]
        sizes = words["word_class"].value_counts()
        if min(sizes.get("open", 0), sizes.get("closed", 0)) < 2:
            continue
        found = mean_difference(chosen, by=["updates"], given=given, n_boot=n_boot)
        for row in found.to_dict("records"):
            interval = (row["difference"], row["low"], row["high"])
            yield 7, name, int(row["updates"]), "mean", *interval
