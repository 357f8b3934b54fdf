"""A notebook for each of many configurations: percent script → jupytext → papermill → copies.

The parameters are checked before anything runs. Copies that are there already, of the same script,
parameters and version of the library, are kept and not made again.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparsecore.data.cache import settings_hash
from sparsecore.errors import InputError, TrainingError, check_installed
from sparsecore.files import write_text
from sparsecore.runs import tasks
from sparsecore.runs.cluster import Workers
from sparsecore.runs.notebook import (
    compare_parameters,
    copy_text,
    declared_parameters,
    executed,
    is_fresh,
    parse_value,
)
from sparsecore.runs.options import chosen_workers, grid_texts, sweep_parser
from sparsecore.runs.sweep import combinations, raise_first
from sparsecore.runs.tasks import VERSION


@dataclass(frozen=True)
class NotebookSweep:
    """What ``sparsecore sweep NOTEBOOK.py`` was asked for: parameters by the name of each copy."""

    script: Path
    copies: dict[str, dict[str, Any]]
    workers: Workers | None
    out: Path
    progress: bool


def parse_notebook_sweep(arguments: list[str]) -> NotebookSweep:
    """``[script, --parameter, value, …, --grid, name=a,b, --seeds, 3, …]`` -> the copies to make.

    Raises:
        InputError: no such script, an unknown parameter, option or scheduler, or a bad value.
    """
    check_installed("book", "jupytext", "papermill", "ipykernel")
    script = Path(arguments[0])
    if not script.is_file():
        raise InputError(f"there is no notebook {script}")
    chosen, rest = sweep_parser().parse_known_args(arguments[1:])
    if chosen.out is None:
        raise InputError("say where the executed copies go: --out FOLDER")
    workers, texts = chosen_workers(chosen), grid_texts(chosen)
    given = _pairs(rest)
    values = {name: [parse_value(text) for text in several] for name, several in texts.items()}
    declared = declared_parameters(script)
    compare_parameters(given, declared)
    if chosen.seeds is not None:
        first = given.get("seed", declared.get("seed", 0))
        values["seed"] = list(range(first, first + chosen.seeds))
    sets = [{**given, **one} for one in combinations(values)]
    for parameters in sets:
        compare_parameters(parameters, declared)
    names = [copy_name(script.stem, {name: one[name] for name in values}) for one in sets]
    if len(set(names)) < len(names):
        raise InputError(f"two copies would have one name: {', '.join(names)}")
    copies = dict(zip(names, sets, strict=True))
    return NotebookSweep(script, copies, workers, Path(chosen.out), not chosen.no_progress)


def copy_name(stem: str, swept: Mapping[str, Any]) -> str:
    """The file name of a copy.

    >>> copy_name("classes", {"epochs": 2, "corpus": "my/text.txt"})
    'classes-epochs=2-corpus=my_text.txt.ipynb'
    """
    parts = [re.sub(r"[^\w.+-]", "_", str(value)) for value in swept.values()]
    return "-".join([stem, *map("=".join, zip(swept, parts, strict=True))]) + ".ipynb"


def _pairs(arguments: Sequence[str]) -> dict[str, Any]:
    """``["--seed", "1", "--preset=small"]`` -> ``{"seed": 1, "preset": "small"}``."""
    words = [part for one in arguments for part in one.split("=", int(one.startswith("--")))]
    found = {}
    for name, text in itertools.zip_longest(words[::2], words[1::2]):
        if not name.startswith("--") or text is None:
            raise InputError(f"parameters are given as --name value, got {name!r}")
        found[name[2:].replace("-", "_")] = parse_value(text)
    return found


def sweep_notebook(chosen: NotebookSweep) -> list[Path]:
    """Make the copies that are not there yet; the paths of all.

    Raises:
        InputError, TrainingError: of the first notebook that failed, once the others are finished.
    """
    source = chosen.script.read_text(encoding="utf-8")
    items = {
        name: {"source": source, "name": name, "parameters": parameters, "cwd": os.getcwd()}
        for name, parameters in chosen.copies.items()
        if not is_fresh(chosen.out / name, mark_of(source, parameters))
    }
    gpus = any(parameters.get("device") != "cpu" for parameters in chosen.copies.values())
    failures = {}
    for name, outcome in tasks.outcomes(run_copy, items, chosen.workers, gpus, chosen.progress):
        if isinstance(outcome, Exception):
            failures[name] = outcome
        else:
            write_text(chosen.out / name, outcome)
    raise_first(failures, len(items))
    return [chosen.out / name for name in chosen.copies]


def mark_of(source: str, parameters: Mapping[str, Any]) -> str:
    """The hash of what decides a copy: script, parameters, version of the library."""
    return settings_hash([VERSION, source, dict(parameters)])


def run_copy(item: dict[str, Any]) -> str:
    """Execute a script with its parameters; the notebook as text.

    Raises:
        InputError: the notebook raised one.
        TrainingError: it raised anything else; the message says what, and in which cell.
    """
    from papermill.exceptions import PapermillExecutionError

    source, parameters = item["source"], item["parameters"]
    cwd = item["cwd"] if Path(item["cwd"]).is_dir() else None
    with tempfile.TemporaryDirectory() as folder:
        try:
            notebook = executed(source, parameters, Path(folder, "copy.ipynb"), cwd)
        except PapermillExecutionError as error:
            if error.ename == "InputError":
                raise InputError(error.evalue) from None
            cell = f"in cell {error.cell_index + 1}"
            what = " ".join(error.evalue.split())
            raise TrainingError(f"{error.ename}: {what} ({cell})") from None
    return copy_text(notebook, mark_of(source, parameters), parameters)
