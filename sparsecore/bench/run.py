"""The whole benchmark: suites to one tidy table, with the machine it was made on."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from sparsecore.bench.ceilings import Ceilings, measure_ceilings
from sparsecore.bench.gate import ABSENT, REFUSED
from sparsecore.bench.harness import COLUMNS, Settings, run_case
from sparsecore.bench.repeated import in_processes, pooled
from sparsecore.errors import InputError
from sparsecore.files import write_json
from sparsecore.home import bench_dir
from sparsecore.runs import bench_history
from sparsecore.runs.environment import commit, describe_machine, megahertz
from sparsecore.stats.growth import exponent
from sparsecore.training.device import resolve_device
from sparsecore.training.tables import write_table
from sparsecore.training.threads import choose_threads


def run_and_save(
    suites: Sequence[str],
    *,
    device: str = "cpu",
    threads: int | None = None,
    seconds: float = 6.0,
    quick: bool = False,
    out: str | None = None,
    progress: bool = True,
    processes: int = 1,
) -> tuple[str, Path, list[str]]:
    """Run the suites, write what was found to a folder, and add it to the history beside it.

    Args:
        suites: names of :data:`sparsecore.bench.SUITES`.
        device: as :func:`~sparsecore.training.device.resolve_device` takes it.
        threads: of PyTorch; None: chosen by a probe unless the user's environment says it.
        seconds: of rounds for each case.
        quick: tiny sizes, which are no part of the history.
        out: the folder; None: one named by the date under ``$SPARSECORE_HOME/bench``.
        progress: show a bar.
        processes: above 1, run the suites in so many fresh processes, one after another.

    Returns:
        The table as text with what has changed since the last run, the folder, and
        ``case: contestant`` of each one that was refused.

    Raises:
        InputError: an unknown or absent device; a history that cannot be read or written; a number
            of threads or processes below 1.
    """
    for name, value in (("threads", threads), ("processes", processes)):
        if value is not None and value < 1:
            raise InputError(f"--{name} must be at least 1, got {value}")
    folder = Path(out) if out else bench_dir(f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}")
    past = folder.parent / bench_history.NAME
    if not quick:
        bench_history.read(past)  # before any work
    settings = Settings(resolve_device(device), seconds, quick)
    if threads is None:
        choose_threads()
    else:
        torch.set_num_threads(threads)
    table, machine = run_suites(suites, settings, progress, processes)
    write_table(folder / "results.parquet", table)
    write_json(folder / "environment.json", machine)
    text = as_text(table, machine)
    if not quick:
        bench_history.append(past, table, machine)
        text += changes_as_text(bench_history.like(bench_history.read(past), machine))
    refused = table[table["gate"] == REFUSED]
    return text, folder, (refused["case"] + ": " + refused["contestant"]).tolist()


def run_suites(
    suites: Iterable[str], settings: Settings, progress: bool = True, processes: int = 1
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows of :data:`~sparsecore.bench.harness.COLUMNS`, and the machine with its ceilings."""
    if processes > 1:
        runs = in_processes(_run_alone, processes, list(suites), settings, progress)
        rows, machine = pooled([rows for rows, _ in runs]), runs[0][1]
    else:
        rows, machine = _run(suites, settings, progress)
    table = pd.DataFrame(rows)[list(COLUMNS)].astype(COLUMNS)
    return table, {**machine, "processes": processes}


def _run_alone(threads: int, *arguments: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    torch.set_num_threads(threads)
    return _run(*arguments)


def _run(
    suites: Iterable[str], settings: Settings, progress: bool
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of this process, and the machine."""
    ceilings = measure_ceilings(settings.device, settings.quick)
    rows: list[dict[str, Any]] = []
    for suite in suites:
        module = importlib.import_module(f"sparsecore.bench.suites.{suite}")
        bar = tqdm(module.cases(settings.device, settings.quick), desc=suite, disable=not progress)
        for case in bar:
            bar.set_postfix_str(case.name)
            rows += run_case(suite, case, settings, ceilings)
    return rows, {
        **describe_machine(settings.device.type),
        "commit": commit(),
        "mhz": megahertz(),
        "ceilings": dataclasses.asdict(ceilings),
        "seconds_a_case": settings.seconds,
        "quick": settings.quick,
    }


GROW = ("ms", "peak MiB")


def as_text(table: pd.DataFrame, machine: dict[str, Any]) -> str:
    """The table for a terminal, under a line on the machine."""
    ceilings = Ceilings(**machine["ceilings"])
    allocator = " ".join(f"{name}={value}" for name, value in machine["allocator"].items())
    lines = [
        f"{machine['device_name']}, {machine['threads']} of {machine['cores']} threads, "
        f"torch {machine['torch']}, allocator {allocator or 'as it comes'}",
        f"ceilings: {ceilings.gemm_flops / 1e9:.0f} GFLOP/s matrix product, "
        f"{ceilings.copy_bytes / 1e9:.1f} GB/s copy",
    ]
    shown = table.rename(
        columns={
            "median_ms": "ms",
            "low_ms": "low",
            "high_ms": "high",
            "ratio_to_reference": "× ours",
            "peak_mib": "peak MiB",
            "largest_mib": "largest MiB",
            "share_of_ceiling": "of ceiling",
            "per_second": "/s",
            "ratio_noise": "± processes",
        }
    )
    columns = ["contestant", "ms", "low", "high", "× ours", "peak MiB", "largest MiB"]
    columns += ["of ceiling", "/s", "gate"]
    if table["processes"].max() > 1:
        columns.insert(columns.index("× ours") + 1, "± processes")
    absent = shown["gate"] == ABSENT
    shown, missing = shown[~absent], shown[absent]
    comparisons, curves = shown[shown["axis"] == ""], shown[shown["axis"] != ""]
    for (suite, case), rows in comparisons.groupby(["suite", "case"], sort=False):
        lines += ["", f"{suite}: {case}", _body(rows[columns])]
    for axis, rows in curves.groupby("axis", sort=False):
        grows = [f"{name} with its power {exponent(rows['size'], rows[name]):.2f}" for name in GROW]
        lines += ["", f"{axis}: {', '.join(grows)}", _body(rows[["size", *GROW, "/s", "gate"]])]
    for (suite, reason), rows in missing.groupby(["suite", "reason"], sort=False):
        names = "; ".join(dict.fromkeys(rows["contestant"]))
        lines += ["", f"{suite}: not measured here: {names} ({reason})"]
    return "\n".join(lines)


def changes_as_text(history: pd.DataFrame) -> str:
    """What the last run found other than the one before it; empty where there is nothing to say."""
    changed = bench_history.changes(history)
    if changed.empty:
        return ""
    lines = ["", "", "ratios that left their interval of the run before (below 1: slower now)"]
    for row in changed.to_dict("records"):
        lines.append(
            f"  × {row['change']:.2f}  {row['suite']}: {row['case']}: {row['contestant']}: "
            f"{_ratio(row, '_before')} at {row['commit_before'] or 'an unknown commit'}, "
            f"now {_ratio(row)}"
        )
    return "\n".join(lines)


def _ratio(row: Mapping[Any, Any], when: str = "") -> str:
    return f"{row['ratio' + when]:.3g} [{row['low' + when]:.3g}, {row['high' + when]:.3g}]"


def _body(rows: pd.DataFrame) -> str:
    return rows.to_string(index=False, na_rep="", float_format=_number)


def _number(value: float) -> str:
    """Three digits, without an exponent."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
