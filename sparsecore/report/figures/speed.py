"""What ``sparsecore bench`` measured: beside what one would pick instead, and how it grows."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.growth import exponent
from sparsecore.stats.tables import require_columns

OURS = "sparsecore"
PEERS = (
    ("#d55e00", "s"),
    ("#2185c5", "o"),
    ("#b0689b", "^"),
    ("#b8860b", "D"),
    ("#7f73c6", "v"),
)
RATIOS = ["case", "contestant", "ratio_to_reference", "ratio_low", "ratio_high"]
POINTS = ["axis", "size", "median_ms", "peak_mib"]


def beside_peers(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Time of each contestant by that of this library, a row a case; right of the line is slower.

    ``table``: case, contestant, ratio_to_reference, ratio_low, ratio_high (quartiles over rounds).
    """
    require_columns(table, RATIOS)
    if table.empty:
        return _not_measured(ax, table[RATIOS])
    cases = list(dict.fromkeys(table["case"]))
    others = [name for name in dict.fromkeys(table["contestant"]) if name != OURS]
    ax = style.new_axes(ax, height=1.1 + 0.42 * len(cases))
    ax.axvline(1.0, color="#0c9a6c", linewidth=1.8, label="this library")
    for place, name in enumerate(others):
        colour, marker = PEERS[place % len(PEERS)]
        rows = table[table["contestant"] == name]
        middle = rows["ratio_to_reference"]
        ax.errorbar(
            middle,
            [cases.index(case) for case in rows["case"]],
            xerr=[middle - rows["ratio_low"], rows["ratio_high"] - middle],
            color=colour,
            marker=marker,
            markersize=5.5,
            linestyle="none",
            linewidth=1.2,
            label=name,
        )
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(_times))
    ax.xaxis.set_minor_formatter(
        FuncFormatter(_times) if _decades(table) < 1.5 else NullFormatter()
    )
    ax.tick_params(axis="x", which="minor", labelsize="small")
    ax.set_yticks(range(len(cases)), cases, fontsize="small")
    ax.set_ylim(len(cases) - 0.5, -0.5)
    ax.set_xlabel("time by that of this library (right: slower)")
    style.legend(ax, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)
    return keep_rows(ax, table[RATIOS])


def growth_panels(table: pd.DataFrame, columns: int = 2) -> np.ndarray:
    """A panel an axis: time (solid) and memory (dashed) against size, both axes logarithmic.

    The exponents in the titles are fitted to the three largest sizes. ``table``: axis, size,
    median_ms, peak_mib (NaN where it was not measured).
    """
    require_columns(table, POINTS)
    if table.empty:
        return np.array([[_not_measured(None, table[POINTS])]])
    names = list(dict.fromkeys(table["axis"]))
    rows = math.ceil(len(names) / columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(style.WIDTH * 1.25, 2.35 * rows),
        dpi=style.DPI,
        layout="constrained",
        squeeze=False,
    )
    for ax, name in zip(axes.flat, names, strict=False):
        points = table[table["axis"] == name].sort_values("size")
        style.dress(ax)
        ax.loglog(
            points["size"], points["median_ms"], color="#d55e00", marker="o", label="time, ms"
        )
        known = points.dropna(subset="peak_mib")
        if len(known):
            ax.loglog(
                known["size"],
                known["peak_mib"],
                color="#2185c5",
                marker="s",
                linestyle=(0, (4, 2)),
                label="memory, MiB",
            )
        ax.set_title(f"{name}\n{growth_label(points)}", fontsize="small")
        keep_rows(ax, points[POINTS])
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, frameon=False, labelcolor=style.INK
    )
    return axes


def growth_label(points: pd.DataFrame) -> str:
    """``time ∝ size^1.00, memory ∝ size^0.00``."""
    parts = []
    for name, column in (("time", "median_ms"), ("memory", "peak_mib")):
        found = exponent(points["size"], points[column])
        if not math.isnan(found):
            parts.append(f"{name} ∝ size^{found:.2f}".replace("-", "−"))
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
