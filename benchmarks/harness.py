"""Interleaved timing: every candidate in turn, over and over, so that a busy machine hits all."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import trange


def interleave(
    candidates: dict[str, Callable[[], None]], repeats: int, baseline: str, warm_up: int = 2
) -> pd.DataFrame:
    """Median milliseconds of each candidate and its ratio to ``baseline``.

    The ratio is the median over rounds of (candidate / baseline in the same round); its spread is
    the range of the middle half. On the CPU the clock is the process's own CPU time per thread
    count of one, else wall time; on a GPU wall time with synchronisation.
    """
    for call in candidates.values():
        for _ in range(warm_up):
            call()
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    rounds = []
    for _ in trange(repeats, desc="rounds", leave=False):
        row = {}
        for name, call in candidates.items():
            _synchronise()
            start = clock()
            call()
            _synchronise()
            row[name] = (clock() - start) * 1e3
        rounds.append(row)
    times = pd.DataFrame(rounds)
    ratios = times.div(times[baseline], axis=0)
    return pd.DataFrame(
        {
            "milliseconds": times.median(),
            "ratio": ratios.median(),
            "ratio_low": ratios.quantile(0.25),
            "ratio_high": ratios.quantile(0.75),
        }
    ).rename_axis("candidate")


def peak_memory(module: str, candidate: str, *arguments: str) -> float:
    """MiB that a candidate's step takes above what was there before, in a process of its own.

    ``module`` is a benchmark with ``candidates(*arguments)``; it is imported in the new process.
    """
    script = (
        f"from benchmarks.harness import report_peak; from {module} import candidates; "
        f"report_peak(candidates(*{arguments!r})[{candidate!r}])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    return float(done.stdout)


def report_peak(call: Callable[[], None]) -> None:
    """Print by how many MiB the process's peak exceeds what it holds before ``call`` (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before = _status("VmRSS")
    call()
    print((_status("VmHWM") - before) / 1024)


def _status(field: str) -> int:
    """A size in KiB from /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
