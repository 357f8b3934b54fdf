"""The suites in several fresh processes, one after another: what a ratio owes to one of them.

Where memory lies, what was compiled and what else the machine does differ from process to process,
and rounds within one of them do not show it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from sparsecore.bench.gate import ABSENT, REFUSED
from sparsecore.bench.harness import ROUNDS, summary
from sparsecore.errors import TrainingError

Row = dict[str, Any]
WORST = (REFUSED, ABSENT)  # gates that take the place of others, the first above all


def in_processes(measure: Any, processes: int, *arguments: Any) -> list[Any]:
    """What ``measure(threads, *arguments)`` gives in each of so many processes of its own.

    Raises:
        TrainingError: one of them has ended, such as for want of memory.
    """
    context, found = multiprocessing.get_context("spawn"), []
    for number in range(1, processes + 1):
        with ProcessPoolExecutor(1, context) as pool:
            try:
                found.append(pool.submit(measure, torch.get_num_threads(), *arguments).result())
            except BrokenProcessPool as error:
                raise TrainingError(f"process {number} of {processes} has ended") from error
    return found


def pooled(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """The rows of all processes as one: of equal suite, case and contestant, over all rounds.

    Memory is that of the first process; the gate is the worst, and its contestant has no times.
    """
    same: dict[tuple[str, ...], list[Row]] = {}
    for row in (row for rows in runs for row in rows):
        same.setdefault((row["suite"], row["case"], row["contestant"]), []).append(row)
    return [_one(rows) for rows in same.values()]


def _one(rows: list[Row]) -> Row:
    gates = [row["gate"] for row in rows]
    for gate in WORST:
        if gate in gates:
            return rows[gates.index(gate)]
    first, found = rows[0], summary([row[ROUNDS] for row in rows])
    faster = first["median_ms"] / found["median_ms"]
    scaled = {name: first[name] * faster for name in ("share_of_ceiling", "per_second")}
    return {**first, **found, **scaled, "gate_error": max(row["gate_error"] for row in rows)}
