"""The same figure twice: the reference runs, and beside them the reader's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from sparsecore.errors import InputError
from sparsecore.view import style


def beside(
    draw: Callable[[Any, Axes], Axes],
    reference: Any,
    yours: Any,
    titles: tuple[str, str] = ("reference runs", "your run"),
    same_y: bool = True,
    height: float = style.HEIGHT,
) -> np.ndarray:
    """Two panels, left the reference and right the reader's run; one panel if either is None.

    ``draw(table, ax)`` draws one panel; any of the figure functions with its options bound. The
    panels share their y axis where ``same_y``, and their legend.
    Returns the array of axes.
    """
    panels = [
        (table, title)
        for table, title in zip((reference, yours), titles, strict=True)
        if table is not None
    ]
    if not panels:
        raise InputError("beside needs a reference table or one of your own; both are None")
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(style.WIDTH * (1.35 if len(panels) > 1 else 1.0), height),
        dpi=style.DPI,
        layout="constrained",
        sharey=same_y,
        squeeze=False,
    )
    for index, (ax, (table, title)) in enumerate(zip(axes[0], panels, strict=True)):
        draw(table, ax)
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
