"""Figs. 1 and 2 of Dodge et al. 2019: automata as rows of states, before and after; one at work."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from sparsecore.errors import InputError
from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns

KEPT, REMOVED, PATH = style.GREEN, style.GREY, style.ORANGE
RADIUS = 0.23
SMALL = 0.6  # a disc of less than this share would run through its number


@style.theme()
def automata(
    table: pd.DataFrame,
    labels: dict[int, str] | None = None,
    arrows: Mapping[tuple[int, int], str] | None = None,
    loops: Mapping[tuple[int, int], str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Each WFSA as a row: start state, main path, self-loops; removed states grey and dashed.

    ``table``: wfsa, state, norm, kept. The disc inside a state grows with the norm of its weights
    (its area is the norm's share of the largest). ``labels``: names of the rows by wfsa. ``arrows``
    and ``loops``: words at the arrow into a state and above its self-loop, by wfsa and state.
    """
    require_columns(table, ["wfsa", "state", "norm", "kept"])
    if table.empty:
        raise InputError("automata needs at least one state, got an empty table")
    order = list(dict.fromkeys(table["wfsa"]))
    longest = int(table["state"].max())
    scale = 1.6 if arrows or loops else 1.0  # room for the words
    width = min(style.WIDTH, 1.3 + 1.2 * scale * longest)
    ax = style.new_axes(ax, width=width, height=0.2 + 0.85 * scale * (len(order) + 0.15))
    largest = max(float(table["norm"].max()), 1e-12)
    for row, wfsa in enumerate(order):
        own = table[table["wfsa"] == wfsa].sort_values("state")
        any_kept = bool(own["kept"].any())
        _state(ax, 0, row, KEPT if any_kept else REMOVED, "-" if any_kept else ":", 0.0, "0")
        for state, norm, kept in zip(own["state"], own["norm"], own["kept"], strict=True):
            colour, line = (KEPT, "-") if kept else (REMOVED, ":")
            _arrow(ax, state - 1, row, colour, line)
            for words, x, y in ((arrows, state - 0.5, row - 0.05), (loops, state, row - 0.52)):
                if words and (wfsa, state) in words:
                    ax.text(x, y, words[wfsa, state], ha="center", va="bottom", color=style.INK,
                            fontsize=style.TEXT - 1, parse_math=False)  # fmt: skip
            _self_loop(ax, state, row, colour, line)
            _state(ax, state, row, colour, line, float(norm) / largest, str(state))
        name = f"WFSA {wfsa + 1}" if labels is None else labels.get(wfsa, "")
        ax.text(-0.45, row, name, ha="right", va="center", color=style.INK,
                parse_math=False)  # fmt: skip
    ax.set_xlim(-0.4, longest + 0.4)
    ax.set_ylim(len(order) - 0.7, -0.85 if loops else -0.65)
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=[])
    _bare(ax)
    return keep_rows(ax, table)


@style.theme()
def path_through_sentence(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A sentence from left to right, states from bottom to top: what each holds, and one path.

    ``table``: position, word, state, value, on_path, step, as of
    ``sparsecore.pruning.describe.reading``. Squares are the larger the more a state holds (of the
    largest magnitude; the start state always holds 1), hatched where it is negative.
    """
    require_columns(table, ["position", "word", "state", "value", "on_path", "step"])
    words = table.drop_duplicates("position").sort_values("position")
    states = int(table["state"].max()) + 1
    ax = style.new_axes(ax, height=1.1 + 0.8 * states)
    inner = table.loc[table["state"] > 0, "value"].abs()
    largest = max(float(inner.max()), 1e-12)
    for position, state, value in zip(
        table["position"], table["state"], table["value"], strict=True
    ):
        share = min(abs(value) / largest, 1.0) if state else 1.0
        side = 0.8 * share**0.5
        ax.add_patch(_square(position, state, side, REMOVED if state == 0 else KEPT, value < 0))
        if state and share > 0.02:
            ax.text(position, state + side / 2 + 0.03, style.number(value, ".2f"), va="bottom",
                    fontsize=style.TEXT - 2, color=style.INK, ha="center", zorder=6)  # fmt: skip
    path = table[table["on_path"]].sort_values("position")
    ax.plot(path["position"], path["state"], color=PATH, linewidth=1.8, zorder=4)
    taken = path[path["step"]]
    ax.plot(taken["position"], taken["state"], "o", color=PATH, markersize=9, zorder=5)
    ax.set_xlim(-0.6, len(words) - 0.4)
    ax.set_ylim(-0.6, states - 0.3)
    ax.set_xticks(words["position"], words["word"], parse_math=False)
    ax.set_yticks(range(states), ["start", *(f"state {i}" for i in range(1, states))])
    ax.tick_params(length=0)
    _bare(ax)
    return keep_rows(ax, table)


def _state(ax: Axes, x: float, y: float, colour: str, line: str, share: float, label: str) -> None:
    ax.add_patch(Circle((x, y), RADIUS, fill=False, edgecolor=colour, linestyle=line, lw=1.5))
    ax.add_patch(Circle((x, y), RADIUS * share**0.5, color=colour, alpha=0.3, linewidth=0))
    beside = (RADIUS * 0.85, RADIUS * 1.3) if 0 < share < SMALL else (0.0, 0.0)
    ax.text(x + beside[0], y + beside[1], label, ha="left" if beside[0] else "center", va="center",
            color=style.INK)  # fmt: skip


def _arrow(ax: Axes, x: float, y: float, colour: str, line: str) -> None:
    """The main path from state x to x + 1."""
    ax.add_patch(
        FancyArrowPatch((x + RADIUS, y), (x + 1 - RADIUS, y), arrowstyle="-|>", mutation_scale=9,
                        color=colour, linestyle=line, shrinkA=0, shrinkB=0, lw=1.2)
    )  # fmt: skip


def _self_loop(ax: Axes, x: float, y: float, colour: str, line: str) -> None:
    """An arc above state x (the y axis points down)."""
    angle = np.deg2rad(50)
    left, right = (
        (x + side * RADIUS * np.cos(angle), y - RADIUS * np.sin(angle)) for side in (-1, 1)
    )
    ax.add_patch(
        FancyArrowPatch(left, right, connectionstyle="arc3,rad=-1.3", arrowstyle="-|>",
                        mutation_scale=7, color=colour, linestyle=line, shrinkA=0, shrinkB=0,
                        lw=1.0)
    )  # fmt: skip


def _square(x: float, y: float, side: float, colour: str, negative: bool) -> Rectangle:
    corner, hatch = (x - side / 2, y - side / 2), "////" if negative else None
    look = {"facecolor": f"{colour}40", "edgecolor": colour, "linewidth": 0.8, "hatch": hatch}
    return Rectangle(corner, side, side, **look)


def _bare(ax: Axes) -> None:
    """No grid and no frame, only the drawing."""
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
