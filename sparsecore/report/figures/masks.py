"""Where the zeros are: weight matrices with predefined sparseness (Demeester et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows, label_rows

TRAINABLE = style.CLASSES["closed"]
COLOURS = ListedColormap(["#00000000", TRAINABLE])  # zeros are the page


@style.theme()
def mask(array: np.ndarray, ax: Axes | None = None, *, square: bool = True) -> Axes:
    """One matrix: True (trainable) in colour, False (zero) blank.

    ``array``: rows × columns of booleans. ``square``: every entry is a square; else the matrix
    fills the axes.
    """
    ax = style.new_axes(ax, width=4.0, height=4.0)
    rows, columns = array.shape
    ax.imshow(
        array,
        cmap=COLOURS,
        vmin=0,
        vmax=1,
        aspect="equal" if square else "auto",
        interpolation="nearest",
        extent=(0, columns, rows, 0),
    )
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(True)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
        axis.set_major_formatter("{x:,.0f}")
    ax.set_title(f"{100 * array.mean():.1f} % trainable")
    return keep_rows(ax, rectangles(array))


def rectangles(array: np.ndarray) -> pd.DataFrame:
    """The trainable entries of a mask as rectangles: first and last row and column, from 1.

    Equal rows that follow one another share theirs.

    >>> rectangles(np.array([[True, True, False], [True, True, False], [False, True, True]]))
       first_row  last_row  first_column  last_column
    0          1         2             1            2
    1          3         3             2            3
    """
    new = np.flatnonzero((array[1:] != array[:-1]).any(axis=1)) + 1
    tops = np.concatenate([[0], new])
    found = []
    for top, below in zip(tops, [*new, len(array)], strict=True):
        edges = np.flatnonzero(np.diff(np.pad(array[top].astype(int), 1)))
        found += [(top + 1, below, a + 1, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    names = ["first_row", "last_row", "first_column", "last_column"]
    return pd.DataFrame(found, columns=names)


@style.theme()
def recurrent_masks(w_hh: np.ndarray, w_hi: np.ndarray) -> np.ndarray:
    """Fig. 1: the hidden-to-hidden and the input-to-hidden matrix side by side, to one scale.

    ``w_hh``: h × h booleans; ``w_hi``: h × i. Returns the two axes.
    """
    widths = [max(w.shape[1], 0.25 * w_hh.shape[1]) for w in (w_hh, w_hi)]
    figure, axes = style.new_figure(style.HEIGHT, columns=2, width_ratios=widths)
    named = (("W_{hh}", "from hidden unit", w_hh), ("W_{hi}", "from input", w_hi))
    for ax, (symbol, source, array) in zip(axes[0], named, strict=True):
        mask(array, ax)
        label_rows(ax, "matrix", symbol)
        ax.set_xlabel(source)
        ax.set_title(f"${symbol}$, {ax.get_title()}")
    axes[0, 0].set_ylabel("to hidden unit")
    _name_colours(figure)
    return axes[0]


@style.theme()
def embedding_masks(masks: Mapping[float, np.ndarray]) -> np.ndarray:
    """Fig. 2: an embedding matrix for each density δ; the frequent words, below, are longer.

    ``masks``: V × k booleans by density, rows from the least to the most frequent word. Returns the
    axes, one for each density.
    """
    figure, axes = style.new_figure(style.HEIGHT, columns=len(masks), sharey=True)
    figure.get_layout_engine().set(wspace=0.06)  # between the numbers of neighbours
    for ax, (density, array) in zip(axes[0], masks.items(), strict=True):
        mask(array, ax, square=False)
        label_rows(ax, "density", density)
        ax.set_xlabel("dimension")
        ax.xaxis.set_major_locator(MaxNLocator(2, integer=True))
        ax.set_title(rf"$\delta_E = {density:g}$")
    first = next(iter(masks.values()))
    axes[0, 0].set_yticks([0, len(first)], ["least frequent", "most frequent"], rotation=90)
    for label, where in zip(axes[0, 0].get_yticklabels(), ("top", "bottom"), strict=True):
        label.set_verticalalignment(where)
    axes[0, 0].set_ylabel("word")
    _name_colours(figure)
    return axes[0]


def _name_colours(figure: Any) -> None:
    patches = [
        Patch(facecolor=TRAINABLE, label="trainable"),
        Patch(facecolor="none", edgecolor=style.INK, label="zero, not stored"),
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=2)
