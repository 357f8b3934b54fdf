"""One paper's measure on another's models."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns

BLOCKS = {1: "#d55e00", 2: "#2185c5", 5: "#0c9a6c"}
OTHERS = "#b0689b"
LOOK_COLOURS = {"norm": "#d55e00", "score": "#2185c5"}
DASHES = {"activation": (0, (4, 2)), "gradient": "-"}
MARKERS = {"norm": "s", "score": "o"}
LOOKS = {"norm": "norm of its weights", "score": "size of its score"}


def chi_by_blocks(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """chi of the upper LSTM over epochs, a colour a number of blocks, bands over seeds.

    ``table``: num_blocks, seed, epoch, signal (activation or gradient), chi. Bands reach from the
    least to the most of the seeds.
    """
    require_columns(table, ["num_blocks", "seed", "epoch", "signal", "chi"])
    ax = style.new_axes(ax)
    for blocks, group in table.groupby("num_blocks"):
        colour = BLOCKS.get(int(blocks), OTHERS)  # pyright: ignore
        name = "one block (dense)" if blocks == 1 else f"{blocks} blocks"
        for signal, dashes in DASHES.items():
            own = group[group["signal"] == signal].groupby("epoch")["chi"]
            mean, low, high = own.mean(), own.min(), own.max()
            ax.plot(mean.index, mean, color=colour, linestyle=dashes, linewidth=1.8,
                    label=f"{name}, {signal}")  # fmt: skip
            ax.fill_between(mean.index, low, high, color=colour, alpha=0.18, linewidth=0)
    ax.set_xlabel("epoch")
    ax.set_ylabel(r"mean $\chi$ of the upper LSTM")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(ax)
    return keep_rows(ax, table)


def survival(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How well a network shows what a penalty will spare: AUC over the goal, a point a model.

    ``table``: goal, look (norm or score), auc. Lines join the means; 0.5 is chance.
    """
    require_columns(table, ["goal", "look", "auc"])
    ax = style.new_axes(ax)
    goals = sorted(table["goal"].unique(), reverse=True)
    ax.axhline(0.5, color=style.INK, linewidth=1.0, linestyle=(0, (2, 2)))
    for number, (look, marker) in enumerate(MARKERS.items()):
        own = table[table["look"] == look]
        colour, shift = LOOK_COLOURS[look], 0.24 * number - 0.12
        for place, goal in enumerate(goals):
            values = own.loc[own["goal"] == goal, "auc"].to_numpy()
            spread = np.linspace(-0.07, 0.07, len(values)) if len(values) > 1 else np.zeros(1)
            ax.plot(place + shift + spread[: len(values)], values, color=colour, alpha=0.45,
                    marker=marker, markersize=3.5, linestyle="none")  # fmt: skip
        means = [own.loc[own["goal"] == goal, "auc"].mean() for goal in goals]
        ax.plot(np.arange(len(goals)) + shift, means, color=colour, marker=marker, markersize=7,
                linewidth=1.6, label=LOOKS[look])  # fmt: skip
    ax.set_xticks(range(len(goals)), [f"{goal:g}" for goal in goals])
    ax.set_xlabel("goal: transitions left")
    ax.set_ylabel("AUC: kept above removed")
    ax.set_ylim(0, 1.02)
    style.legend(ax, loc="lower left")
    return keep_rows(ax, table)
