"""The sums of a tracker in training: as part of a checkpoint, over processes, part by part.

:class:`~sparsecore.measure.tracker.Tracker` adds up what one process sees. A run of several
processes writes the sums of all, and goes on with them in the first.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sparsecore.measure.tracker import Tracker
from sparsecore.training.distributed import all_reduce
from sparsecore.training.sharding import rank0_only


class TrackerSums:
    """A tracker's sums as a part of a checkpoint: saved for all processes, loaded by the first."""

    def __init__(self, tracker: Tracker, device: torch.device) -> None:
        self.tracker, self.device = tracker, device

    def state_dict(self) -> dict[str, Tensor]:
        """The sums over the processes, by ``layer.signal.role``."""
        return {".".join(key): value for key, value in over_processes(self.tracker.sums).items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the sums over."""
        self.tracker.load_sums(self.of_process(state))

    def of_process(self, state: dict[str, Tensor]) -> dict[Any, Tensor]:
        """This process's share of saved sums."""
        return {tuple(k.split(".")): rank0_only(x.to(self.device)) for k, x in state.items()}


class EarlierParts(TrackerSums):
    """Sums of the parts of an epoch that have ended; the tracker holds those of the present one."""

    def __init__(self, tracker: Tracker, device: torch.device) -> None:
        super().__init__(tracker, device)
        self.sums: dict[Any, Tensor] = {}

    def end_part(self) -> pd.DataFrame:
        """The statistics of the part that ends here."""
        part = {key: value.clone() for key, value in self.tracker.sums.items()}
        self.tracker.load_sums(over_processes(part))
        table = statistics(self.tracker)
        for key, value in part.items():
            self.sums[key] = self.sums[key] + value if key in self.sums else value
        self.tracker.sums.clear()
        return table

    def put_back(self) -> None:
        """The tracker's sums are those of the whole epoch again."""
        self.tracker.load_sums(self.sums, add=True)
        self.sums = {}

    def state_dict(self) -> dict[str, Tensor]:
        """The sums over the processes, by ``layer.signal.role``."""
        return {".".join(key): value for key, value in over_processes(self.sums).items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the sums over."""
        self.sums = self.of_process(state)


def over_processes(sums: dict[Any, Tensor]) -> dict[Any, Tensor]:
    """Each process's sums, added up."""
    return {key: all_reduce(value) for key, value in sorted(sums.items())}


def statistics(tracker: Tracker) -> pd.DataFrame:
    """The tracker's table as an epoch's file keeps it: small types, words by their ids.

    Columns: word_id, layer, signal, role, chi, l1, count.
    """
    table = tracker.table()
    small = {"word_id": "int32", "chi": "float32", "l1": "float32", "count": "int32"}
    return table[["word_id", "layer", "signal", "role", "chi", "l1", "count"]].astype(
        {**small, "layer": "category", "signal": "category", "role": "category"}
    )
