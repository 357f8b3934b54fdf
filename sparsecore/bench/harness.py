"""One case to tidy rows: gate, warm-up, interleaved rounds, memory, share of the ceiling.

Contestants take turns, over and over in one process, so that whatever else the machine does hits
all of them; a ratio compares times of the same round. Their order is drawn anew each round: what
one leaves in the caches, or throws out of them, meets all of the others.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from sparsecore.bench.case import REFERENCE, Case, Contestant
from sparsecore.bench.ceilings import Ceilings
from sparsecore.bench.clock import CLOCKS, clock_name, synchronise
from sparsecore.bench.footprint import Footprint, peak_on_gpu
from sparsecore.bench.gate import ABSENT, REFUSED, judge
from sparsecore.errors import InputError

FEWEST_ROUNDS, MOST_ROUNDS = 3, 50
MIB = 1 << 20
ROUNDS = "of rounds"
Rounds = tuple[list[float], list[float]]  # milliseconds, ratios


@dataclass(frozen=True)
class Settings:
    """How a suite is run.

    Attributes:
        device: where.
        seconds: of rounds for each case; three rounds are made in any case.
        quick: tiny sizes and three rounds, to see that everything works.
    """

    device: torch.device
    seconds: float = 6.0
    quick: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise InputError(f"seconds must be a number of 0 or more, got {self.seconds}")


def run_case(
    suite: str, case: Case, settings: Settings, ceilings: Ceilings
) -> list[dict[str, Any]]:
    """A row for each contestant: :data:`COLUMNS`, and :data:`ROUNDS` with what they sum up.

    One that is refused, or cannot run here, has no times (NaN).
    """
    with contextlib.closing(case.prepare()) as prepared:  # pyrefly: ignore[bad-specialization]
        verdicts = judge(prepared)
        timed = {
            name: contestant
            for name, contestant in prepared.contestants.items()
            if verdicts[name][0] != REFUSED
        }
        steps = {name: contestant.step for name, contestant in timed.items()}
        clock = clock_name(settings.device, case.helpers)
        times = interleave(steps, case, settings, CLOCKS[clock]) if steps else pd.DataFrame()
        floor_ms = ceilings.seconds(case.flops, case.bytes) * 1e3
        absent = dict.fromkeys(prepared.absent, (ABSENT, math.nan))
        rows = []
        for name, (gate, error) in (verdicts | absent).items():
            rounds = _rounds(times, name)
            timing = summary([rounds])
            rows.append(
                {
                    "suite": suite,
                    "case": case.name,
                    "contestant": name,
                    "device": str(settings.device),
                    "threads": torch.get_num_threads(),
                    "clock": clock,
                    **timing,
                    **_memory(timed.get(name), case, settings.device),
                    "share_of_ceiling": floor_ms / timing["median_ms"] if floor_ms else math.nan,
                    "per_second": case.items * 1e3 / timing["median_ms"],
                    "item": case.item,
                    "gate": gate,
                    "gate_error": error,
                    "reason": prepared.absent.get(name, ""),
                    "axis": case.axis,
                    "size": case.size,
                    ROUNDS: rounds,
                }
            )
        return rows


COLUMNS = {
    "suite": "string",
    "case": "string",
    "contestant": "string",
    "device": "string",
    "threads": "int32",
    "clock": "string",  # cpu: time of this process; wall
    "median_ms": "float64",  # of a step, over the rounds
    "low_ms": "float64",  # quartiles
    "high_ms": "float64",
    "rounds": "int32",
    "ratio_to_reference": "float64",  # median over rounds: this / sparsecore; above 1 is slower
    "ratio_low": "float64",  # quartiles; with several processes as far as their medians lie
    "ratio_high": "float64",
    "processes": "int32",  # which made the rounds
    "ratio_noise": "float64",  # of the median from process to process: half the range, relative
    "peak_mib": "float64",  # of the tensors that a step makes
    "largest_mib": "float64",  # of one tensor (in suite lm: of logits)
    "share_of_ceiling": "float64",  # least time for the result's work / median
    "per_second": "float64",  # items / median
    "item": "string",
    "gate": "string",  # equal | other | refused | absent
    "gate_error": "float64",  # largest relative error against the naive twin in float64
    "reason": "string",  # why one that is absent cannot run here
    "axis": "string",  # what grows from case to case; empty where nothing does
    "size": "float64",  # how large it is
}


def interleave(
    steps: dict[str, Callable[[], object]],
    case: Case,
    settings: Settings,
    clock: Callable[[], float],
) -> pd.DataFrame:
    """Milliseconds of each contestant (columns) in each round (rows), after a round of warm-up."""
    if case.rounds != 1:
        for step in steps.values():
            step()
    most = FEWEST_ROUNDS if settings.quick else MOST_ROUNDS
    most = most if case.rounds is None else min(most, case.rounds)
    order, names = random.Random(0), list(steps)
    rounds: list[dict[str, float]] = []
    end = time.perf_counter() + settings.seconds
    while len(rounds) < most and (len(rounds) < FEWEST_ROUNDS or time.perf_counter() < end):
        row = {}
        for name in order.sample(names, len(names)):
            synchronise(settings.device)
            start = clock()
            steps[name]()
            synchronise(settings.device)
            row[name] = (clock() - start) * 1e3
        rounds.append(row)
    return pd.DataFrame(rounds)


def _rounds(times: pd.DataFrame, name: str) -> Rounds:
    """A contestant's milliseconds and its ratios to the reference, round by round."""
    own = times[name] if name in times else pd.Series(dtype=float)
    ratios = own / times[REFERENCE] if REFERENCE in times else own * math.nan
    return own.tolist(), ratios.tolist()


def summary(processes: Sequence[Rounds]) -> dict[str, float]:
    """Median and quartiles of times and ratios over the rounds of one process or several.

    The interval of a ratio then holds the median of every process as well.
    """
    own, ratios = ([value for each in processes for value in each[n]] for n in (0, 1))
    found: dict[str, float] = {"rounds": len(own), "processes": len(processes)}
    for series, labels in (
        (own, ("low_ms", "median_ms", "high_ms")),
        (ratios, ("ratio_low", "ratio_to_reference", "ratio_high")),
    ):
        values = np.quantile(series, (0.25, 0.5, 0.75)) if series else [math.nan] * 3
        found |= dict(zip(labels, map(float, values), strict=True))
    medians = [float(np.median(each)) for _, each in processes if each]
    found["ratio_noise"] = math.nan
    if len(medians) > 1:
        low, high = min(medians), max(medians)
        found["ratio_noise"] = (high - low) / 2 / found["ratio_to_reference"]
        found["ratio_low"] = min(low, found["ratio_low"])
        found["ratio_high"] = max(high, found["ratio_high"])
    return found


def _memory(contestant: Contestant | None, case: Case, device: torch.device) -> dict[str, float]:
    """MiB of the tensors of one step; NaN where there are none, or nothing may be run twice."""
    unknown = {"peak_mib": math.nan, "largest_mib": math.nan}
    if contestant is None or case.rounds == 1:
        return unknown
    on_gpu = device.type == "cuda"
    if not contestant.counted:
        return unknown | ({"peak_mib": peak_on_gpu(contestant.step) / MIB} if on_gpu else {})
    with Footprint(case.watched) as footprint:
        contestant.step()
    if not footprint.operations:
        return unknown
    peak = peak_on_gpu(contestant.step) if on_gpu else footprint.peak_bytes
    return {"peak_mib": peak / MIB, "largest_mib": footprint.largest_bytes / MIB}
