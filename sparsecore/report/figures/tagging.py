"""Sparse embeddings of a tagger: accuracy by size, by order of the vocabulary, by frequency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

ORDERS = {
    "up": Look("frequent words long", style.SPARSE, marker="o"),
    "none": Look("random order", style.BLUE, marker="D"),
    "down": Look("rare words long", style.PINK, marker="v"),
}
DENSE = Look("dense", style.DENSE, marker="s")
FAMILIES = {"dense": style.DENSE, "sparse": style.SPARSE}
OTHERS = tuple(c for c in style.PALETTE if c not in FAMILIES.values())
SETTINGS = ["embedding_dim", "density", "order"]


@style.theme()
def tradeoff(
    table: pd.DataFrame,
    x_label: str,
    y_label: str,
    *,
    names: Mapping[str, str] | None = None,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """One line a family: accuracy over size, with a band of one standard deviation (Fig. 3).

    Args:
        table: family, size, accuracy (percent), sd, seeds; a row a model. Rows of fewer than three
            seeds have no band.
        x_label, y_label: of the axes, in words.
        names: what each family is called; the families in this order, others behind them.
        log: a logarithmic x axis, marked at the sizes there are.
    """
    columns = ["family", "size", "accuracy", "sd", "seeds"]
    require_columns(table, columns)
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
    accuracy, sd = table["accuracy"], table["sd"]
    low, high = marks.ends_to_draw(accuracy - sd, accuracy + sd, table["seeds"], marks.PERCENT)
    rows = table.assign(_low=low, _high=high)
    marks.lines(ax, rows, "size", "accuracy", "family", looks, ends=("_low", "_high"), alpha=0.22)
    if log:
        ax.set_xscale("log")
        sizes = sorted(table["size"].unique())
        ax.xaxis.set_major_locator(FixedLocator(sizes))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    marks.name_lines(ax, width=14)
    return keep_rows(ax, table[columns])


@style.theme()
def orders_compared(accuracy: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Table 3 as a picture: accuracy of each order of the vocabulary at each density, 95 % bars.

    ``accuracy``: embedding_dim, density, order, accuracy, low, high, seeds. Densities at which
    another order than ``up`` was trained are shown, and the full dense embedding. Fewer than three
    seeds have no bar.
    """
    columns = [*SETTINGS, "accuracy", "low", "high", "seeds"]
    require_columns(accuracy, columns)
    ax = style.new_axes(ax, height=4.8)
    widest = accuracy["embedding_dim"].max()
    full = accuracy[(accuracy["density"] == 1) & (accuracy["embedding_dim"] == widest)]
    sparse = accuracy[accuracy["density"] < 1]
    densities = sorted(sparse.loc[sparse["order"] != "up", "density"].unique(), reverse=True)
    sparse = sparse[sparse["density"].isin(densities)]
    named = [_bars(ax, np.zeros(len(full)), full, DENSE)]
    for number, (order, look) in enumerate(ORDERS.items()):
        rows = sparse[sparse["order"] == order].sort_values("density", ascending=False)
        places = [densities.index(d) + 1 + 0.16 * (number - 1) for d in rows["density"]]
        named.append(_bars(ax, np.array(places), rows, look))
    labels = ["1 (dense)", *(f"{density:g}" for density in densities)]
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlim(-0.5, len(labels) - 0.5)
    ax.set_xlabel("density of the embedding, $\\delta_E$")
    ax.set_ylabel("accuracy, % of the test words")
    marks.name_places(ax, [name for name in named[1:] if name], width=14)
    return keep_rows(ax, pd.concat([full, sparse])[columns])


def _bars(
    ax: Axes, places: np.ndarray, rows: pd.DataFrame, look: Look
) -> tuple[str, float, float, str] | None:
    """Draw them; return the last one's name and place."""
    if rows.empty:
        return None
    ends = marks.ends_to_draw(rows["low"], rows["high"], rows["seeds"], marks.PERCENT)
    told = [f"{look.name}, {value:.1f} %" for value in rows["accuracy"]]
    marks.points(ax, places, rows["accuracy"], ends, look, texts=told)
    return look.name, float(places[-1]), float(rows["accuracy"].iloc[-1]), look.colour


@style.theme()
def accuracy_by_frequency(
    frequencies: pd.DataFrame, shown: Mapping[str, Sequence[object]], ax: Axes | None = None
) -> Axes:
    """Accuracy on words that were never, rarely, often seen in training, a line a model.

    ``frequencies``: embedding_dim, density, order, seen, accuracy; the classes in the order of the
    table. ``shown``: what to call a model, and its (embedding_dim, density, order). Models that the
    table does not have are left out; dense ones but the first are dashed.
    """
    require_columns(frequencies, [*SETTINGS, "seen", "accuracy"])
    ax = style.new_axes(ax, height=4.8)
    classes = list(dict.fromkeys(frequencies["seen"]))
    looks, drawn = {}, []
    for index, (name, setting) in enumerate(shown.items()):
        rows = frequencies[(frequencies[SETTINGS] == list(setting)).all(axis=1)]
        if rows.empty:
            continue
        dense = setting[1] == 1
        kind, later = DENSE if dense else ORDERS[str(setting[2])], dense and index > 0
        dashes = style.DASHED if later else style.SOLID
        colour = style.VIOLET if later else kind.colour
        looks[name] = Look(name, colour, dashes, kind.marker, filled=not later)
        drawn.append(rows.assign(model=name, place=[classes.index(c) for c in rows["seen"]]))
    if not drawn:
        return ax
    table = pd.concat(drawn, ignore_index=True)
    marks.lines(ax, table, "place", "accuracy", "model", looks, at=dict(enumerate(classes)))
    short = [str(name).replace(" to ", "–").replace(" or more", "+") for name in classes]
    ax.set_xticks(range(len(classes)), short)
    ax.set_xlabel("how often the word was seen in training")
    ax.set_ylabel("accuracy, %")
    marks.name_lines(ax, width=18)
    return keep_rows(ax, table[["model", *SETTINGS, "seen", "accuracy"]])
