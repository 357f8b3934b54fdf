"""Finished and unfinished runs: folders under ``$SPARSECORE_HOME/runs/<experiment>/<hash>/``.

All have config.json  environment.json  epochs.parquet  timing.parquet  weights.safetensors  DONE;
those of the emergent part words.parquet and statistics/epoch-000.parquet …, the others
results.parquet and tables of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from sparsecore.errors import InputError, near_match
from sparsecore.experiments.registry import check_name
from sparsecore.files import local_path, read_json, reading
from sparsecore.home import RECOMPUTE, runs_dir

DONE = "DONE"


@dataclass(frozen=True)
class Run:
    """A run folder, read on demand."""

    path: Path

    @property
    def done(self) -> bool:
        """True once every table of the run is there."""
        return (self.path / DONE).exists()

    @cached_property
    def config(self) -> dict[str, Any]:
        """The experiment's fields as they were given."""
        return self._json("config.json")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, device, threads, corpus and date of the run."""
        return self._json("environment.json")

    @property
    def experiment(self) -> str:
        """Which experiment the run is of, as the command line names it."""
        with reading(self.path / "environment.json", RECOMPUTE):
            return str(self.environment["identity"]["experiment"])

    @cached_property
    def words(self) -> pd.DataFrame:
        """One row per word id: word, frequency, pos, share, word_class."""
        return self._table("words.parquet", "word")

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch: train_loss, valid_loss, valid_perplexity, learning_rate, step_cut."""
        return self._table("epochs.parquet", "epoch")

    @cached_property
    def results(self) -> pd.DataFrame:
        """What the run found in the end: one row."""
        return self._table("results.parquet")

    @cached_property
    def timing(self) -> pd.DataFrame:
        """One row per epoch: seconds, tokens. The only table that differs between equal runs."""
        return self._table("timing.parquet", "seconds")

    def statistics(
        self,
        epochs: Iterable[int] | None = None,
        layer: str | None = None,
        signal: str | None = None,
        role: str | None = None,
    ) -> pd.DataFrame:
        """chi per word, one row per epoch, word, layer, signal and role.

        Columns: epoch, word_id, word, frequency, pos, word_class, layer, signal, role, chi, l1,
        count.

        Args:
            epochs: which epochs; negative ones count from the last (-1). None reads all.
            layer, signal, role: keep only these rows; None keeps all.

        Raises:
            InputError: an epoch, layer, signal or role that the run does not have.
        """
        with reading(self.path, RECOMPUTE):
            return self._statistics(epochs, layer, signal, role)

    def _statistics(
        self,
        epochs: Iterable[int] | None,
        layer: str | None,
        signal: str | None,
        role: str | None,
    ) -> pd.DataFrame:
        last = int(self.epochs["epoch"].max())
        wanted = (
            range(last + 1) if epochs is None else [e + last + 1 if e < 0 else e for e in epochs]
        )
        parts = []
        for epoch in wanted:
            if not 0 <= epoch <= last:
                raise InputError(f"the run has epochs 0 to {last}, not {epoch}")
            part = self._table(f"statistics/epoch-{epoch:03d}.parquet")
            for column, value in (("layer", layer), ("signal", signal), ("role", role)):
                if value is None:
                    continue
                known = part[column].unique().astype(str)
                if value not in known:
                    raise InputError(f"the run has no {column} {value!r}{near_match(value, known)}")
                part = part[part[column] == value]
            parts.append(part.assign(epoch=epoch))
        table = pd.concat(parts, ignore_index=True)
        words = self.words[["word", "frequency", "pos", "word_class"]]
        described = words.iloc[table["word_id"]].reset_index(drop=True)
        table = pd.concat([table, described], axis=1)
        order = [
            "epoch",
            "word_id",
            *words.columns,
            "layer",
            "signal",
            "role",
            "chi",
            "l1",
            "count",
        ]
        return table[order]

    def table(self, name: str) -> pd.DataFrame:
        """The run's table of that name, such as ``"epochs"``."""
        return self._table(f"{name}.parquet")

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.exists():
            raise InputError(f"run {self.path.name} has no {name} yet: it is not finished")
        return path

    def _json(self, name: str) -> dict[str, Any]:
        return read_json(self._file(name), RECOMPUTE)

    def _table(self, name: str, *columns: str) -> pd.DataFrame:
        """A table of the run; InputError if it is damaged or lacks one of these columns."""
        path = self._file(name)
        with reading(path, RECOMPUTE):
            table = pd.read_parquet(path)
            for column in columns:
                table[column]
        return table


def list_runs(experiment: str | None = None) -> list[Run]:
    """All runs, finished or not, oldest first; of one experiment if named.

    Raises:
        InputError: unknown experiment, with the nearest name.
    """
    if experiment is not None:
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
