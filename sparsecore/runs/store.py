"""Finished and unfinished runs: folders under ``$SPARSECORE_HOME/runs/<experiment>/<hash>/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparsecore.data.cache import settings_hash
from sparsecore.errors import InputError
from sparsecore.experiments.registry import check_name
from sparsecore.files import local_path
from sparsecore.home import runs_dir
from sparsecore.training.run_folder import Run as Run  # documented under this name too

TRACK = "track"  # runs of `sparsecore track`, which are no experiment's


def run_of(experiment: str, identity: dict[str, Any]) -> Run:
    """The run of a JSON-able identity, computed or not: the first 12 digits of its hash."""
    return run_named(experiment, settings_hash(identity)[:12])


def run_named(experiment: str, name: str) -> Run:
    """The run of an experiment in the folder of that name, computed or not."""
    return Run(runs_dir(experiment) / name)


def list_runs(experiment: str | None = None) -> list[Run]:
    """All runs, finished or not, oldest first; of one experiment if named.

    Raises:
        InputError: unknown experiment, with the nearest name.
    """
    if experiment is not None and experiment != TRACK:
        check_name(experiment)
    folders = runs_dir().glob(f"{experiment or '*'}/*/config.json")
    return [Run(path.parent) for path in sorted(folders, key=lambda p: p.stat().st_mtime)]


def open_run(reference: str | Path) -> Run:
    """The run at a path, or the one whose hash begins so.

    Raises:
        InputError: no such run, or several.
    """
    path = local_path(reference, "run")
    if (path / "config.json").is_file():
        return Run(path)
    matches = [run for run in list_runs() if run.path.name.startswith(str(reference))]
    if len(matches) != 1:
        found = ", ".join(run.path.name for run in matches or list_runs()) or "none"
        what = "several runs match" if matches else "there is no run"
        raise InputError(f"{what} {str(reference)!r}; runs: {found}")
    return matches[0]
