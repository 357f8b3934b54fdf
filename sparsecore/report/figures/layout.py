"""The same figure twice: the reference runs, and beside them the reader's own."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sparsecore.errors import InputError, near_match
from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import label_rows

Tables = Mapping[str, pd.DataFrame]
NARROW = 28  # letters of a line below one of two panels


def beside(
    draw: Callable[..., Axes],
    reference: Tables | None,
    yours: Tables | None,
    table: str,
    *,
    cuts: bool = False,
    each: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
    titles: tuple[str, str] = ("reference runs", "your run"),
    same_y: bool = True,
    height: float | None = None,
    **options: Any,
) -> np.ndarray:
    """One figure function: the reference runs alone, or left of the reader's run.

    ``reference`` and ``yours``: tables by name (a summary), or None, which leaves one panel, as
    wide as the page. ``table``: the name of the one to draw. ``cuts``: mark the learning-rate cuts
    of the table ``epochs``. ``options`` go to ``draw`` for both panels, ``each`` to one of them.
    ``height``: in inches, default the figure's own (of two panels, the usual one). Two panels share
    the width of the page and their legend, and their y axis where ``same_y``. Returns the array of
    axes.
    """
    panels = [
        (tables, own, title)
        for tables, own, title in zip((reference, yours), each, titles, strict=True)
        if tables is not None
    ]
    if not panels:
        raise InputError("beside needs reference tables or your own; both are None")
    columns = len(panels)
    axes: list[Axes | None] = [None]
    if columns > 1 or height is not None:
        _, made = style.new_figure(height or style.HEIGHT, columns=columns, sharey=same_y)
        axes = list(made[0])
    drawn = []
    for ax, (tables, own, title) in zip(axes, panels, strict=True):
        if table not in tables:
            raise InputError(f"there is no table {table!r}{near_match(table, tables)}")
        marks = {"epochs": tables["epochs"]} if cuts else {}
        ax = draw(tables[table], ax=ax, **options, **marks, **own)
        label_rows(ax, "whose", title)
        if columns > 1 or reference is None:
            ax.set_title(title, color=style.INK, fontsize=style.TEXT)
        if columns > 1:
            ax.set_xlabel(textwrap.fill(ax.get_xlabel(), NARROW))
        if drawn:  # it says the same
            ax.set_ylabel("")
        drawn.append(ax)
    if columns > 1:
        _one_legend(drawn)
    return np.array(drawn)


def _one_legend(axes: list[Axes]) -> None:
    """One legend under both panels in place of two that say the same."""
    own = [legend for ax in axes if (legend := ax.get_legend()) is not None]
    for legend in own:
        legend.remove()
    if own:
        title = own[-1].get_title().get_text() or None
        style.figure_legend(axes[0].get_figure(root=True), axes, title=title)
