"""An experiment's fields as command-line options: dataclass in, clear one-line errors out."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import math
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sparsecore.errors import InputError, check_installed, first_line, near_match
from sparsecore.experiments.registry import experiment_class
from sparsecore.runs.cluster import LOCAL, Workers
from sparsecore.runs.parser import Parser

MOST_RUNS = 100_000  # of one sweep
FEWEST_COLUMNS = 40  # of a help
HELP = "--preset quick|small|paper chooses the defaults below, --no-progress hides the bars."

SWEEP_USAGE = """\
usage: sparsecore sweep EXPERIMENT [--preset quick|small|paper] [--field value …]
                        [--stage study|tune] [--grid FIELD=A,B,C …] [--seeds N]
                        [--scheduler local|slurm|tcp://HOST:PORT] [--jobs N] [--retries N]
                        [--table FILE] [--out FOLDER] [--no-progress]
       sparsecore sweep notebooks/NAME.py [--parameter value …] [--grid …] [--seeds N]
                        [--scheduler …] [--jobs N] [--retries N] --out FOLDER [--no-progress]

Without --grid and --seeds: the runs behind the experiment's figures and tables, or, with --stage
tune, those that choose its hyper-parameters. With them: the preset with every combination of the
values given, and N seeds from --seed on. Finished runs are found, not repeated.

Runs are made in turn, or by workers, a process and a thread each:
  --jobs N                    so many on this machine
  --scheduler local           one a GPU of this machine, or one a core
  --scheduler tcp://HOST:PORT those of a Dask scheduler that runs there
  --scheduler slurm --jobs N  so many SLURM jobs
A run that fails does not stop the others. One whose worker is lost goes on from its last checkpoint
on another, --retries times (3). All machines must share SPARSECORE_HOME.

One row a run, its values and results, is printed in the end; --table writes it as CSV. --out writes
the tables of all runs, as `sparsecore reference` does. A notebook is executed once for each
combination, into a copy each.

experiments:"""


def parse_experiment(arguments: list[str]) -> tuple[Any, bool]:
    """``[experiment, --preset, …, --field, value, …]`` -> configuration, show progress.

    Raises:
        InputError: unknown experiment, preset or option (with the nearest name), or a bad value.
        SystemExit: with code 0, after ``--help``.
    """
    check_installed("experiments", "tyro", "filelock")
    import tyro

    experiment = experiment_class(arguments[0])
    first = Parser(f"sparsecore run {arguments[0]}", add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default="quick")
    first.add_argument("--no-progress", action="store_true")
    own, rest = first.parse_known_args(arguments[1:])
    default = experiment.preset(own.preset)
    prog = f"sparsecore run {arguments[0]} --preset {own.preset}"
    if not {"--help", "-h"} & set(rest):
        _check_names(rest, default)
    rest = ["None" if value == "none" else value for value in rest]
    summary = f"{first_line(experiment.__doc__)}\n\n{HELP}"
    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard), _wide_enough():
            config = tyro.cli(
                experiment, args=rest, default=default, prog=prog, description=summary
            )
    except SystemExit as stop:
        if stop.code:
            raise InputError(_first_sentence(heard.getvalue())) from None
        raise
    return config, not own.no_progress


@contextlib.contextmanager
def _wide_enough() -> Iterator[None]:
    """Inside, help is laid out for 40 columns at least: for fewer tyro seeks without an end."""
    before = os.environ.get("COLUMNS")
    if shutil.get_terminal_size().columns >= FEWEST_COLUMNS:
        yield
        return
    os.environ["COLUMNS"] = str(FEWEST_COLUMNS)
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


@dataclass(frozen=True)
class Sweep:
    """What ``sparsecore sweep`` was asked for."""

    configs: list[Any]
    workers: Workers | None
    out: str | None
    table: str | None
    progress: bool


def sweep_parser() -> argparse.ArgumentParser:
    """The options of a sweep, of an experiment or a notebook; fields are left over."""
    own = Parser("sparsecore sweep", add_help=False, allow_abbrev=False)
    own.add_argument("--grid", nargs="+", default=[], metavar="FIELD=A,B")
    own.add_argument("--seeds", type=int)
    own.add_argument("--scheduler")
    own.add_argument("--jobs", type=int)
    own.add_argument("--retries", type=int)
    own.add_argument("--out")
    own.add_argument("--no-progress", action="store_true")
    return own


def chosen_workers(chosen: argparse.Namespace) -> Workers | None:
    """The workers that the options ask for; None: this process, in turn."""
    if chosen.scheduler is None and chosen.jobs in (None, 1):
        if chosen.retries is not None:
            raise InputError("--retries needs workers that can be lost: add --scheduler or --jobs")
        return None
    return Workers(chosen.scheduler or LOCAL, chosen.jobs, chosen.retries)


def grid_texts(chosen: argparse.Namespace) -> dict[str, list[str]]:
    """The values of each field of ``--grid``, as they were typed."""
    values = {}
    for item in chosen.grid:
        field, _, given = item.partition("=")
        name = field.replace("-", "_")
        if not given:
            raise InputError(f"--grid wants FIELD=A,B,C, got {item!r}")
        if name in values or (name == "seed" and chosen.seeds is not None):
            raise InputError(f"--grid gives {name} twice: name all of its values once")
        values[name] = given.split(",")
    if chosen.seeds is not None and not 1 <= chosen.seeds <= MOST_RUNS:
        raise InputError(
            f"--seeds must be at least 1 and at most {MOST_RUNS:,}, got {chosen.seeds}"
        )
    return values


def parse_sweep(arguments: list[str]) -> Sweep:
    """``[experiment, --preset, …, --grid, field=a,b, --seeds, 3, …]`` -> the runs to make.

    Raises:
        InputError: unknown experiment, preset, option, field or scheduler, or a bad value.
    """
    from sparsecore.runs.sweep import grid, study_of

    own = sweep_parser()
    own.add_argument("--preset", default="quick")
    own.add_argument("--stage", default="study")
    own.add_argument("--table")
    chosen, rest = own.parse_known_args(arguments[1:])
    workers, texts = chosen_workers(chosen), grid_texts(chosen)
    config, _ = parse_experiment([arguments[0], "--preset", chosen.preset, *rest])
    preset = type(config).preset(chosen.preset)
    if chosen.grid or chosen.seeds is not None:
        values = {
            field: [_field_value(arguments[0], field, one) for one in given]
            for field, given in texts.items()
        }
        if chosen.seeds is not None:
            values["seed"] = list(range(config.seed, config.seed + chosen.seeds))
        if math.prod(map(len, values.values())) > MOST_RUNS:
            raise InputError(f"--grid and --seeds ask for more than {MOST_RUNS:,} runs")
        configs = grid(config, values)
    else:
        changed = {
            field.name: getattr(config, field.name)
            for field in dataclasses.fields(config)
            if getattr(config, field.name) != getattr(preset, field.name)
        }
        configs = study_of(arguments[0], chosen.preset, chosen.stage, **changed)
    return Sweep(configs, workers, chosen.out, chosen.table, not chosen.no_progress)


def _field_value(experiment: str, field: str, text: str) -> Any:
    """A value as the option ``--field text`` would be read."""
    return getattr(parse_experiment([experiment, f"--{field.replace('_', '-')}", text])[0], field)


def _check_names(arguments: list[str], default: Any) -> None:
    known = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(default)}
    for argument in arguments:
        name = argument.partition("=")[0].replace("_", "-")
        if name.startswith("--") and name not in known:
            raise InputError(
                f"unknown option {name}{near_match(name, {*known, '--preset', '--no-progress'})}"
            )


def _first_sentence(box: str) -> str:
    """The message inside a framed, wrapped error, on one line."""
    lines = [line.strip(" │") for line in box.splitlines() if not line.startswith(("╭", "╰"))]
    text = "\n".join(lines).strip()
    text = re.split(r"\n\n|\n─", text)[0]
    return " ".join(text.split()) or "the options cannot be read"
