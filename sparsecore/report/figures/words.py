"""Figures with a point a word: chi against frequency (Fig. 5), and two samples side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from sparsecore.errors import InputError
from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_points, keep_rows
from sparsecore.report.figures.training import right_scale
from sparsecore.stats.tables import require_columns

_UNITS = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 300, 500, 1000)
_CLASSES = ("none", "open", "closed")  # the few function words on top
_CROWDED = 1  # points that a name may cover
_SIGNS = 3  # marks of punctuation with a name
_SPELLED = {
    ",": "comma",
    ".": "full stop",
    "-": "hyphen",
    "–": "dash",
    "'": "apostrophe",
    '"': "quotation mark",
}


@style.theme()
def chi_against_frequency(
    table: pd.DataFrame,
    value: str = "chi",
    min_frequency: int = 0,
    names: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """Mean chi against frequency (log scale), a point a word, coloured by class (Fig. 5).

    ``table``: word, frequency, word_class, the value. The right-hand scale is the same chi as
    effective units, 1/chi². Of each class, up to ``names`` of the most frequent words and as many
    of the most concentrated ones are named, where the name covers next to no point; and the most
    concentrated marks of punctuation. The line is the mean over words whose frequencies have the
    same power of two below them.
    """
    require_columns(table, ["word", "frequency", "word_class", value])
    chosen = table[table[value].notna() & (table["frequency"] >= max(min_frequency, 1))]
    if chosen.empty:
        raise InputError(f"no word has a frequency of {min_frequency} or more")
    ax = style.new_axes(ax, height=5.4)
    classes = [c for c in _CLASSES if (chosen["word_class"] == c).any()]
    drawn = chosen.set_index("word_class").loc[classes].reset_index()
    sns.scatterplot(
        drawn, x="frequency", y=value, hue="word_class", style="word_class", size="word_class",
        hue_order=classes, style_order=classes, palette=style.CLASSES,
        markers=style.CLASS_MARKERS, sizes={"none": 16, "open": 9, "closed": 26}, alpha=0.6,
        linewidth=0, rasterized=True, legend=False, ax=ax,
    )  # fmt: skip
    for word_class in reversed(classes):
        ax.scatter([], [], color=style.CLASSES[word_class], marker=style.CLASS_MARKERS[word_class],
                   label=style.CLASS_NAMES[word_class])  # fmt: skip
    octave = np.floor(np.log2(chosen["frequency"].to_numpy(float)))
    means = chosen.groupby(octave)[["frequency", value]].mean()
    ax.plot(means["frequency"], means[value], color=style.INK, linewidth=2, label="mean")
    ax.set_xscale("log")
    ax.set_xlim(right=1.3 * ax.get_xlim()[1])  # room for a name
    ax.set_xlabel("occurrences in the training text (log scale)")
    ax.set_ylabel(f"mean concentration of the gradient, ${style.TOP_GRADIENT}$")
    if value.startswith("chi"):
        low, high = ax.get_ylim()
        units = [u for u in _UNITS if low <= u**-0.5 <= high]
        places = np.array([u**-0.5 for u in units])
        right_scale(ax, places, [str(u) for u in units], r"effective units, $1/\chi^2$")
    style.below(ax, handletextpad=0.2, columnspacing=1.2)
    _name_words(ax, chosen, value, names, means[["frequency", value]].to_numpy(float))
    told = [
        f"{row['word']}: χ {row[value]:.4f}, {row['frequency']:,} times"
        for row in chosen.to_dict("records")
    ]
    keep_points(ax, chosen["frequency"], chosen[value], told)
    return keep_rows(ax, chosen[["word", "word_class", "frequency", value]])


@style.theme()
def samples_compared(
    table: pd.DataFrame,
    value: str = "chi",
    ax: Axes | None = None,
) -> Axes:
    """Two samples of words matched in frequency: every word, and the mean of each sample.

    ``table``: word, word_class (open|closed), frequency, the value.
    """
    require_columns(table, ["word", "word_class", "frequency", value])
    rows = table.loc[table[value].notna(), ["word", "word_class", "frequency", value]]
    classes = ["closed", "open"]
    for word_class in classes:
        if not (rows["word_class"] == word_class).any():
            raise InputError(f"the sample has no {word_class} words")
    ax = style.new_axes(ax, height=3.4)
    drawing = {"data": rows, "x": value, "y": "word_class", "order": classes,
               "hue": "word_class", "palette": style.CLASSES, "legend": False}  # fmt: skip
    sns.swarmplot(**drawing, hue_order=classes, size=4, alpha=0.7, warn_thresh=1, ax=ax)
    for row, word_class in enumerate(classes):
        mean = float(rows.loc[rows["word_class"] == word_class, value].mean())
        colour = style.CLASSES[word_class]
        ax.plot([mean] * 2, [row - 0.36, row + 0.36], color=colour, linewidth=3)
        ax.annotate(f"mean {mean:.4f}", (mean, row - 0.38), color=style.INK, ha="center")
        own = rows[rows["word_class"] == word_class]
        told = [f"{w}: χ {chi:.4f}" for w, chi in zip(own["word"], own[value], strict=True)]
        keep_points(ax, own[value], np.full(len(own), row), told)
    ax.set_ylim(1.5, -0.65)
    ax.set_ylabel("")
    ax.set_xlabel(rf"mean concentration, ${style.TOP_GRADIENT}$")
    ax.grid(False, axis="y")
    return keep_rows(ax, rows)


def _name_words(ax: Axes, table: pd.DataFrame, value: str, names: int, line: np.ndarray) -> None:
    """Name words beside their point or above it, where there is room, and off the ``line``."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    inside = ax.get_window_extent()
    dots = ax.transData.transform(table[["frequency", value]].to_numpy(float))
    corners = ax.transData.transform(line)
    steps = np.linspace(0, len(corners) - 1, 60 * len(corners))
    path = np.stack([np.interp(steps, range(len(corners)), axis) for axis in corners.T], axis=1)
    taken: dict[str, Any] = {}
    signs = table["word"].str.fullmatch(r"\W")
    groups = [  # the points furthest out first
        ("none", table[signs], value, _SIGNS),
        *(
            (word_class, table[(table["word_class"] == word_class) & ~signs], column, names)
            for word_class in ("closed", "open")
            for column in ("frequency", value)
        ),
    ]
    for word_class, part, column, most in groups:
        named = 0
        order = part.sort_values(column, ascending=False, kind="stable").head(6 * most)
        for row in order.to_dict("records"):
            if named == most:
                break
            if row["word"] in taken:
                continue
            for side, shift in (("left", (5, 0)), ("right", (-5, 0)), ("center", (0, 10))):
                text = ax.annotate(
                    _SPELLED.get(row["word"]) or str(row["word"]), (row["frequency"], row[value]),
                    shift, textcoords="offset points", ha=side, va="center", parse_math=False,
                    color=style.CLASSES[word_class], fontsize=style.TEXT - 2,
                )  # fmt: skip
                box = text.get_window_extent().padded(2)
                covered = ((dots > box.min) & (dots < box.max)).all(axis=1).sum()
                crossed = ((path > box.min) & (path < box.max)).all(axis=1).any()
                free = not any(box.overlaps(other) for other in taken.values())
                within = inside.x0 <= box.x0 and box.x1 <= inside.x1
                if free and within and not crossed and covered <= _CROWDED:
                    taken[row["word"]] = box
                    named += 1
                    break
                text.remove()
