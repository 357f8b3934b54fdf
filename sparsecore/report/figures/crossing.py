"""One paper's measure on another's models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_points, keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

LOOKS = {
    "norm": Look("norm of its weights", style.ORANGE, marker="s"),
    "score": Look("size of its score", style.BLUE, marker="o"),
}


@style.theme()
def chi_by_blocks(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """chi of the upper LSTM over epochs, a colour a number of blocks, bands over seeds.

    ``table``: num_blocks, seed, epoch, signal (activation or gradient), chi. Bands reach from the
    least to the most of three seeds or more.
    """
    require_columns(table, ["num_blocks", "seed", "epoch", "signal", "chi"])
    ax = style.new_axes(ax, height=4.8)
    drawn = table.assign(series=table["signal"] + " " + table["num_blocks"].astype(str))
    looks = {
        f"{signal} {blocks}": Look(
            f"{signal}, {'1 block (dense)' if blocks == 1 else f'{blocks} blocks'}", colour, dashes
        )
        for signal, dashes in style.SIGNALS.items()
        for blocks, colour in zip(sorted(table["num_blocks"].unique()), style.PALETTE, strict=False)
    }
    marks.lines(ax, drawn, "epoch", "chi", "series", looks, spread=True, single=False)
    ax.set_ylabel(r"mean concentration of the upper LSTM, $\chi$")
    marks.whole_numbers(ax)
    marks.name_lines(ax)
    return keep_rows(ax, table)


@style.theme()
def survival(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How well a network shows what a penalty will spare: AUC over the goal, a point a model.

    ``table``: goal, look (norm or score), auc. Lines join the means; 0.5 is chance.
    """
    require_columns(table, ["goal", "look", "auc"])
    ax = style.new_axes(ax)
    goals = sorted(table["goal"].unique(), reverse=True)
    drawing = {"data": table, "x": "goal", "y": "auc", "hue": "look", "order": goals,
               "hue_order": list(LOOKS), "palette": {k: v.colour for k, v in LOOKS.items()},
               "legend": False, "ax": ax}  # fmt: skip
    sns.swarmplot(**drawing, dodge=True, size=4, alpha=0.5, warn_thresh=1)
    first = len(ax.lines)
    sns.pointplot(**drawing, dodge=0.4,  # pyrefly: ignore[bad-argument-type]
                  errorbar=None, linewidth=2, markersize=8,
                  markers=[str(look.marker) for look in LOOKS.values()])  # fmt: skip
    for line, look in zip(ax.lines[first:], LOOKS.values(), strict=True):
        line.set_label(look.name)
        means = np.asarray(line.get_ydata())
        told = [
            f"{look.name}, {g:g} transitions: {auc:.2f}"
            for g, auc in zip(goals, means, strict=True)
        ]
        keep_points(ax, line.get_xdata(), means, told)
    marks.zero_line(ax, 0.5, dashes=(0, (2, 2)))
    ax.annotate("chance", (0.995, 0.5), (0, -3), ("axes fraction", "data"), "offset points",
                color=style.INK, fontsize=style.TEXT - 1, ha="right", va="top")  # fmt: skip
    ax.set_xlabel("goal: transitions that the group lasso was to leave")
    ax.set_ylabel("AUC: a kept state\nabove a removed one")
    ax.set_ylim(0, 1.02)
    marks.name_lines(ax, width=12)
    return keep_rows(ax, table)
