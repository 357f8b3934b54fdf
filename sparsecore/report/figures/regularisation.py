"""Structures learned with a group lasso: accuracy against size, and which strength leaves what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator

from sparsecore.errors import InputError
from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

PANEL = 2.8  # inches, the height of one
FAMILIES = {
    "baseline": Look("fixed structure", style.BLUE, marker="s"),
    "regularised": Look("learned with group lasso", style.ORANGE, style.DASHED, "o"),
}
POINT = ["family", "transitions", "accuracy", "low", "high", "documents_low", "documents_high"]
SHIFT = 0.02  # decades by which the marks of a category stand right of the one before


@style.theme()
def accuracy_against_transitions(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Test accuracy over the number of transitions, baselines and learned structures (Fig. 3).

    ``table``: family, transitions, transitions_sd, accuracy, low, high (over seeds), seeds,
    documents_low, documents_high; a row a point, of one category. Thick bars: 95 % interval over
    seeds, of three or more; thin bars with caps: over test documents; horizontal: ± one standard
    deviation.
    """
    require_columns(table, [*POINT, "seeds"])
    ax = style.new_axes(ax)
    marks.lines(ax, table, "transitions", "accuracy", "family", FAMILIES)
    for family, look in FAMILIES.items():
        rows = table[table["family"] == family]
        bars: dict[str, Any] = {"fmt": "none", "ecolor": look.colour, "alpha": 0.6, "zorder": 2}
        across = np.nan_to_num(rows.get("transitions_sd", pd.Series(0.0, rows.index)))
        x, y = rows["transitions"].to_numpy(), rows["accuracy"].to_numpy()
        for low, high, seeds, shape in (
            ("low", "high", rows["seeds"], {"elinewidth": 3.0}),
            ("documents_low", "documents_high", None, {"elinewidth": 1.0, "capsize": 3}),
        ):
            ends = marks.ends_to_draw(rows[low], rows[high], seeds, marks.PERCENT)
            known = ~np.isnan(ends[0])
            reach = np.stack([y - ends[0], ends[1] - y])[:, known]
            # pyrefly: ignore[bad-argument-type]
            ax.errorbar(x[known], y[known], yerr=reach, **bars, **shape)
        wide = across > 0
        ax.errorbar(x[wide], y[wide], xerr=across[wide], elinewidth=1.0, **bars)
    ax.set_xlabel("transitions of all WFSAs together")
    ax.set_ylabel("accuracy, % of\nthe test documents")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    style.below(ax)
    return keep_rows(ax, table)


@style.theme()
def tradeoff_panels(table: pd.DataFrame) -> np.ndarray:
    """One panel a category, each with a scale of its own for accuracy.

    ``table``: category beside the columns of a panel. Returns the array of axes, row by row.
    """
    require_columns(table, ["category"])
    categories = list(table["category"].unique())
    if not categories:
        raise InputError("tradeoff_panels needs the points of at least one category")
    columns = min(2, len(categories))
    grid = style.panels(table, "category", PANEL, columns)
    for category, ax in grid.axes_dict.items():
        accuracy_against_transitions(table[table["category"] == category], ax)
        ax.set_title(str(category) if len(categories) > 1 else "", parse_math=False)
        style.drop_legend(ax)
        ax.label_outer()
        ax.tick_params(labelleft=True)  # each panel has a scale of its own
    style.figure_legend(grid.figure, grid.axes)
    return grid.axes


@style.theme()
def transitions_left(trials: pd.DataFrame, full: int | None = None, ax: Axes | None = None) -> Axes:
    """How many transitions each strength λ that was tried left, one colour a category.

    ``trials``: category, log10_strength, transitions; ``full``: how many there were before.
    """
    require_columns(trials, ["category", "log10_strength", "transitions"])
    ax = style.new_axes(ax)
    looks = marks.looks_of(trials["category"].unique())
    beside = trials["category"].map({key: SHIFT * n for n, key in enumerate(looks)})
    rows = trials.assign(strength=10.0 ** (trials["log10_strength"] + beside))
    sns.scatterplot(
        rows, x="strength", y="transitions", hue="category", style="category", s=45, alpha=0.7,
        palette={key: look.colour for key, look in looks.items()},
        markers={key: str(look.marker) for key, look in looks.items()},
        linewidth=0, legend=len(looks) > 1, ax=ax,
    )  # fmt: skip
    if full is not None:
        ax.axhline(full, color=style.INK, linewidth=1.0, linestyle=":")
        ax.text(0.99, full, "all there were", color=style.INK, ha="right", va="bottom",
                transform=ax.get_yaxis_transform())  # fmt: skip
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    every = (np.inf, np.inf)  # a label at every mark, however many decades there are
    ax.xaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=every))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylim(bottom=-0.03 * float(trials["transitions"].max()))  # marks at 0 whole
    ax.set_xlabel("strength of the group lasso, λ")
    ax.set_ylabel("transitions left")
    style.below(ax, ncols=4, title="reviews of")
    style.drop_legend(ax)
    return keep_rows(ax, trials)


@style.theme()
def states_kept(
    states: pd.DataFrame, names: Mapping[int, str] | None = None, ax: Axes | None = None
) -> Axes:
    """The automata before and after (Fig. 1): a row a WFSA, filled states are kept.

    ``states``: wfsa, state (1, 2, …), norm, kept; of one model. The area of a circle is the norm of
    the state's weights; the small square is the start state. Rows stand by what they keep; those
    that keep nothing are counted in the last line (all are drawn where no WFSA keeps anything).
    ``names``: of the rows, by wfsa and in their order; without them rows have numbers.
    """
    require_columns(states, ["wfsa", "state", "norm", "kept"])
    order = states.groupby("wfsa").agg(kept=("kept", "sum"), norm=("norm", "sum"))
    order = order.sort_values(["kept", "norm"], ascending=False, kind="stable")
    shown = order[order["kept"] > 0] if (order["kept"] > 0).any() else order
    gone = len(order) - len(shown)
    shown = shown.reindex(list(names)) if names else shown
    row = {wfsa: index for index, wfsa in enumerate(shown.index)}
    ax = style.new_axes(ax, height=max(2.2, 0.4 * len(row) + 1.2))
    kept_colour, largest = FAMILIES["regularised"].colour, float(states["norm"].max()) or 1.0
    y = states["wfsa"].map(row)
    for is_kept, part in states[states["wfsa"].isin(row)].groupby("kept"):
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
    names = names or {int(wfsa): f"WFSA {wfsa + 1}" for wfsa in row}
    ax.set_yticks(list(row.values()), [names.get(int(wfsa), "") for wfsa in row])
    ax.set_ylim(len(row) + (0.5 if gone else -0.4), -0.6)
    if gone:
        text = f"and {gone} more, of which no state was kept"
        ax.text(0, len(row), text, color=style.INK, fontsize=style.TEXT - 1, va="center")
    ax.grid(False)
    style.below(ax)
    return keep_rows(ax, states)
