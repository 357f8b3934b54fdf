"""Sparse embeddings of a tagger: which words have the long vectors, and what each kind gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns

ORDERS = {
    "up": ("frequent words long (up)", "#0c9a6c", "o"),
    "none": ("words in random order (none)", "#2185c5", "D"),
    "down": ("rare words long (down)", "#b0689b", "v"),
}
DENSE = ("dense", "#d55e00", "s")
SETTINGS = ["embedding_dim", "density", "order"]


def orders_compared(accuracy: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Table 3 as a picture: accuracy of each order of the vocabulary at each density, 95 % bars.

    ``accuracy``: embedding_dim, density, order, accuracy, low, high. Densities at which another
    order than ``up`` was trained are shown, and the full dense embedding.
    """
    require_columns(accuracy, [*SETTINGS, "accuracy", "low", "high"])
    ax = style.new_axes(ax)
    widest = accuracy["embedding_dim"].max()
    full = accuracy[(accuracy["density"] == 1) & (accuracy["embedding_dim"] == widest)]
    sparse = accuracy[accuracy["density"] < 1]
    densities = sorted(sparse.loc[sparse["order"] != "up", "density"].unique(), reverse=True)
    _bars(ax, np.zeros(len(full)), full, *DENSE)
    for number, (order, (name, colour, marker)) in enumerate(ORDERS.items()):
        rows = sparse[(sparse["order"] == order) & sparse["density"].isin(densities)]
        places = [densities.index(d) + 1 + 0.16 * (number - 1) for d in rows["density"]]
        _bars(ax, np.array(places), rows, name, colour, marker)
    labels = ["1", *(f"{density:g}" for density in densities)]
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlim(-0.5, len(labels) - 0.5)
    ax.set_xlabel("density of the embedding, $\\delta_E$")
    ax.set_ylabel("accuracy, % of the test words")
    style.legend(ax, loc="lower left")
    drawn = pd.concat([full, sparse[sparse["density"].isin(densities)]])
    return keep_rows(ax, drawn[[*SETTINGS, "accuracy", "low", "high"]])


def _bars(
    ax: Axes, places: np.ndarray, rows: pd.DataFrame, name: str, colour: str, marker: str
) -> None:
    if rows.empty:
        return
    reach = np.stack([rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]])
    ax.errorbar(
        places,
        rows["accuracy"],
        yerr=np.nan_to_num(reach),
        color=colour,
        marker=marker,
        markersize=6,
        linestyle="none",
        capsize=3,
        label=name,
    )


def accuracy_by_frequency(
    frequencies: pd.DataFrame, shown: Mapping[str, Sequence[object]], ax: Axes | None = None
) -> Axes:
    """Accuracy on words that were never, rarely, often seen in training, a line a model.

    ``frequencies``: embedding_dim, density, order, seen, accuracy; the classes in the order of the
    table. ``shown``: what to call a model, and its (embedding_dim, density, order). Models that the
    table does not have are left out; dense ones but the first are dashed.
    """
    require_columns(frequencies, [*SETTINGS, "seen", "accuracy"])
    ax = style.new_axes(ax)
    classes = list(dict.fromkeys(frequencies["seen"]))
    drawn = []
    known = {order: (colour, marker) for order, (_, colour, marker) in ORDERS.items()}
    for index, (name, setting) in enumerate(shown.items()):
        rows = frequencies[(frequencies[SETTINGS] == list(setting)).all(axis=1)]
        if rows.empty:
            continue
        dense = setting[1] == 1
        colour, marker = DENSE[1:] if dense else known[str(setting[2])]
        ax.plot(
            [classes.index(c) for c in rows["seen"]],
            rows["accuracy"],
            color=colour,
            marker=marker,
            markerfacecolor="none" if dense and index > 0 else colour,
            linestyle=(0, (3, 2)) if dense and index > 0 else "-",
            linewidth=1.8,
            label=name,
        )
        drawn.append(rows.assign(model=name)[["model", *SETTINGS, "seen", "accuracy"]])
    short = [str(name).replace(" to ", "–").replace(" or more", "+") for name in classes]
    ax.set_xticks(range(len(classes)), short)
    ax.set_xlabel("how often the word was seen in training")
    ax.set_ylabel("accuracy, %")
    style.legend(ax, loc="lower right")
    return keep_rows(ax, pd.concat(drawn)) if drawn else ax
