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

A run's statistics are too many to stack, so they are read run by run and epoch by epoch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sparsecore.errors import InputError
from sparsecore.experiments.emergent.evidence import (
    EXPOSURE,
    OFTEN,
    RunEvidence,
    evidence_of,
    matched_words,
    scale_table,
    top_rows,
)
from sparsecore.experiments.emergent.findings import decide
from sparsecore.stats.correlation import (
    DEFAULT_METHODS,
    correlation_replicates,
    frequency_correlation,
)
from sparsecore.stats.groups import group_means, mean_difference
from sparsecore.stats.influence import without_most_frequent
from sparsecore.stats.tables import EXCLUDED, FEWEST, Summary
from sparsecore.stats.two_level import LEAST_SEEDS, interval_of
from sparsecore.training.run_folder import Run

CHI_METHODS = (*DEFAULT_METHODS, "partial_class_length")  # statistics keep no surprisal
L1_METHODS = ("pearson", "spearman", "pearson_log")
CLASS_METHODS = ("pearson", "pearson_log")
LEFT_OUT = (0, 3, 10, 20, 30, 50, 100)  # the most frequent words, of those of large exposure
PARQUET = ("correlations", "classes", "exposure", "trajectories", "words")
TRAJECTORIES = 300  # of the most frequent words
COMMONEST = 20  # left out of ``left_out``
DIGITS = 4  # kept of chi, rho and their intervals


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
    return {name: _compact(table, name) for name, table in tables.items()}


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


def left_out_table(exposed: pd.DataFrame, n_boot: int = 1000) -> pd.DataFrame:
    """Rho over the words of ``exposed``, with and without the twenty commonest, in every epoch.

    On raw and on log frequency and in ranks, each with its interval over seeds and words, and its
    change since the first epoch. No rows for fewer than three seeds, or hardly any words.
    """
    trained = exposed[(exposed["epoch"] > 0) & ~exposed["word"].isin(EXCLUDED)]
    common = trained.drop_duplicates("word").nlargest(COMMONEST, "frequency")["word"]
    rows = []
    if trained["seed"].nunique() >= LEAST_SEEDS and trained["word"].nunique() >= FEWEST:
        for dropped, words in ((0, trained), (COMMONEST, trained[~trained["word"].isin(common)])):
            for method in ("pearson", "pearson_log", "spearman"):
                rhos = [
                    correlation_replicates(one, ["epoch"], method, n_boot=n_boot)
                    for _, one in words.groupby("seed")
                ]
                for epoch in sorted(trained["epoch"].unique()):
                    terms = {"rho": {(epoch,): 1.0}}
                    if epoch > 1:
                        terms["change since epoch 1"] = {(epoch,): 1.0, (1,): -1.0}
                    for statistic, contrast in terms.items():
                        interval = interval_of([rho.combined(contrast) for rho in rhos])
                        rows.append((int(epoch), method, dropped, statistic, *interval))
    columns = ["epoch", "method", "dropped", "statistic", "value", "low", "high"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


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


def _compact(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Few decimals, 32-bit numbers, categories: small files, and nothing a figure would miss."""
    table = table.copy()
    for column in table.columns:
        if pd.api.types.is_float_dtype(table[column]):
            digits = 6 if name in ("epochs", "verdicts") else DIGITS
            table[column] = table[column].round(digits)
            if name in PARQUET:
                table[column] = table[column].astype("float32")
        elif name in PARQUET and pd.api.types.is_integer_dtype(table[column]):
            table[column] = table[column].astype("int32")
        elif column not in ("word", "step_cut") and not pd.api.types.is_numeric_dtype(
            table[column]
        ):
            table[column] = table[column].astype("str")
    return table
