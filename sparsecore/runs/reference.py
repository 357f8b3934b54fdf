"""Small tables of finished runs: those of the book's reference runs, and of the reader's own.

A summary is a dict of tables, the same for one run or several seeds:

    epochs        seed, epoch, train_loss, valid_loss, valid_perplexity, learning_rate, step_cut
    correlations  seed, epoch, layer, signal, role, value, method, rho, low, high, words
    classes       seed, epoch, group, method, rho, low, high, words, chi, chi_low, chi_high, …
    differences   seed, epoch, sample, mean_a, mean_b, difference, low, high, adjusted, …
    exposure      word, frequency, epoch, chi of the h² gradient (mean over seeds)
    words         word, frequency, pos, word_class, chi of each signal (last epoch, mean over seeds)
    influence     seed, dropped, rho, words, frequency_share
    findings      finding, part, method, value, low, high, outcome, seeds
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sparsecore.emergent import summary
from sparsecore.emergent.findings import findings, over_runs
from sparsecore.errors import InputError
from sparsecore.files import atomic_path, write_json, write_text
from sparsecore.home import cache_dir
from sparsecore.runs.store import Run

Summary = dict[str, pd.DataFrame]

VERSION = 1  # raise when the same run would give other tables

CSV = ("epochs", "differences", "influence", "findings")
PARQUET = ("correlations", "classes", "exposure", "words")
DIGITS = 4  # kept of chi, rho and their intervals
_OWN_FIELDS = ("seed", "device", "corpus")  # of a configuration: may differ between the runs


def summarise(runs: Sequence[Run], out: Path, n_boot: int = 1000) -> None:
    """Write the summary of finished runs that differ only in their seed to the folder ``out``.

    One CSV or Parquet file a table, each written atomically, and provenance.json (corpus, settings,
    seeds, versions, device, dates). The same runs give the same bytes. Raises InputError, with
    nothing written, for no run, an unfinished run, a seed given twice, or runs that differ in more
    than their seed.
    """
    provenance = describe(runs)
    tables = tables_of(runs, n_boot)
    for name in CSV:
        write_text(out / f"{name}.csv", tables[name].to_csv(index=False, lineterminator="\n"))
    for name in PARQUET:
        with atomic_path(out / f"{name}.parquet") as temporary:
            tables[name].to_parquet(temporary, index=False, compression="zstd")
    write_json(out / "provenance.json", provenance)


def read_summary(folder: Path) -> Summary | None:
    """The tables in ``folder``; None where it does not exist. InputError if a table is missing."""
    if not folder.is_dir():
        return None
    tables: Summary = {}
    for name in (*CSV, *PARQUET):
        path = folder / (f"{name}.csv" if name in CSV else f"{name}.parquet")
        if not path.is_file():
            raise InputError(f"{folder} has no {path.name}; write it with: sparsecore reference")
        # a word may be "nan" or "null": only an empty field is missing
        tables[name] = (
            pd.read_csv(path, keep_default_na=False, na_values=[""])
            if name in CSV
            else pd.read_parquet(path)
        )
    return tables


def read_provenance(folder: Path) -> dict[str, Any] | None:
    """What is known of the runs behind a summary; None where there is none."""
    path = folder / "provenance.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def tables_of(runs: Sequence[Run], n_boot: int = 1000) -> Summary:
    """The summary of finished runs (seeds of one configuration), in memory."""
    check_runs(runs)
    parts = [_tables_of_run(run, n_boot) for run in runs]
    tables: Summary = {}
    for name in ("epochs", "correlations", "classes", "differences", "influence"):
        stacked = [
            part[name].assign(seed=_seed(run)) for run, part in zip(runs, parts, strict=True)
        ]
        table = pd.concat(stacked, ignore_index=True)
        tables[name] = _seed_first(table).sort_values("seed", kind="stable", ignore_index=True)
    for name, keys in (
        ("exposure", ["word", "frequency", "epoch"]),
        ("words", ["word", "frequency", "pos", "word_class"]),
    ):
        stacked = pd.concat([part[name] for part in parts], ignore_index=True)
        tables[name] = stacked.groupby(keys, sort=False, as_index=False).mean()
    tables["findings"] = over_runs([part["findings"] for part in parts])
    return {name: _compact(table, name) for name, table in tables.items()}


def summary_of(run: Run, n_boot: int = 300) -> Summary:
    """The summary of one finished run, made once and then read from the cache.

    The notebooks look at the reader's own run through it, so six of them pay for one.
    """
    check_runs([run])
    folder = cache_dir("summaries") / f"{run.path.name}-{n_boot}-v{VERSION}"
    if not (folder / "provenance.json").is_file():  # written last
        summarise([run], folder, n_boot)
    tables = read_summary(folder)
    assert tables is not None
    return tables


def describe(runs: Sequence[Run]) -> dict[str, Any]:
    """Provenance of runs that differ only in their seed; JSON-able, no paths."""
    check_runs(runs)
    first = runs[0]
    corpus = dict(first.environment.get("corpus", {}))
    settings = {k: v for k, v in first.config.items() if k not in _OWN_FIELDS}
    versions = {
        k: v for k, v in first.environment.items() if k not in ("corpus", "identity", "started")
    }
    return {
        "corpus": corpus,
        "settings": settings,
        "seeds": [_seed(run) for run in runs],
        "runs": [run.path.name for run in runs],
        "environment": versions,
        "devices": sorted({str(run.environment.get("device_name", "")) for run in runs}),
        "started": [str(run.environment.get("started", "")) for run in runs],
        "minutes": [_minutes(run) for run in runs],
    }


def check_runs(runs: Sequence[Run]) -> None:
    """Finished, of one configuration and corpus, each seed once; else one clear line."""
    if not runs:
        raise InputError("name at least one finished run")
    for run in runs:
        if not run.done:
            raise InputError(f"run {run.path.name} is not finished")
    seeds = [_seed(run) for run in runs]
    for seed in seeds:
        if seeds.count(seed) > 1:
            raise InputError(f"seed {seed} is there more than once; runs must differ in their seed")
    for run in runs[1:]:
        for field, value in runs[0].config.items():
            if field not in _OWN_FIELDS and run.config.get(field) != value:
                raise InputError(
                    f"runs {runs[0].path.name} and {run.path.name} differ in {field}:"
                    f" {value!r} and {run.config.get(field)!r}; only the seed may differ"
                )
        if _corpus_hash(run) != _corpus_hash(runs[0]):
            raise InputError(f"runs {runs[0].path.name} and {run.path.name} are of other corpora")


def _tables_of_run(run: Run, n_boot: int) -> Summary:
    last = int(run.epochs["epoch"].max())
    epochs = [run.statistics([epoch]) for epoch in range(last + 1)]  # one at a time: less memory
    by_epoch = [
        {
            "correlations": summary.correlation_table(part, n_boot),
            "classes": summary.class_table(part, run.words, n_boot),
            "differences": summary.difference_table(part, run.words, n_boot),
            "exposure": summary.exposure_table(part),
        }
        for part in epochs
    ]
    tables = {
        name: pd.concat([part[name] for part in by_epoch], ignore_index=True)
        for name in by_epoch[0]
    }
    everything = pd.concat(epochs, ignore_index=True)
    return {
        **tables,
        "epochs": run.epochs,
        "words": summary.word_table(epochs[-1]),
        "influence": summary.influence_table(epochs[-1]),
        "findings": findings(everything, run.words, run.epochs, n_boot=n_boot),
    }


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


def _seed(run: Run) -> int:
    return int(run.config["seed"])


def _corpus_hash(run: Run) -> str:
    return str(run.environment.get("corpus", {}).get("sha256", ""))


def _minutes(run: Run) -> float | None:
    try:
        return round(float(run.timing["seconds"].sum()) / 60, 1)
    except InputError:
        return None
