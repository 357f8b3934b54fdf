"""The findings by scale: a statistic over updates and over exposure, with the paper's place."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows, label_rows
from sparsecore.report.figures.style import Look
from sparsecore.report.figures.training import mark_step_cuts
from sparsecore.stats.tables import require_columns

AXES = {"updates": "updates", "exposure": "times the median word of W was seen"}
PAPER = {
    "updates": "the paper, epochs 1 to 50",
    "exposure": "the paper's rarest word, epochs 1 to 50",
}
COLUMNS = ["finding", "statistic", "updates", "exposure", "method", "value", "low", "high", "seed"]
THOUSANDTHS = 1e3
COLOURS = (style.BLUE, style.GREEN, style.VIOLET, style.ORANGE, style.PINK, style.OCHRE)
PANELS = {  # finding -> what is drawn of it: statistic, method -> name, colour, dashes
    2: {("largest ρ of another signal", "pearson_log"): ("log", style.GREEN, style.SOLID),
        ("largest ρ of another signal", "pearson"): ("raw", style.GREEN, style.DASHED)},
    3: {("ρ of hᵉ minus ρ of h¹, input words", "pearson_log"): ("log", style.BLUE, style.SOLID),
        ("ρ of hᵉ minus ρ of h¹, input words", "pearson"): ("raw", style.BLUE, style.DASHED)},
    6: {("ρ over the closed classes of W", "pearson_log"): ("closed", style.OCHRE, style.SOLID),
        ("ρ over the open classes of W", "pearson_log"): ("open", style.VIOLET, style.SOLID)},
    7: {("mean χ, closed minus open, words seen more than 1,000 times", "mean"):
        ("over 1,000 times", style.ORANGE, style.SOLID),
        ("mean χ, closed minus open, W, at equal log frequency", "mean"):
        ("W, equal frequency", style.ORANGE, style.DASHED)},
}  # fmt: skip
TITLES = {
    2: "2: largest ρ of other signals\n(paper: below 0.3)",
    3: "3: embedding minus lower layer\n(paper: above 0)",
    6: "6: ρ (log frequency) within classes\n(paper: open rises)",
    7: "7: closed minus open, $10^{-3}$ χ\n(paper: above 0)",
}


@style.theme()
def rho_by_scale(scale: pd.DataFrame, paper: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Finding 1: ρ over W, over updates (above) and exposure (below), log axes; log and raw.

    ``scale``: the tables of that name, on top of one another, with a column ``run``, whose values
    have a colour each. ``paper``: its first and last epoch on either axis.
    """
    require_columns(scale, [*COLUMNS, "run"])
    shown = _trained(scale[(scale["finding"] == 1) & scale["method"].isin(list(style.SCALES))])
    looks = {
        run: Look(run, colour, width=2.2)
        for run, colour in zip(shown["run"].unique(), COLOURS, strict=False)
    }
    _, axes = style.new_figure(7.2, rows=2, columns=2, sharey=True, sharex="row")
    for row, x in zip(axes, AXES, strict=True):
        for ax, (method, (name, _)) in zip(row, style.SCALES.items(), strict=True):
            own = shown[shown["method"] == method]
            marks.lines(
                ax, own, x, "value", "run", looks, ends=("low", "high"), single=False, alpha=0.14
            )
            _mark_paper(ax, x, paper, PAPER[x])
            ax.set_title(f"{name} frequency" if x == "updates" else "")
            ax.set_xlabel(textwrap.fill(AXES[x], 28))
            ax.set_ylabel(r"$\rho_{\leftarrow}(\overline{h}^2)$ over W" if ax is row[0] else "")
            keep_rows(ax, own[["run", *COLUMNS]])
            label_rows(ax, "panel", f"{x}, {name}")
    axes[0, 0].set_ylim(bottom=-0.55)  # room for what the shades are
    style.figure_legend(
        axes[0, 0].get_figure(root=True), axes[:1, 0], ncols=min(len(looks), 3),
        columnspacing=1.2, handlelength=1.4,
    )  # fmt: skip
    return axes


@style.theme()
def rho_by_training(ways: pd.DataFrame, epochs: pd.DataFrame) -> np.ndarray:
    """ρ over W by epoch, a line for each way of training: log frequency above, raw below.

    ``ways``: epoch, method, value, low, high, with a column ``run``. ``epochs``: the epoch table
    of runs that were cut, for the places of the cuts.
    """
    require_columns(ways, ["epoch", "method", "value", "low", "high", "run"])
    names = list(ways["run"].unique())
    colours = dict(zip(names, (style.BLUE, style.ORANGE, style.GREEN), strict=False))
    looks = {
        name: replace(look, colour=colours.get(name, look.colour))
        for name, look in marks.looks_of(names, {name: name for name in names}).items()
    }
    _, axes = style.new_figure(6.6, rows=2, sharex=True)
    for ax, (method, (name, _)) in zip(axes[:, 0], style.SCALES.items(), strict=True):
        own = ways[ways["method"] == method]
        marks.zero_line(ax)
        marks.lines(ax, own, "epoch", "value", "run", looks, ends=("low", "high"), alpha=0.12)
        mark_step_cuts(ax, epochs)
        marks.whole_numbers(ax, "epoch")
        ax.set_ylabel(rf"$\rho$ over W, {name} frequency")
        marks.name_lines(ax)
        keep_rows(ax, own)
    axes[0, 0].set_xlabel("")
    return axes[:, 0]


@style.theme()
def findings_by_scale(scale: pd.DataFrame, paper: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Findings 2, 3, 6 and 7 over updates: a panel each; ``scale``: of one configuration."""
    require_columns(scale, COLUMNS)
    _, axes = style.new_figure(7.2, rows=2, columns=2)
    for ax, (finding, series) in zip(axes.flat, PANELS.items(), strict=True):
        shown = _trained(scale[scale["finding"] == finding])
        unit = THOUSANDTHS if finding == 7 else 1.0
        drawn = shown.copy()
        drawn["series"] = list(zip(shown["statistic"], shown["method"], strict=True))
        drawn[["value", "low", "high"]] *= unit
        looks = {key: Look(name, colour, dashes) for key, (name, colour, dashes) in series.items()}
        marks.lines(
            ax, drawn, "updates", "value", "series", looks, ends=("low", "high"), alpha=0.14
        )
        _mark_paper(ax, "updates", paper, "")
        ax.set_title(TITLES[finding], loc="left", fontsize=style.TEXT)
        ax.set_ylabel("")
        below = (0.5, -0.08 if ax in axes[0] else -0.24)
        style.legend(
            ax, loc="upper center", bbox_to_anchor=below, ncols=2, fontsize=style.TEXT - 1,
            columnspacing=1.2, handlelength=1.4,
        )  # fmt: skip
        keep_rows(ax, shown[COLUMNS])
    for ax in axes[0]:
        ax.set_xlabel("")
    return axes


@style.theme()
def classes_over_w(
    scale: pd.DataFrame, epochs: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Finding 6: ρ within the open and the closed classes of W over the epochs, log and raw.

    ``scale``: of one configuration. ``epochs``: its epoch table, for the learning-rate cuts.
    """
    require_columns(scale, [*COLUMNS, "epoch"])
    rows = scale[scale["finding"] == 6]
    looks = {
        (f"ρ over the {word_class} classes of W", method): Look(
            f"{word_class}, {name} frequency", style.CLASSES[word_class], dashes
        )
        for word_class in ("closed", "open")
        for method, (name, dashes) in style.SCALES.items()
    }
    drawn = rows.copy()
    drawn["series"] = list(zip(rows["statistic"], rows["method"], strict=True))
    ax = style.new_axes(ax, height=4.4)
    marks.zero_line(ax)
    marks.lines(ax, drawn, "epoch", "value", "series", looks, ends=("low", "high"), alpha=0.14)
    if epochs is not None:
        mark_step_cuts(ax, epochs)
    ax.set_ylabel(r"$\rho_{\leftarrow}(\overline{h}^2)$ within classes of W")
    marks.whole_numbers(ax)
    marks.name_lines(ax)
    return keep_rows(ax, rows)


def _trained(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the untrained network, which has no place on a log axis."""
    return rows[rows["updates"] > 0]


def _mark_paper(ax: Axes, x: str, paper: Mapping[str, tuple[float, float]], name: str) -> None:
    """Shade what the paper's epochs cover."""
    marks.zero_line(ax)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.set_xlabel(AXES[x])
    first, last = paper[x]
    ax.axvspan(first, last, color=style.INK, alpha=0.12, linewidth=0)
    if name:
        ax.annotate(
            name.replace(", ", ",\n"), (np.sqrt(first * last), 0.02),
            xycoords=("data", "axes fraction"), ha="center", va="bottom",
            fontsize=style.TEXT - 1, color=style.INK,
        )  # fmt: skip
