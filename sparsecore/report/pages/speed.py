"""What the page "How fast is it?" shows: tables of ``sparsecore bench``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sparsecore.errors import InputError, near_match
from sparsecore.report.pages.parts import checkout_folder, html_table, markdown
from sparsecore.runs import bench_history
from sparsecore.stats.growth import exponent

OURS = "sparsecore"
LATER = ["axis", "size", "reason"]  # columns that older results lack
ALLOCATOR = "MALLOC_MMAP_MAX_"
SMALL = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ABSENT = "absent"  # gate of a contestant that could not run on the machine


@dataclass(frozen=True)
class Measured:
    """One folder of ``sparsecore bench``: its table, its machine, and what that found before."""

    table: pd.DataFrame
    machine: dict[str, Any]
    history: pd.DataFrame

    def suite(self, name: str) -> pd.DataFrame:
        """The rows of a suite, without what could not run; none if it was not measured."""
        return self.table[(self.table["suite"] == name) & (self.table["gate"] != ABSENT)]


def open_page(results: str) -> Measured:
    """A folder of ``benchmarks/results`` by its name, or one of your own by its path.

    Raises:
        InputError: no such folder, or no results in it.
    """
    committed = checkout_folder("benchmarks", "results")
    folder = Path(results) if Path(results).is_dir() else committed / results
    if not (folder / "results.parquet").is_file():
        known = [path.parent.name for path in committed.glob("*/results.parquet")]
        raise InputError(
            f"no results of sparsecore bench in {results!r}{near_match(results, known)}"
        )
    machine = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    table = pd.read_parquet(folder / "results.parquet")
    table = table.reindex(columns=table.columns.union(LATER, sort=False))
    history = bench_history.read(folder.parent / bench_history.NAME)
    known = bench_history.like(history, machine)
    return Measured(_with_commas(table), machine, _with_commas(known))


def about(page: Measured) -> Any:
    """The machine, its ceilings, and what of a GPU is known."""
    machine, ceilings = page.machine, page.machine["ceilings"]
    tuned = "tuned" if ALLOCATOR in machine["allocator"] else "not tuned"
    gpu = (
        ""
        if page.table["device"].str.startswith("cuda").any()
        else " **GPU: not measured.** The kernels for GPUs are tested through an interpreter."
    )
    return markdown(
        f"Measured on {machine['device_name']}, {machine['threads']} of {machine['cores']} cores, "
        f"PyTorch {machine['torch']}, memory allocator {tuned}, {machine['started'][:10]}. The "
        f"machine's ceilings: {ceilings['gemm_flops'] / 1e9:.0f} GFLOP/s in a large matrix "
        f"product, {ceilings['copy_bytes'] / 1e9:.0f} GB/s in a copy.{gpu}"
    )


def peers_table(rows: pd.DataFrame) -> Any:
    """One row per case: our time, memory, share of the ceiling; others' time relative to ours."""
    shown = []
    for case, group in rows.groupby("case", sort=False):
        by_name = {str(row["contestant"]): row for row in group.to_dict("records")}
        own = by_name.pop(OURS)
        shown.append(
            {
                "case": case,
                "ms": _number(own["median_ms"]),
                "MiB": _number(own["peak_mib"]),
                "of the machine's peak": _share(own["share_of_ceiling"]),
                **{f"× {k}": _number(v["ratio_to_reference"]) for k, v in by_name.items()},
            }
        )
    table = pd.DataFrame(shown).fillna("–")
    return html_table(table.loc[:, (table != "–").any()]) if shown else None


def extremes_sentence(rows: pd.DataFrame) -> Any:
    """The least and the largest time beside this library, and whose; None where there is none."""
    others = rows[rows["contestant"] != OURS].dropna(subset="ratio_to_reference")
    if others.empty:
        return None
    ordered = others.sort_values("ratio_to_reference", kind="stable")
    least, most = (
        f"×{_number(row['ratio_to_reference'])} (*{row['contestant']}* at *{row['case']}*)"
        for row in _rows(ordered.iloc[[0, -1]])
    )
    faster = int((others["ratio_to_reference"] < 1).sum())
    count = SMALL[len(others)] if len(others) < len(SMALL) else len(others)
    return markdown(
        f"Times range from {least} to {most}; {faster or 'none'} of the {count} "
        f"{'are' if faster > 1 else 'is'} below 1, that is, faster."
    )


def where_measured(rows: pd.DataFrame, text: str) -> Any:
    """A paragraph (Markdown) on rows that older results lack; None where there are none."""
    return None if rows.empty else markdown(text)


def absent_sentence(page: Measured) -> Any:
    """Which contestants could not run on the machine, and why; None where all could."""
    rows = page.table[page.table["gate"] == ABSENT]
    told = [
        f"{', '.join(f'*{name}*' for name in dict.fromkeys(group['contestant']))} ({reason})"
        for reason, group in rows.groupby("reason", sort=False)
    ]
    return markdown(f"Not measured on this machine: {'; '.join(told)}.") if told else None


def growth_table(rows: pd.DataFrame) -> Any:
    """A row an axis: the range of sizes, and the fitted exponents of time and memory."""
    shown = []
    for name, group in rows.groupby("axis", sort=False):
        first, last = group["size"].min(), group["size"].max()
        shown.append(
            {
                "what grows": name,
                "from": f"{first:,.0f}",
                "to": f"{last:,.0f}",
                "power for time": _number(exponent(group["size"], group["median_ms"])),
                "power for memory": _number(exponent(group["size"], group["peak_mib"])),
            }
        )
    return html_table(pd.DataFrame(shown)) if shown else None


def growth_sentence(rows: pd.DataFrame) -> Any:
    """How time grows with numbers of tokens at worst; None where it was not measured."""
    tokens = rows[rows["item"] == "token"]
    if tokens.empty:
        return None
    powers = {
        str(name): exponent(group["size"], group["median_ms"])
        for name, group in tokens.groupby("axis", sort=False)
    }
    worst = max(powers, key=lambda name: powers[name])
    return markdown(
        f"Of what is counted in tokens, time grows fastest with the {worst}: with power "
        f"{_number(powers[worst])} of their number, where 1 is proportional."
    )


def history_table(history: pd.DataFrame) -> Any:
    """Other contestants' time relative to ours, with quartiles over rounds, one column per run."""
    if history.empty:
        return None
    runs = {row["date"]: f"{row['date'][:10]} {row['commit']}".strip() for row in _rows(history)}
    cells = [f"{row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" for row in _rows(history)]
    table = history.assign(cell=cells).pivot_table(
        "cell", bench_history.WHAT, "date", aggfunc="last", sort=False
    )
    table = table.fillna("–").rename(columns=runs)[[*runs.values()]]
    return html_table(table.rename_axis(columns=None).reset_index())


def noise_sentence(history: pd.DataFrame) -> Any:
    """How far ratios scatter, suite by suite; None where nothing was kept."""
    found = bench_history.noise(history)
    if found.empty:
        return None
    told = [
        f"{row['suite']} ± {100 * row['rounds']:.1f} %"
        + ("" if pd.isna(row["runs"]) else f" and {100 * row['runs']:.1f} %")
        for row in _rows(found)
    ]
    return markdown(
        "The noise of the suites: half the distance between the quartiles over the rounds of a run "
        "and, where two runs have other contestants in common, by how much the quotient of two of "
        "these changed from run to run, which no change of this library explains: "
        f"{', '.join(told)}."
    )


def changes_sentence(history: pd.DataFrame) -> Any:
    """How many ratios of the last run left the noise, and the one that fell furthest."""
    found = bench_history.changes(history)
    if history["date"].nunique() < 2:
        return None
    slower, faster = found[found["change"] < 1], found[found["change"] > 1]
    said = f"Between the last two runs {len(faster)} ratios rose by more than the noise"
    if slower.empty:
        return markdown(f"{said}, and none fell.")
    worst = slower.iloc[0]
    return markdown(
        f"{said}. {len(slower)} fell, which means that this library became slower there: most "
        f"beside *{worst['contestant']}* at *{worst['case']}* ({_number(worst['ratio_before'])} to "
        f"{_number(worst['ratio'])})."
    )


def _with_commas(table: pd.DataFrame) -> pd.DataFrame:
    """The cases as they are read: ``V 43,815, k 20`` for ``V 43815, k 20``."""
    told = table["case"].str.replace(r"\d{4,}", lambda found: f"{int(found[0]):,}", regex=True)
    return table.assign(case=told)


def _rows(table: pd.DataFrame) -> list[dict[Any, Any]]:
    return table.to_dict("records")


def _number(value: float) -> str:
    """Three digits; a dash where nothing was measured."""
    if pd.isna(value):
        return "–"
    text = (
        f"{value:,.0f}"
        if abs(value) >= 100
        else f"{value:.3g}"
        if abs(value) >= 1
        else f"{value:.2f}"
    )
    return text.replace("-", "−")


def _share(value: float) -> str:
    return "–" if pd.isna(value) else f"{100 * value:.0f}\u00a0%"
