"""Quality against size: families of models as lines, with a band for their seeds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

FAMILIES = {"dense": style.DENSE, "sparse": style.SPARSE}
OTHERS = tuple(c for c in style.PALETTE if c not in FAMILIES.values())


@style.theme()
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
    bounds: tuple[float, float] = marks.PERCENT,
    ax: Axes | None = None,
) -> Axes:
    """One line a family: ``y`` over ``x``, shaded by ``spread`` to either side.

    Args:
        table: family, seeds, and the columns that ``x``, ``y`` and ``spread`` name; a row a model.
            Rows of fewer than three seeds have no band.
        x_label, y_label: of the axes, in words.
        names: what each family is called; the families in this order, others behind them.
        log: a logarithmic x axis, marked at the sizes there are.
        bounds: values of ``y`` that there can be at all; no band reaches beyond.
    """
    require_columns(table, ["family", "seeds", x, y, spread])
    ax = style.new_axes(ax)
    names = dict(names or {})
    families = [*names, *(f for f in table["family"].unique() if f not in names)]
    colours = iter(OTHERS * len(families))
    looks = {
        family: Look(
            names.get(family, str(family)), FAMILIES.get(family) or next(colours), marker=mark
        )
        for family, mark in zip(families, style.MARKERS * len(families), strict=False)
    }
    low, high = marks.ends_to_draw(
        table[y] - table[spread], table[y] + table[spread], table["seeds"], bounds
    )
    rows = table.assign(_low=low, _high=high)
    marks.lines(ax, rows, x, y, "family", looks, ends=("_low", "_high"), alpha=0.22)
    if log:
        ax.set_xscale("log")
        sizes = sorted(table[x].unique())
        ax.xaxis.set_major_locator(FixedLocator(sizes))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    marks.name_lines(ax, width=14)
    return keep_rows(ax, table[["family", x, y, spread, "seeds"]])
