"""The same figure twice: the reference runs, and beside them the reader's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sparsecore.errors import InputError, near_match
from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import label_rows

Tables = Mapping[str, pd.DataFrame]


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
    height: float = style.HEIGHT,
    **options: Any,
) -> np.ndarray:
    """One figure function, two panels: left the reference runs, right the reader's run.

    ``reference`` and ``yours``: tables by name (a summary), or None, which leaves one panel.
    ``table``: the name of the one to draw. ``cuts``: mark the step-size cuts of the table
    ``epochs``. ``options`` go to ``draw`` for both panels, ``each`` to one of them. The panels
    share their y axis where ``same_y``, and their legend. Returns the array of axes.
    """
    panels = [
        (tables, own, title)
        for tables, own, title in zip((reference, yours), each, titles, strict=True)
        if tables is not None
    ]
    if not panels:
        raise InputError("beside needs reference tables or your own; both are None")
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(style.WIDTH * (1.35 if len(panels) > 1 else 1.0), height),
        dpi=style.DPI,
        layout="constrained",
        sharey=same_y,
        squeeze=False,
    )
    for index, (ax, (tables, own, title)) in enumerate(zip(axes[0], panels, strict=True)):
        if table not in tables:
            raise InputError(f"there is no table {table!r}{near_match(table, tables)}")
        marks = {"epochs": tables["epochs"]} if cuts else {}
        draw(tables[table], ax=ax, **options, **marks, **own)
        label_rows(ax, "whose", title)
        ax.set_title(title, color=style.INK, fontsize="medium")
        if same_y and index > 0:
            ax.set_ylabel("")
    if len(panels) > 1:
        _one_legend(figure, axes[0])
    return axes[0]


def _one_legend(figure: Any, axes: Any) -> None:
    """One legend under both panels in place of two that say the same."""
    handles: dict[str, Any] = {}
    title = None
    for ax in axes:
        own = ax.get_legend()
        if own is None:
            continue
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
        title = own.get_title().get_text() or None
        own.remove()
    if handles:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=min(3, len(handles)),
            frameon=False,
            fontsize="small",
            labelcolor=style.INK,
            title=title,
        )
        if title:
            figure.legends[-1].get_title().set_color(style.INK)
