"""Structures learned with a group lasso: accuracy against size, and which strength leaves what."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsecore.errors import InputError
from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns

COLOURS = {"baseline": "#2185c5", "regularised": "#d55e00"}
MARKERS = {"baseline": "s", "regularised": "o"}
DASHES = {"baseline": "-", "regularised": (0, (4, 2))}
NAMES = {"baseline": "fixed structure", "regularised": "learned with group lasso"}


def accuracy_against_transitions(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Test accuracy over the number of transitions, baselines and learned structures (Fig. 3).

    ``table``: family, transitions, transitions_sd, accuracy, low, high (over seeds),
    documents_low, documents_high; a row a point, of one category. Thick bars: 95 % interval over
    seeds; thin bars with caps: over test documents; horizontal: ± one standard deviation.
    """
    require_columns(
        table,
        ["family", "transitions", "accuracy", "low", "high", "documents_low", "documents_high"],
    )
    ax = style.new_axes(ax)
    for family, colour in COLOURS.items():
        line = table[table["family"] == family].sort_values("transitions")
        if line.empty:
            continue
        x, y = line["transitions"], line["accuracy"]
        ax.plot(x, y, color=colour, linestyle=DASHES[family], linewidth=1.6, zorder=3,
                marker=MARKERS[family], markersize=5, label=NAMES[family])  # fmt: skip
        for low, high, width, cap in (
            ("low", "high", 2.6, 0.0),
            ("documents_low", "documents_high", 0.9, 2.5),
        ):
            known = line[low].notna()
            error = [(y - line[low])[known], (line[high] - y)[known]]
            ax.errorbar(x[known], y[known], yerr=error, fmt="none", ecolor=colour, alpha=0.6,
                        elinewidth=width, capsize=cap, zorder=2)  # fmt: skip
        if "transitions_sd" in line.columns:
            sd = line["transitions_sd"].fillna(0.0)
            wide = sd > 0
            ax.errorbar(x[wide], y[wide], xerr=sd[wide], fmt="none", ecolor=colour, alpha=0.6,
                        elinewidth=0.9, zorder=2)  # fmt: skip
    ax.set_xlabel("transitions of all WFSAs together")
    ax.set_ylabel("accuracy, % of the test documents")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(ax, loc="lower right")
    return keep_rows(ax, table)


def tradeoff_panels(table: pd.DataFrame, columns: int = 2, height: float = 3.3) -> np.ndarray:
    """One panel a category, each with a scale of its own for accuracy.

    ``table``: category beside the columns of a panel. Returns the array of axes, row by row.
    """
    require_columns(table, ["category"])
    categories = list(table["category"].unique())
    if not categories:
        raise InputError("tradeoff_panels needs the points of at least one category")
    columns = min(columns, len(categories))
    rows = math.ceil(len(categories) / columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(style.WIDTH * (1.25 if columns > 1 else 1.0), height * rows),
        dpi=style.DPI,
        layout="constrained",
        sharex=True,
        squeeze=False,
    )
    flat = axes.ravel()
    for ax, category in zip(flat, categories, strict=False):
        accuracy_against_transitions(table[table["category"] == category], ax)
        if len(categories) > 1:
            ax.set_title(str(category), color=style.INK, fontsize="medium", parse_math=False)
        ax.label_outer()
        ax.tick_params(labelleft=True)  # each panel has a scale of its own
        if ax is not flat[0] and ax.legend_ is not None:
            ax.legend_.remove()
    for ax in flat[len(categories) :]:
        figure.delaxes(ax)
    return flat[: len(categories)]


def transitions_left(trials: pd.DataFrame, full: int | None = None, ax: Axes | None = None) -> Axes:
    """How many transitions each strength λ that was tried left, one colour a category.

    ``trials``: category, log10_strength, transitions; ``full``: how many there were before.
    """
    require_columns(trials, ["category", "log10_strength", "transitions"])
    ax = style.new_axes(ax)
    palette = [*COLOURS.values(), "#0c9a6c", "#b0689b", "#b8860b", "#7f73c6"]
    for index, (category, part) in enumerate(trials.groupby("category", sort=False)):
        ax.scatter(
            10 ** part["log10_strength"],
            part["transitions"],
            color=palette[index % len(palette)],
            marker="o^sDvP"[index % 6],
            s=22,
            alpha=0.75,
            linewidth=0,
            label=None if trials["category"].nunique() == 1 else style.as_typed(category),
        )
    if full is not None:
        ax.axhline(full, color=style.INK, linewidth=0.9, linestyle=":")
        ax.text(0.99, full, "all there were", color=style.INK, fontsize="small", ha="right",
                va="bottom", transform=ax.get_yaxis_transform())  # fmt: skip
    ax.set_xscale("log")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("strength of the group lasso, λ")
    ax.set_ylabel("transitions left")
    style.legend(ax)
    return keep_rows(ax, trials)


def states_kept(states: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The automata before and after (Fig. 1): a row a WFSA, filled states are kept.

    ``states``: wfsa, state (1, 2, …), norm, kept; of one model. The area of a circle is the norm of
    the state's weights; the small square is the start state. Rows stand by what they keep.
    """
    require_columns(states, ["wfsa", "state", "norm", "kept"])
    order = states.groupby("wfsa").agg(kept=("kept", "sum"), norm=("norm", "sum"))
    order = order.sort_values(["kept", "norm"], ascending=False, kind="stable")
    row = {wfsa: index for index, wfsa in enumerate(order.index)}
    ax = style.new_axes(ax, height=max(2.0, 0.28 * len(row) + 0.9))
    kept_colour, largest = COLOURS["regularised"], float(states["norm"].max()) or 1.0
    y = states["wfsa"].map(row)
    for is_kept, part in states.groupby("kept"):
        colour = kept_colour if is_kept else style.INK
        for _, one in part.iterrows():
            x, height = float(one["state"]), float(row[one["wfsa"]])
            ax.plot([x - 1, x], [height, height], color=colour, linewidth=1.8 if is_kept else 0.7,
                    linestyle="-" if is_kept else (0, (2, 2)), zorder=1)  # fmt: skip
        ax.scatter(
            part["state"],
            y[part.index],
            s=12 + 150 * part["norm"] / largest,
            facecolor=colour if is_kept else "none",
            edgecolor=colour,
            linewidth=1.0,
            zorder=2,
            label="kept" if is_kept else "removed",
        )
    ax.scatter([0] * len(row), list(row.values()), marker="s", s=14, color=style.INK, zorder=2)
    ax.set_xticks(range(int(states["state"].max()) + 1))
    ax.set_xlabel("state (0: start)")
    ax.set_yticks(list(row.values()), [str(int(wfsa) + 1) for wfsa in row])
    ax.set_ylabel("WFSA")
    ax.set_ylim(len(row) - 0.4, -0.6)
    ax.grid(False)
    style.legend(ax, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return keep_rows(ax, states)
