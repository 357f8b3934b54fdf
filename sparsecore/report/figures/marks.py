"""What several figures draw: lines with bands, points with intervals, names beside the lines."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_names, keep_points
from sparsecore.report.figures.style import Look

FEWEST_SEEDS = 3  # that an interval over seeds is drawn from
ALL_VALUES = (-np.inf, np.inf)
PERCENT = (0.0, 100.0)
PLACES = {  # how a place along the x axis is told; others by the name of their column
    "exposure": "seen {} times",
    "millions": "{} million words read",
    "transitions": "{} transitions",
    "update": "{} updates",
    "updates": "{} updates",
    "used": "share {}",
}
EARLY = 2 / 3  # of the axis: a line that ends before it is named there
_FORMULA = re.compile(r",? ?\$[^$]*\$")


def ends_to_draw(
    low: ArrayLike,
    high: ArrayLike,
    seeds: ArrayLike | None = None,
    bounds: tuple[float, float] = ALL_VALUES,
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of intervals as figures show them.

    NaN, so nothing, where they are of fewer than three ``seeds`` (None: they are not over seeds);
    none reaches beyond ``bounds``, which the quantity itself cannot leave.

    >>> ends_to_draw([-3.0, 40.0], [20.0, 60.0], seeds=[3, 2], bounds=(0, 100))
    (array([ 0., nan]), array([20., nan]))
    """
    ends = np.stack(np.broadcast_arrays(low, high)).astype(float).clip(*bounds)
    if seeds is not None:
        ends[:, np.asarray(seeds) < FEWEST_SEEDS] = np.nan
    return ends[0], ends[1]


def lines(
    ax: Axes,
    rows: pd.DataFrame,
    x: str,
    y: str,
    series: str,
    looks: Mapping[Any, Look],
    *,
    ends: tuple[str, str] | None = None,
    spread: bool = False,
    single: bool = True,
    bounds: tuple[float, float] = ALL_VALUES,
    alpha: float = 0.16,
    at: Mapping[Any, str] | None = None,
) -> None:
    """A line for each series, the mean over its rows (seeds) at each ``x``.

    Args:
        series: the column that tells them apart; drawn are those in ``looks``, in that order.
        ends: columns with an interval for each row; the band is their mean.
        spread: the band reaches from the least to the greatest of three seeds or more instead.
        single: a thin line for each of several seeds.
        bounds: no band reaches beyond.
        alpha: of the bands.
        at: what each place is called, where the numbers of ``x`` only set them side by side.
    """
    order = [key for key in looks if (rows[series] == key).any()]
    rows = rows[rows[series].isin(order) & rows[y].notna()]
    drawing: dict[str, Any] = {
        "data": rows,
        "x": x,
        "y": y,
        "hue": series,
        "hue_order": order,
        "palette": {key: looks[key].colour for key in order},
        "legend": False,
        "ax": ax,
    }
    seeds = rows["seed"].nunique() if "seed" in rows.columns else 1
    if single and seeds > 1:
        sns.lineplot(**drawing, units="seed", estimator=None, linewidth=0.7, alpha=0.45)
    first = len(ax.lines)
    styled: dict[str, Any] = {
        "style": series,
        "style_order": order,
        "dashes": {key: looks[key].dashes for key in order},
    }
    sns.lineplot(**drawing, **styled, errorbar=None)
    for key, line in zip(order, ax.lines[first:], strict=True):
        look, own = looks[key], rows[rows[series] == key]
        line.set(label=look.name, linewidth=look.width, marker=look.marker or "None",
                 markersize=6.5, markeredgecolor=look.colour,
                 markerfacecolor=look.colour if look.filled else "none")  # fmt: skip
        low, high = _band(own, x, y, ends, spread, bounds)
        places, values = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        if not np.isnan(low).all():
            ax.fill_between(places, low, high, color=look.colour, alpha=alpha, linewidth=0)
        told = [
            style.number(value)
            + ("" if np.isnan(a) else f" [{style.number(a)}, {style.number(b)}]")
            for value, a, b in zip(values, low, high, strict=True)
        ]
        names = at or {p: PLACES.get(x, f"{x} {{}}").format(style.number(p, ".4g")) for p in places}
        named = [f"{plain(look.name)}, {names[place]}: " for place in places]
        keep_points(ax, places, values, [a + b for a, b in zip(named, told, strict=True)])


def _band(
    own: pd.DataFrame,
    x: str,
    y: str,
    ends: tuple[str, str] | None,
    spread: bool,
    bounds: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    by_place = own.groupby(x)
    if ends is not None:
        means = by_place[list(ends)].mean()
        return ends_to_draw(means[ends[0]], means[ends[1]], bounds=bounds)
    seeds = own["seed"].nunique() if spread else 0
    values = by_place[y]
    return ends_to_draw(values.min(), values.max(), np.full(len(by_place), seeds), bounds)


def points(
    ax: Axes,
    places: Any,
    values: Any,
    ends: tuple[Any, Any],
    look: Look,
    *,
    across: bool = False,
    texts: Iterable[str] | None = None,
    **options: Any,
) -> None:
    """A marker and an interval at each place; ``across``: values lie along the x axis."""
    values = np.asarray(values, float)
    places = np.asarray(places, float)
    reach = np.nan_to_num(np.stack([values - ends[0], ends[1] - values]))
    x, y = (values, places) if across else (places, values)
    options = {"capsize": 3, "elinewidth": 1.6, "linestyle": "none", **options}
    options["xerr" if across else "yerr"] = reach
    ax.errorbar(x, y, color=look.colour,
                marker=look.marker, markersize=7, label=look.name, **options,
                markerfacecolor=look.colour if look.filled else "none")  # fmt: skip
    if texts is not None:
        keep_points(ax, x, y, texts)


def whole_numbers(ax: Axes, label: str = style.EPOCH) -> None:
    """An x axis of epochs or counts: marked at whole numbers."""
    ax.set_xlabel(label)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.margins(x=0.02)


def round_ticks(ax: Axes) -> None:
    """A logarithmic y axis: marked at round numbers, written out."""
    low, high = ax.get_ylim()
    round_numbers = [m * 10**k for k in range(8) for m in (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8)]
    shown = [p for p in round_numbers if low <= p <= high]
    ax.set_yticks(shown, [style.number(p, "g") for p in shown])
    ax.set_yticks([], minor=True)


def zero_line(ax: Axes, at: float = 0.0, *, across: bool = False, dashes: Any = "-") -> None:
    """The level that values are read against, in the colour of the text."""
    draw = ax.axvline if across else ax.axhline
    draw(at, color=style.INK, linewidth=1.0, linestyle=dashes, zorder=1)


def name_lines(
    ax: Axes, width: int = 25, also: Iterable[tuple[str, float, float, Any]] = ()
) -> None:
    """Write the name of each labelled line right of its end, in its colour, none over another.

    ``also``: (text, x, y, colour) of places that are no lines.
    """
    named, dashed = list(also), set()
    for line in ax.get_lines():
        x, y = (np.asarray(data, float) for data in line.get_data())
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if not str(line.get_label()).startswith("_") and len(known):
            end = known[-1]
            named.append((str(line.get_label()), float(x[end]), float(y[end]), line.get_color()))
            dashed |= {plain(str(line.get_label()))} if line.is_dashed() else set()
    name_places(ax, named, width, dashed)


def name_places(
    ax: Axes,
    named: Iterable[tuple[str, float, float, Any]],
    width: int = 25,
    dashed: Collection[str] = (),
) -> None:
    """Write (text, x, y, colour) right of the axes at the heights y, with a line from the place.

    What ends in the left two thirds is named beside its end. In a figure of panels side by side,
    which has no room for that, a legend names them instead.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    place = ax.get_subplotspec()
    if place is None or place.get_gridspec().ncols > 1:
        return style.legend(ax)
    named = list(named)
    keep_names(ax, {plain(text): colour for text, _, _, colour in named}, dashed)
    ax.set_ylim(ax.get_ylim())
    ax.set_xlim(ax.get_xlim())
    figure.draw_without_rendering()
    box = ax.get_window_extent()
    made = []
    for text, x, y, colour in named:
        across, height = ax.transAxes.inverted().transform(ax.transData.transform((x, y)))
        right = 1.0 if across > EARLY else across
        label = ax.annotate(
            _wrapped(text, width), (x, y), (right + 0.035, height), textcoords="axes fraction",
            color=colour, va="center", annotation_clip=False, fontsize=style.TEXT - 0.5,
            linespacing=1.05,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.9, "alpha": 0.7,
                        "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)},
        )  # fmt: skip
        made.append((label, height))
    made.sort(key=lambda pair: pair[1])
    sizes = [Text.get_window_extent(label).height / box.height + 0.012 for label, _ in made]
    for (label, _), height in zip(made, apart([h for _, h in made], sizes), strict=True):
        label.set_y(height)


def apart(wanted: list[float], sizes: list[float]) -> np.ndarray:
    """Heights in ascending order, as near as can be to ``wanted``, that leave each its size.

    They stay between 0 and 1 where there is room for all. Neighbours that would touch are put side
    by side around their common middle (pooling of adjacent violators).

    >>> apart([0.4, 0.41, 1.0], [0.1, 0.1, 0.1]).round(3).tolist()
    [0.355, 0.455, 0.95]
    """
    offsets = np.cumsum([0.0, *sizes])[:-1] + np.array(sizes) / 2
    groups: list[list[float]] = []
    for value in np.asarray(wanted) - offsets:
        groups.append([value])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    levels = np.array([float(np.mean(group)) for group in groups for _ in group])
    room = 1 - sum(sizes)
    return (levels.clip(0, room) if room >= 0 else levels) + offsets


def plain(name: str) -> str:
    r"""A name without its formula, for a text that shows none.

    >>> plain(r"upper LSTM gradient, $\overline{h}^2$")
    'upper LSTM gradient'
    """
    return _FORMULA.sub("", name)


def _wrapped(text: str, width: int) -> str:
    """A name in lines of about so many letters; a formula keeps to itself."""
    formula = _FORMULA.search(text)
    words = textwrap.fill(plain(text), width)
    if formula is None:
        return words
    glued = formula.group().lstrip(", ")
    last = words.rsplit("\n", 1)[-1]
    return f"{words}, {glued}" if len(last) + 3 <= width else f"{words},\n{glued}"


def looks_of(keys: Iterable[Hashable], names: Mapping[Any, str] | None = None) -> dict[Any, Look]:
    """A look for each key that has none of its own: the palette and the markers in turn."""
    return {
        key: Look((names or {}).get(key, style.as_typed(key)),
                  style.PALETTE[index % len(style.PALETTE)],
                  marker=style.MARKERS[index % len(style.MARKERS)])
        for index, key in enumerate(keys)
    }  # fmt: skip
