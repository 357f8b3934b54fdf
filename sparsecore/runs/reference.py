"""Small tables of finished runs: those of the book's reference runs, and of the reader's own.

A summary is a dict of tables, one of them ``verdicts`` (the parts of the findings, see
:mod:`sparsecore.stats.judgement`), the same for one run, several seeds or a whole study. Each
experiment makes its own from its runs, see its ``tables``. On disk: a CSV file each, Parquet for
the long ones, and provenance.json.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import infer_dtype

from sparsecore.data.cache import cached
from sparsecore.errors import InputError
from sparsecore.experiments.registry import experiment_class, part_of
from sparsecore.files import atomic_path, local_path, read_json, reading, write_json, write_text
from sparsecore.home import RECOMPUTE
from sparsecore.runs import judged
from sparsecore.stats.tables import Summary
from sparsecore.training.run_folder import Run

VERSION = 6  # raise when the same run would give other tables

REWRITE = "write it with: sparsecore reference"
LONG = 500  # rows from which a table is written as Parquet
_OWN_FIELDS = ("device", "corpus", "vectors")  # of a configuration: may differ between the runs


def summarise(runs: Sequence[Run], out: Path, earlier: Sequence[Path] = (), **options: Any) -> None:
    """Write the summary of finished runs that belong together to the folder ``out``.

    They may differ in their seed and in the fields that the experiment says a study varies. One CSV
    or Parquet file a table, each written atomically, and provenance.json (corpus, settings, seeds,
    versions, device, dates). The same runs give the same bytes. ``earlier``: folders of the tables
    of earlier rounds, on which the verdicts rest too. Raises InputError, with nothing written, for
    no run, an unfinished run, one given twice, or runs that do not belong together.
    """
    tables, provenance = tables_of(runs, **options), describe(runs)
    if earlier:
        rounds = [(folder, *read_reference(folder)) for folder in earlier]
        tables, provenance = judged.with_rounds(tables, provenance, rounds)
    write_tables(tables, provenance, out)


def read_reference(folder: Path, remake: str = REWRITE) -> tuple[Summary, dict[str, Any]]:
    """The tables in ``folder`` and what is known of the runs behind them.

    Raises:
        InputError: there are none, and what would make them (``remake``).
    """
    tables, provenance = read_summary(folder), read_provenance(folder)
    if tables is None or provenance is None:
        raise InputError(f"{folder} has no reference tables; {remake}")
    return tables, provenance


def write_tables(tables: Summary, provenance: dict[str, Any], out: Path) -> None:
    """Write tables and what is known of the runs behind them to the folder ``out``."""
    files = {name: f"{name}.{_suffix(table)}" for name, table in tables.items()}
    for name, table in tables.items():
        if files[name].endswith(".csv"):
            write_text(out / files[name], table.to_csv(index=False, lineterminator="\n"))
        else:
            with atomic_path(out / files[name]) as temporary:
                table.to_parquet(temporary, index=False, compression="zstd")
    write_json(out / "provenance.json", {**provenance, "tables": files})  # last: all is there


def read_summary(folder: Path) -> Summary | None:
    """The tables in ``folder``; None where there are none. InputError if a table is missing."""
    provenance = read_provenance(folder)
    if provenance is None:
        return None
    tables: Summary = {}
    with reading(folder / "provenance.json", REWRITE):
        files = {str(name): str(file) for name, file in provenance["tables"].items()}
    for name, file in files.items():
        if Path(file).name != file:
            raise InputError(f"{folder / 'provenance.json'} names a table outside, {file!r}")
        path = folder / file
        if not path.is_file():
            raise InputError(f"{folder} has no {file}; {REWRITE}")
        with reading(path, REWRITE):
            tables[name] = read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return tables


def read_provenance(folder: Path) -> dict[str, Any] | None:
    """What is known of the runs behind a summary; None where there is none."""
    path = local_path(folder / "provenance.json", "reference tables")
    return read_json(path, REWRITE) if path.is_file() else None


def tables_of(runs: Sequence[Run], **options: Any) -> Summary:
    """The summary of finished runs that belong together, in memory."""
    check_runs(runs)
    experiment = runs[0].experiment
    module = part_of(experiment, "tables")
    if hasattr(module, "tables_of_runs"):
        return module.tables_of_runs(runs, **options)
    made: Summary = module.tables_of(stacked(runs), **options)
    tables = {name: table.round(6) for name, table in made.items()}
    parts = judged.parts_of(experiment, tables)
    return tables if parts is None else {**tables, "verdicts": parts.round(6)}


def stacked(runs: Sequence[Run]) -> Summary:
    """Every table that the runs have, on top of one another: seed, what varies and run in front.

    Of what varies, a table's own column is kept: a search tries other values than the run's first.
    """
    varies = _varies(runs[0])
    tables: Summary = {}
    for name in sorted({path.stem for path in runs[0].path.glob("*.parquet")}):
        parts = []
        for run in runs:
            table = run.table(name)
            front = {"seed": int(run.config["seed"]), **{f: run.config[f] for f in varies}}
            front["run"] = run.path.name
            own = table.drop(columns=[column for column in front if column in table.columns])
            known = {k: table[k] if k in table else [v] * len(own) for k, v in front.items()}
            parts.append(pd.concat([pd.DataFrame(known, own.index), own], axis=1))
        tables[name] = pd.concat(parts, ignore_index=True)
    return tables


def summary_of(runs: Sequence[Run], **options: Any) -> Summary:
    """The summary of a reader's finished runs, made once and then read from the cache.

    The notebooks look at their runs through it, so that many pages pay for one.
    """
    check_runs(runs)
    settings = [VERSION, sorted(run.path.name for run in runs), options]

    def make(folder: Path) -> None:
        summarise(runs, folder, **options)

    return cached("summaries", settings, make, lambda folder: read_reference(folder)[0])


def describe(runs: Sequence[Run]) -> dict[str, Any]:
    """Provenance of runs that belong together; JSON-able, no paths."""
    check_runs(runs)
    first, varies = runs[0], _varies(runs[0])
    unlike = {*_OWN_FIELDS, *varies, "seed"}
    apart = ("corpus", "identity", "started")
    with reading(first.path, RECOMPUTE):
        return {
            "experiment": first.experiment,
            "corpus": dict(first.environment.get("corpus", {})),
            "settings": {k: v for k, v in first.config.items() if k not in unlike},
            "varied": {field: _values(runs, field) for field in varies},
            "seeds": _values(runs, "seed"),
            "runs": [run.path.name for run in runs],
            "environment": {k: v for k, v in first.environment.items() if k not in apart},
            "devices": sorted({str(run.environment.get("device_name", "")) for run in runs}),
            "started": [str(run.environment.get("started", "")) for run in runs],
            "minutes": [_minutes(run) for run in runs],
        }


def check_runs(runs: Sequence[Run]) -> None:
    """Finished, of one experiment, study and corpus, each once; else one clear line."""
    if not runs:
        raise InputError("name at least one finished run")
    first = runs[0]
    for run in runs:
        if not run.done:
            raise InputError(f"run {run.path.name} is not finished")
        if run.experiment != first.experiment:
            raise InputError(
                f"runs {first.path.name} and {run.path.name} are of two experiments: "
                f"{first.experiment} and {run.experiment}"
            )
    varies = _varies(first)
    seen: set[str] = set()
    for run in runs:
        for field in ("seed", *varies):
            if field not in run.config:
                raise InputError(f"{run.path / 'config.json'} has no {field!r}; {RECOMPUTE}")
        if not isinstance(run.config["seed"], int):
            raise InputError(
                f"{run.path / 'config.json'} has the seed {run.config['seed']!r}; {RECOMPUTE}"
            )
        point = json.dumps([run.config["seed"], *(run.config[field] for field in varies)])
        if point in seen:
            also = "".join(f", {field}={run.config[field]}" for field in varies)
            raise InputError(f"seed {run.config['seed']}{also} is there more than once")
        seen.add(point)
    free = {*_OWN_FIELDS, *varies, "seed"}
    allowed = " and ".join(["the seed", *varies])
    for run in runs[1:]:
        for field, value in first.config.items():
            if field not in free and run.config.get(field) != value:
                raise InputError(
                    f"runs {first.path.name} and {run.path.name} differ in {field}:"
                    f" {value!r} and {run.config.get(field)!r}; only {allowed} may differ"
                )
        if _corpus_hash(run) != _corpus_hash(first):
            raise InputError(f"runs {first.path.name} and {run.path.name} are of other corpora")


def read_csv(path: Path, missing: Any = ("",)) -> pd.DataFrame:
    """A CSV table in which "nan", "null" and "NA" are words; only an empty cell is missing.

    ``missing``: pandas' ``na_values``, where that is so in some columns only.

    Raises:
        ValueError: two columns of one name, which pandas would rename, in quadratic time.
    """
    with open(path, encoding="utf-8", newline="") as file:
        try:
            names = next(csv.reader(file), [])
        except csv.Error as error:
            raise ValueError(str(error)) from None
    if len(set(names)) < len(names):
        raise ValueError(f"two of its {len(names):,} columns have the same name")
    return pd.read_csv(path, keep_default_na=False, na_values=missing)


def _suffix(table: pd.DataFrame) -> str:
    """CSV where that gives every word back, whoever reads it; else, and for long ones, Parquet."""
    if len(table) > LONG or "word" in table.columns:
        return "parquet"
    text = table.select_dtypes(exclude=["number", "bool"])
    text = text.loc[:, [infer_dtype(text[name], skipna=True) == "string" for name in text]]
    back = pd.read_csv(io.StringIO(text.to_csv(index=False))) if len(text.columns) else text
    same = all(_values_of(back[name]) == _values_of(text[name]) for name in text)
    return "csv" if same else "parquet"


def _values_of(column: pd.Series) -> list[Any]:
    return [None if pd.isna(value) else value for value in column.tolist()]


def _varies(run: Run) -> tuple[str, ...]:
    return tuple(experiment_class(run.experiment).varies)


def _values(runs: Sequence[Run], field: str) -> list[Any]:
    """The different values of a field: numbers in order, then the others in that of their text."""
    values = {json.dumps(run.config[field]): run.config[field] for run in runs}
    numbers = [key for key, value in values.items() if isinstance(value, int | float)]
    others = sorted(key for key in values if key not in numbers)
    return [values[key] for key in [*sorted(numbers, key=lambda key: values[key]), *others]]


def _corpus_hash(run: Run) -> str:
    with reading(run.path / "environment.json", RECOMPUTE):
        return str(run.environment.get("corpus", {}).get("sha256", ""))


def _minutes(run: Run) -> float | None:
    if not (run.path / "timing.parquet").exists():
        return None
    return round(float(run.timing["seconds"].sum()) / 60, 1)
