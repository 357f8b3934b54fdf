"""The rows behind a figure: each figure function keeps what it draws, the figure carries it as CSV.

In a notebook the CSV is part of the figure's output, of the type ``text/csv``: beside the picture
in the executed copy, where the book finds what it offers below the figure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

CSV = "text/csv"

_ROWS: WeakKeyDictionary[Axes, pd.DataFrame] = WeakKeyDictionary()
_POINTS: WeakKeyDictionary[Axes, list[pd.DataFrame]] = WeakKeyDictionary()
_NAMES: WeakKeyDictionary[Axes, dict[str, str]] = WeakKeyDictionary()  # colour by name


def keep_rows(ax: Axes, rows: pd.DataFrame) -> Axes:
    """Remember ``rows`` as what ``ax`` shows."""
    _ROWS[ax] = rows.reset_index(drop=True)
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure._repr_mimebundle_ = partial(_mimebundle, figure)  # pyrefly: ignore[missing-attribute]
    return ax


def keep_points(ax: Axes, x: Any, y: Any, texts: Iterable[str]) -> None:
    """Remember what is to be said of the places ``x``, ``y`` (data coordinates) of ``ax``."""
    said = pd.DataFrame({"x": np.asarray(x, float), "y": np.asarray(y, float), "text": list(texts)})
    _POINTS.setdefault(ax, []).append(said.dropna())


def keep_names(ax: Axes, colours: Mapping[str, Any], dashed: Collection[str] = ()) -> None:
    """Remember which colour each name beside ``ax`` stands for, and whether its line is dashed."""
    _NAMES[ax] = {
        name: to_hex(colour) + " dashed" * (name in dashed) for name, colour in colours.items()
    }


def names_of(figure: Figure) -> dict[str, str]:
    """``#rrggbb`` or ``#rrggbb dashed`` by name of what is named beside the axes of a figure."""
    return {name: colour for ax in figure.axes for name, colour in _NAMES.get(ax, {}).items()}


def label_rows(ax: Axes, column: str, value: str | float) -> None:
    """Put ``column`` in front of the rows of ``ax``, to tell them from those of other panels."""
    if ax in _ROWS:
        others = _ROWS[ax].drop(columns=column, errors="ignore")
        others.insert(0, column, value)
        _ROWS[ax] = others


def rows_of(figure: Figure) -> pd.DataFrame | None:
    """Everything that a figure shows, panel by panel; None where nothing was kept."""
    kept = [_ROWS[ax] for ax in figure.axes if ax in _ROWS]
    return pd.concat(kept, ignore_index=True) if kept else None


def csv_of(figure: Figure) -> str | None:
    """The same as text: a header, then a line a row; seven digits, as many as float32 has."""
    rows = rows_of(figure)
    return None if rows is None else rows.to_csv(index=False, float_format="%.7g")


def points_of(figure: Figure) -> pd.DataFrame:
    """The places of a figure of which something is to be said, as shares of its picture.

    Returns ``left`` and ``top``, from 0 to 1 of the picture as a notebook shows it (cut to what is
    drawn, with Matplotlib's margin), and ``text``.
    """
    figure.draw_without_rendering()
    margin = float(mpl.rcParams["savefig.pad_inches"])
    picture = figure.get_tightbbox().padded(margin)
    found = []
    for ax in figure.axes:
        for said in _POINTS.get(ax, []):
            inches = ax.transData.transform(said[["x", "y"]]) / figure.dpi
            left = (inches[:, 0] - picture.x0) / picture.width
            top = (picture.y1 - inches[:, 1]) / picture.height
            found.append(pd.DataFrame({"left": left, "top": top, "text": said["text"]}))
    empty = pd.DataFrame({"left": [], "top": [], "text": []})
    return pd.concat(found, ignore_index=True) if found else empty


def _mimebundle(figure: Figure, include: Any = None, exclude: Any = None) -> dict[str, str]:
    """What IPython adds to the picture of a figure that it displays."""
    text = csv_of(figure)
    return {} if text is None else {CSV: text}
