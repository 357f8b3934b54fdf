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

import numpy as np
import pandas as pd

from sparsecore.experiments.emergent import run_tables as per_run
from sparsecore.experiments.emergent.evidence import Seed, seed_of
from sparsecore.experiments.emergent.findings import parts_of_seeds
from sparsecore.experiments.emergent.scale import scale_table
from sparsecore.stats.correlation import correlation_replicates
from sparsecore.stats.tables import EXCLUDED, Summary
from sparsecore.stats.two_level import LEAST_SEEDS, two_level_interval
from sparsecore.training.run_folder import Run

PARQUET = ("correlations", "classes", "exposure", "trajectories", "words")
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
        tables[name] = _seed_first(table).sort_values("seed", kind="stable", ignore_index=True)
    for name, keys in (
        ("exposure", ["word", "frequency", "epoch"]),
        ("trajectories", ["word", "frequency", "word_class", "sample", "epoch"]),
        ("words", ["word", "frequency", "pos", "word_class"]),
    ):
        stacked = pd.concat([part[name] for part in parts], ignore_index=True)
        tables[name] = stacked.groupby(keys, sort=False, as_index=False).mean()
    tables["left_out"] = left_out_table(tables["exposed"], n_boot)
    tables["verdicts"] = parts_of_seeds(evidence)
    return {name: _compact(table, name) for name, table in tables.items()}


def _tables_of_run(run: Run, n_boot: int) -> tuple[Summary, Seed]:
    last = int(run.epochs["epoch"].max())
    epochs = [run.statistics([epoch]) for epoch in range(last + 1)]  # one at a time: less memory
    by_epoch = [
        {
            "correlations": per_run.correlation_table(part, n_boot),
            "classes": per_run.class_table(part, run.words, n_boot),
            "differences": per_run.difference_table(part, run.words, n_boot),
            "exposure": per_run.exposure_table(part),
            "trajectories": per_run.trajectory_table(part, run.words),
        }
        for part in epochs
    ]
    tables = {
        name: pd.concat([part[name] for part in by_epoch], ignore_index=True)
        for name in by_epoch[0]
    }
    everything = pd.concat(epochs, ignore_index=True)
    seed = seed_of(everything, run.words, run.epochs, n_boot=n_boot)
    exposed = per_run.exposed_table(everything, run.words, last)
    summary = {
        **tables,
        "epochs": run.epochs,
        "words": per_run.word_table(epochs[-1]),
        "influence": per_run.influence_table(epochs[-1]),
        "exposed": exposed,
        "without": per_run.without_table(exposed),
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
    if trained["seed"].nunique() >= LEAST_SEEDS and trained["word"].nunique() >= per_run.FEWEST:
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
                        found = [rho.combined(contrast) for rho in rhos]
                        values, draws = [v for v, _ in found], np.stack([d for _, d in found])
                        interval = two_level_interval(values, draws)
                        rows.append((int(epoch), method, dropped, statistic, *interval))
    columns = ["epoch", "method", "dropped", "statistic", "value", "low", "high"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def updates_an_epoch(run: Run) -> int:
    """How many windows one pass over the training text has."""
    batch, length = int(run.config["batch_size"]), int(run.config["sequence_length"])
    positions = int(run.timing["tokens"].iloc[-1])
    return math.ceil(positions / batch / length)


def _compact(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Four decimals, 32-bit numbers, categories: small files, and nothing a figure would miss."""
    table = table.copy()
    for column in table.columns:
        if pd.api.types.is_float_dtype(table[column]):
            digits = 6 if name == "epochs" else DIGITS
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


def _seed_first(table: pd.DataFrame) -> pd.DataFrame:
    return table[["seed", *(column for column in table.columns if column != "seed")]]
