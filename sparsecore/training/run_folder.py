"""A run folder, as the loop and the experiments left it, read on demand.

All have config.json  environment.json  epochs.parquet  timing.parquet  weights.safetensors  DONE;
those of the emergent part words.parquet, statistics/epoch-000.parquet … and where asked for
statistics/step-0000500.parquet … (after so many updates), the others
results.parquet and tables of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsecore.errors import InputError, near_match
from sparsecore.files import read_json, reading
from sparsecore.home import RECOMPUTE

if TYPE_CHECKING:
    import pandas as pd

DONE = "DONE"


def run_name(folder: Path) -> str:
    """A run as messages name it: ``experiment/hash``."""
    return f"{folder.parent.name}/{folder.name}"


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
        """What the run found in the end: one row; of a run without such a table its last epoch."""
        if self.done and not self.has_results:
            return self.epochs.tail(1).reset_index(drop=True)
        return self._table("results.parquet")

    @property
    def has_results(self) -> bool:
        """Whether the run has a table of results, beside that of its epochs."""
        return (self.path / "results.parquet").exists()

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
        given = {"layer": layer, "signal": signal, "role": role}
        chosen = {column: value for column, value in given.items() if value is not None}
        with reading(self.path, RECOMPUTE):
            last = int(self.epochs["epoch"].max())
            wanted = range(last + 1) if epochs is None else epochs
            parts = []
            for epoch in (e + last + 1 if e < 0 else e for e in wanted):
                if not 0 <= epoch <= last:
                    raise InputError(f"the run has epochs 0 to {last}, not {epoch}")
                part = self._table(f"statistics/epoch-{epoch:03d}.parquet")
                for column, value in chosen.items():
                    known = part[column].unique().astype(str)
                    if value not in known:
                        near = near_match(value, known)
                        raise InputError(f"the run has no {column} {value!r}{near}")
                    part = part[part[column] == value]
                parts.append(part.assign(epoch=epoch))
            return self._described(parts, "epoch")

    @property
    def has_parts(self) -> bool:
        """Whether statistics of parts of epochs were written (``statistics_every``)."""
        return any(self.path.glob("statistics/step-*.parquet"))

    def part_statistics(self) -> pd.DataFrame:
        """As :meth:`statistics`, of the parts of epochs, after the untrained epoch 0.

        In place of ``epoch`` there is ``updates``, the number of updates up to the end of the part.
        """
        with reading(self.path, RECOMPUTE):
            parts = [self._table("statistics/epoch-000.parquet").assign(updates=0)]
            for path in sorted(self.path.glob("statistics/step-*.parquet")):
                updates = int(path.stem.removeprefix("step-"))
                parts.append(self._table(f"statistics/{path.name}").assign(updates=updates))
            return self._described(parts, "updates")

    def _described(self, parts: list[pd.DataFrame], moment: str) -> pd.DataFrame:
        import pandas as pd

        table = pd.concat(parts, ignore_index=True)
        words = self.words[["word", "frequency", "pos", "word_class"]]
        described = words.iloc[table["word_id"]].reset_index(drop=True)
        table = pd.concat([table, described], axis=1)
        front = [moment, "word_id", *words.columns]
        return table[[*front, "layer", "signal", "role", "chi", "l1", "count"]]

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
            import pandas as pd

            table = pd.read_parquet(path)
            for column in columns:
                table[column]
        return table
