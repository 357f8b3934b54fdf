"""Quality against size: families of models as lines, with a band for their seeds."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns

FAMILIES = {"dense": "#d55e00", "sparse": "#0c9a6c"}
OTHERS = ("#2185c5", "#b0689b", "#b8860b", "#7f73c6")
MARKERS = ("s", "o", "^", "D", "v", "P")


def tradeoff(
    table: pd.DataFrame,
    x_label: str,
    y_label: str,
    *,
    x: str = "size",
    y: str = "accuracy",
    spread: str = "sd",
    names: Mapping[str, str] | None = None,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """One line a family: ``y`` over ``x``, shaded by ``spread`` to either side.

    Args:
        table: family, and the columns that ``x``, ``y`` and ``spread`` name; a row a model. Rows
            without a spread (one seed) have no band.
        x_label, y_label: of the axes, in words.
        names: what the legend calls each family; the families in this order, others behind them.
        log: a logarithmic x axis, marked at the sizes there are.
    """
    require_columns(table, ["family", x, y, spread])
    ax = style.new_axes(ax)
    names = dict(names or {})
    families = [*names, *(f for f in table["family"].unique() if f not in names)]
    spare, markers = cycle(OTHERS), cycle(MARKERS)
    for family in families:
        colour = FAMILIES.get(family) or next(spare)
        marker = next(markers)
        line = table[table["family"] == family].sort_values(x)
        if line.empty:
            continue
        ax.fill_between(
            line[x],
            line[y] - line[spread],
            line[y] + line[spread],
            color=colour,
            alpha=0.22,
            linewidth=0,
        )
        ax.plot(
            line[x],
            line[y],
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=1.8,
            label=names.get(family, family),
        )
    if log:
        ax.set_xscale("log")
        sizes = sorted(table[x].unique())
        ax.xaxis.set_major_locator(FixedLocator(sizes))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    style.legend(ax, loc="lower right")
    return keep_rows(ax, table[["family", x, y, spread]])
