"""Every committed table from data, by one command: ``book/results/studies.toml``, read and run.

A study is a folder of tables and the sweeps behind it. Runs that are finished are found, not
repeated, so that a reproduction that was stopped goes on. Tables are written to a folder of their
own, beside the committed ones, and what they decide is shown beside what the claims say.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsecore.errors import InputError, near_match
from sparsecore.experiments.crossing import tables as crossing
from sparsecore.runs.claims import format_value, read_claims
from sparsecore.runs.cluster import Workers
from sparsecore.runs.judged import parts_of, studies_of, tuning_seed
from sparsecore.runs.reference import describe, read_summary, summarise, write_tables
from sparsecore.runs.sweep import run_all, study_of
from sparsecore.stats.judgement import headline, judge
from sparsecore.training.run_folder import Run

if TYPE_CHECKING:
    import pandas as pd

RESULTS = Path("book/results")
STUDIES = RESULTS / "studies.toml"


@dataclass(frozen=True)
class Sweep:
    """Some runs of an experiment's study; see ``book/results/studies.toml``."""

    experiment: str
    preset: str
    stage: str = "study"
    fields: dict[str, Any] = field(default_factory=dict)
    only: dict[str, list[Any]] = field(default_factory=dict)
    seeds: tuple[int, int] | None = None
    tuned: str | None = None


@dataclass(frozen=True)
class Study:
    """A folder of tables and the sweeps that make it, in their order."""

    name: str
    tables: str
    sweep: tuple[Sweep, ...]
    rounds: tuple[str, ...] = ()
    core_hours: float | None = None


def read_studies(path: Path = STUDIES) -> list[Study]:
    """The studies of a file, in its order. InputError with one line for the first thing wrong."""
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("study", [])
    except FileNotFoundError:
        raise InputError(f"there is no {path}: run this in a checkout") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable TOML: {error}") from None
    studies = []
    for row in rows:
        where = f"{path}: study {row.get('name')!r}"
        sweeps = [_record(Sweep, sweep, where) for sweep in row.get("sweep", [])]
        studies.append(_record(Study, {**row, "sweep": sweeps}, where))
    return studies


def _record(kind: Any, row: dict[str, Any], where: str) -> Any:
    known = [f.name for f in fields(kind)]
    for name in row:
        if name not in known:
            raise InputError(f"{where}: unknown field {name!r}{near_match(name, known)}")
    missing = dataclasses.MISSING
    for name in [f.name for f in fields(kind) if f.default is f.default_factory is missing]:
        if not row.get(name):
            raise InputError(f"{where}: {name} is missing")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})


def choose_studies(names: Sequence[str], studies: Sequence[Study]) -> list[Study]:
    """The studies of these names, all for none; InputError with the nearest name."""
    known = {study.name: study for study in studies}
    for name in names:
        if name not in known:
            raise InputError(f"there is no study {name!r}{near_match(name, known)}")
    return [known[name] for name in names] if names else list(studies)


def configs_of(sweep: Sweep) -> list[Any]:
    """The configurations of a sweep.

    Raises:
        InputError: unknown names, or hyper-parameters that tuning runs have yet to choose.
    """
    chosen = {} if sweep.tuned is None else {"tuning": _tuning(RESULTS / sweep.tuned)}
    configs = study_of(sweep.experiment, sweep.preset, sweep.stage, **sweep.fields, **chosen)
    for name, values in sweep.only.items():
        if configs and not hasattr(configs[0], name):
            known = [f.name for f in dataclasses.fields(configs[0])]
            raise InputError(f"unknown field {name!r}{near_match(name, known)}")
        configs = [config for config in configs if getattr(config, name) in values]
    if sweep.seeds is None:
        return configs
    tuning = tuning_seed(sweep.experiment)
    points = [dataclasses.replace(c, seed=sweep.seeds[0]) for c in configs if c.seed != tuning]
    first, last = sweep.seeds
    return [
        dataclasses.replace(point, seed=seed)
        for seed in range(first, last + 1)
        for point in dict.fromkeys(points)
    ]


def _tuning(folder: Path) -> pd.DataFrame:
    tables = read_summary(folder)
    if tables is None or "tuning" not in tables:
        raise InputError(f"{folder} has no tuning.csv: name the tables of a round that tuned")
    return tables["tuning"]


def core_hours(study: Study) -> tuple[float | None, str]:
    """What a study costs and how that is known: ``measured``, ``estimated``, or nothing."""
    path = RESULTS / study.tables / "provenance.json"
    if path.is_file():
        told = json.loads(path.read_text(encoding="utf-8"))
        return sum(_core_hours(part) for part in studies_of(told)), "measured"
    return study.core_hours, "estimated" if study.core_hours else "unknown"


def _core_hours(provenance: dict[str, Any]) -> float:
    minutes = sum(value for value in provenance["minutes"] if value)
    return minutes / 60 * int(provenance["environment"].get("threads", 1))


def plan(studies: Sequence[Study]) -> str:
    """What would be made, and the cost of each study and of all: a table in plain text."""
    lines = [f"{'study':<22} {'core-hours':>10}  tables"]
    total = 0.0
    for study in studies:
        hours, known = core_hours(study)
        total += hours or 0.0
        shown = "?" if hours is None else f"{hours:.1f}"
        lines.append(f"{study.name:<22} {shown:>10}  {study.tables} ({known})")
    return "\n".join([*lines, f"{'all':<22} {total:>10.1f}"])


def reproduce_all(
    studies: Sequence[Study], out: Path, jobs: int | None = None, progress: bool = True
) -> Iterator[str]:
    """Make the tables of each study, and say in lines what they decide. ``jobs``: at a time."""
    workers = None if jobs in (None, 1) else Workers(jobs=jobs)
    for study in studies:
        folder = reproduce(study, out, workers, progress)
        yield f"\n{study.name}: {folder}"
        yield from (f"  {line}" for line in compared(study, folder))


def reproduce(
    study: Study, out: Path, workers: Workers | None = None, progress: bool = True
) -> Path:
    """Make (or find) a study's runs and write its tables below ``out``; the folder of the tables.

    Earlier rounds are taken from ``out``, where they were made anew, else from the committed ones.
    """
    runs: dict[Path, Run] = {}
    for sweep in study.sweep:  # in order: what tuning runs choose is known when they are finished
        finished = run_all(configs_of(sweep), workers, progress)
        if sweep.stage != "tune":
            runs |= {run.path: run for run in finished}
    folder = out / study.tables
    if len({run.experiment for run in runs.values()}) > 1:
        write_crossing(list(runs.values()), folder)
    else:
        rounds = [_round(name, out) for name in study.rounds]
        summarise(list(runs.values()), folder, rounds)
    return folder


def _round(name: str, out: Path) -> Path:
    made = out / name
    return made if (made / "provenance.json").is_file() else RESULTS / name


def write_crossing(runs: list[Run], folder: Path) -> None:
    """Tables across two experiments: language models by their blocks, and classifiers."""
    models = [run for run in runs if "num_blocks" in run.config]
    classifiers = [run for run in runs if "num_blocks" not in run.config]
    blocks = dict.fromkeys(run.config["num_blocks"] for run in models)
    told = {
        "experiment": "crossing",
        "language_models": [
            describe([run for run in models if run.config["num_blocks"] == count])
            for count in blocks
        ],
        "classifiers": describe(classifiers),
    }
    write_tables(crossing.tables_of(models, classifiers), told, folder)


def compared(study: Study, folder: Path) -> Iterator[str]:
    """A line a finding: what these tables decide, and what the claims say."""
    tables = read_summary(folder)
    experiment = study.sweep[0].experiment
    parts = None if tables is None or "votes" in tables else parts_of(experiment, tables)
    if parts is None:
        return
    claims = {claim.id: claim for claim in read_claims(RESULTS / "claims.toml")}
    for finding, rows in parts.groupby("finding", sort=True):
        found, reason = judge(rows)
        first = headline(rows, found)
        ends = [float(first["low"]), float(first["high"])]
        value = "–" if math.isnan(ends[0]) else format_value(float(first["value"]), ends)
        name = f"{experiment}-{finding}"
        said = claims[name].verdict if name in claims else "nothing"
        yield f"{name}: {found} {value}{f' ({reason})' if reason else ''}; the claims say {said}"
