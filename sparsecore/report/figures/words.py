"""Figures with a point a word: chi against frequency (Fig. 5), and two samples side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sparsecore.errors import InputError
from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns

_UNITS = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 300, 500, 1000)


def chi_against_frequency(
    table: pd.DataFrame,
    value: str = "chi",
    label: str = r"mean concentration of the gradient, $\chi(\overline{h}^2)$",
    min_frequency: int = 0,
    names: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """Mean chi against frequency (log scale), a point a word, coloured by class (Fig. 5).

    ``table``: word, frequency, word_class, the value. The right-hand scale is the same chi as
    effective units, 1/chi². The ``names`` most frequent words of each class are named.
    """
    require_columns(table, ["word", "frequency", "word_class", value])
    chosen = table[table[value].notna() & (table["frequency"] >= max(min_frequency, 1))]
    if chosen.empty:
        raise InputError(f"no word has a frequency of {min_frequency} or more")
    ax = style.new_axes(ax, height=4.8)
    for word_class in ("none", "open", "closed"):  # the few function words on top
        part = chosen[chosen["word_class"] == word_class]
        ax.plot(
            part["frequency"],
            part[value],
            linestyle="none",
            marker=style.CLASS_MARKERS[word_class],
            color=style.CLASSES[word_class],
            markersize=4 if word_class == "closed" else 2.5,
            alpha=0.9 if word_class == "closed" else 0.45,
            markeredgewidth=0,
            label=style.CLASS_NAMES[word_class],
            rasterized=True,
        )
    ax.set_xscale("log")
    ax.set_xlabel("occurrences in the training text (log scale)")
    ax.set_ylabel(label)
    if value.startswith("chi"):
        _effective_units(ax)
    _name_words(ax, chosen, value, names)
    style.legend(ax, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, markerscale=1.6)
    return keep_rows(ax, chosen[["word", "word_class", "frequency", value]])


def samples_compared(
    table: pd.DataFrame,
    value: str = "chi",
    label: str = r"mean concentration, $\chi(\overline{h}^2)$",
    ax: Axes | None = None,
) -> Axes:
    """Two samples of words matched in frequency: every word, and the mean of each sample.

    ``table``: word, word_class (open|closed), frequency, the value.
    """
    require_columns(table, ["word", "word_class", "frequency", value])
    ax = style.new_axes(ax, height=3.0)
    spread = np.random.default_rng(0)
    for row, word_class in enumerate(("closed", "open")):
        part = table.loc[table["word_class"] == word_class, value].dropna()
        if part.empty:
            raise InputError(f"the sample has no {word_class} words")
        y = row + spread.uniform(-0.22, 0.22, len(part))
        colour = style.CLASSES[word_class]
        ax.plot(part, y, style.CLASS_MARKERS[word_class], color=colour, markersize=3.5, alpha=0.6,
                markeredgewidth=0)  # fmt: skip
        ax.plot([part.mean()] * 2, [row - 0.34, row + 0.34], color=colour, linewidth=2.5)
        ax.annotate(
            f"mean {part.mean():.3f}",
            (float(part.mean()), row - 0.36),
            color=style.INK,
            fontsize="small",
            ha="center",
        )
    ax.set_yticks([0, 1], ["closed", "open"])
    ax.set_ylim(1.6, -0.6)
    ax.set_xlabel(label)
    ax.grid(False, axis="y")
    rows = table.loc[table[value].notna(), ["word", "word_class", "frequency", value]]
    return keep_rows(ax, rows)


def _effective_units(ax: Axes) -> None:
    """A right-hand scale: how many equal units would be as concentrated, 1/chi²."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    shown = [u for u in _UNITS if low <= u**-0.5 <= high]
    right = ax.secondary_yaxis("right")
    right.set_yticks([u**-0.5 for u in shown], [str(u) for u in shown])
    right.set_ylabel(r"effective units, $1/\chi^2$", color=style.INK)
    right.tick_params(colors=style.INK)
    right.spines["right"].set_color(style.INK)


def _name_words(ax: Axes, table: pd.DataFrame, value: str, names: int) -> None:
    """Name the most frequent words, right or left of their point, where no name is yet."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    width, height = figure.get_size_inches() * 0.85  # the axes' share of the figure, nearly
    x_low, x_high = np.log10(ax.get_xlim())
    y_low, y_high = ax.get_ylim()
    taken: list[tuple[float, float, float]] = []  # left, right, middle, in inches
    for word_class in ("closed", "open"):
        part = table[(table["word_class"] == word_class) & (table["word"].str.len() > 1)]
        part = part.sort_values("frequency", ascending=False, kind="stable")
        named = 0
        for word, frequency, chi in zip(part["word"], part["frequency"], part[value], strict=True):
            if named == names:
                break
            x = (np.log10(frequency) - x_low) / (x_high - x_low) * width
            y = (chi - y_low) / (y_high - y_low) * height
            extent = 0.08 * len(word) + 0.1
            for side in ("left", "right"):  # the horizontal alignment
                left = x if side == "left" else x - extent
                right = left + extent
                free = all(abs(y - b) > 0.15 or left > r or right < a for a, r, b in taken)
                if free and left >= 0 and right <= width:
                    taken.append((left, right, y))
                    named += 1
                    ax.annotate(
                        word,
                        (frequency, chi),
                        xytext=(3 if side == "left" else -3, 2),
                        textcoords="offset points",
                        ha=side,
                        fontsize="x-small",
                        color=style.CLASSES[word_class],
                        parse_math=False,
                    )
                    break
