"""What ``sparsecore bench`` measured: beside what one would pick instead, and how it grows."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.growth import exponent
from sparsecore.stats.tables import require_columns

OURS = "sparsecore"
QUANTITIES = {
    "median_ms": Look("time, ms", style.ORANGE, marker="o"),
    "peak_mib": Look("memory, MiB", style.BLUE, style.DASHED, "s"),
}
RATIOS = ["case", "contestant", "ratio_to_reference", "ratio_low", "ratio_high"]
POINTS = ["axis", "size", "median_ms", "peak_mib"]


@style.theme()
def beside_peers(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Time of each contestant relative to this library, one row per case; slower to the right.

    ``table``: case, contestant, ratio_to_reference, ratio_low, ratio_high (quartiles over rounds).
    """
    require_columns(table, RATIOS)
    if table.empty:
        return _not_measured(ax, table[RATIOS])
    cases = list(dict.fromkeys(table["case"]))
    looks = marks.looks_of(name for name in dict.fromkeys(table["contestant"]) if name != OURS)
    ax = style.new_axes(ax, height=1.5 + 0.44 * len(cases))
    ax.axvline(1.0, color=style.GREEN, linewidth=2, label="this library")
    for name, look in looks.items():
        rows = table[table["contestant"] == name]
        ratio = rows["ratio_to_reference"]
        told = [f"{name}, {c}: ×{r:.2f}" for c, r in zip(rows["case"], ratio, strict=True)]
        marks.points(ax, [cases.index(c) for c in rows["case"]], ratio,
                     (rows["ratio_low"], rows["ratio_high"]), look, across=True, texts=told,
                     capsize=0)  # fmt: skip
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(_times))
    ax.xaxis.set_minor_formatter(
        FuncFormatter(_times) if _decades(table) < 1.5 else NullFormatter()
    )
    ax.set_yticks(range(len(cases)), cases)
    ax.set_ylim(len(cases) - 0.5, -0.5)
    ax.set_xlabel("time relative to this library (right: slower)")
    figure = ax.get_figure(root=True)
    style.figure_legend(figure, [ax], loc="outside upper center")
    return keep_rows(ax, table[RATIOS])


@style.theme()
def growth_panels(table: pd.DataFrame) -> np.ndarray:
    """A panel an axis: time (solid) and memory (dashed) against size, both axes logarithmic.

    The exponents in the titles are fitted to the three largest sizes. ``table``: axis, size,
    median_ms, peak_mib (NaN where it was not measured).
    """
    require_columns(table, POINTS)
    if table.empty:
        return np.array([_not_measured(None, table[POINTS])])
    long = table.melt(["axis", "size"], list(QUANTITIES), "quantity", "amount").dropna()
    grid = style.panels(long, "axis", 2.6, sharex=False)
    for name, ax in grid.axes_dict.items():
        style.dress(ax)
        points = table[table["axis"] == name].sort_values("size")
        ax.set(xscale="log", yscale="log")
        marks.lines(ax, long[long["axis"] == name], "size", "amount", "quantity", QUANTITIES)
        ax.set_title(f"{textwrap.fill(str(name), 34)}\n{growth_label(points)}", fontsize=10)
        ax.set(xlabel="", ylabel="")
        keep_rows(ax, points[POINTS])
    grid.set_axis_labels("size", "ms or MiB")
    style.figure_legend(grid.figure, grid.axes)
    return grid.axes


def growth_label(points: pd.DataFrame) -> str:
    """Powers of the size as mathematics: time ∝ size to the 1.00, memory to the 0.00."""
    parts = []
    for name, column in (("time", "median_ms"), ("memory", "peak_mib")):
        found = exponent(points["size"], points[column])
        if not math.isnan(found):
            parts.append(f"{name} ∝ size$^{{{found:.2f}}}$")
    return ", ".join(parts)


def _not_measured(ax: Axes | None, rows: pd.DataFrame) -> Axes:
    ax = style.new_axes(ax, height=1.2)
    ax.set_axis_off()
    ax.text(0.5, 0.5, "not measured", color=style.INK, ha="center", transform=ax.transAxes)
    return keep_rows(ax, rows)


def _times(value: float, _place: int) -> str:
    return f"×{value:g}" if value in (0.5, 1, 2, 3, 5, 10, 20, 50, 100, 1000) else ""


def _decades(table: pd.DataFrame) -> float:
    known = table["ratio_to_reference"].dropna()
    return float(np.log10(known.max() / known.min())) if len(known) else 0.0
