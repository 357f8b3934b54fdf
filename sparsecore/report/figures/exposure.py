"""Fig. 2: concentration of the top layer's gradient, word by word, over the epochs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_points, keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

_CHI = f"${style.TOP_GRADIENT}$"
_EPOCHS_NAMED = 12  # at most, under the heat map


@style.theme()
def exposure_heatmap(
    table: pd.DataFrame,
    words: int = 300,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Mean chi of the h² gradient: target words (most frequent at the bottom) by epochs.

    ``table``: word, frequency, epoch, chi (mean over positions whose target is the word). The
    ``words`` most frequent are drawn. ``limits``: of the colour scale, default the 1st and 99th
    percentile, so that one word does not set it; its ends are pointed where values lie beyond.
    """
    grid = _grid(table, words)
    ax = style.new_axes(ax, height=5.6)
    values = grid.to_numpy(dtype=float)
    low, high = limits or tuple(np.nanpercentile(values, [1, 99]))
    beyond = (np.nanmin(values) < low, np.nanmax(values) > high)
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    bar = {"label": f"mean concentration {_CHI}", "pad": 0.02, "extend": ends.get(beyond, "both")}
    sns.heatmap(grid, cmap=style.SEQUENTIAL, vmin=low, vmax=high, rasterized=True, cbar_kws=bar,
                yticklabels=False, ax=ax)  # fmt: skip
    ax.invert_yaxis()
    style.dress(ax.collections[0].colorbar.ax)  # pyrefly: ignore[missing-attribute]
    ranks = _label_ranks(len(grid))
    ax.set_yticks([r - 0.5 for r in ranks], [f"{grid.index[r - 1]}  {r}" for r in ranks],
                  parse_math=False)  # fmt: skip
    ax.set_ylabel("target words by frequency rank\n(most frequent at the bottom)")
    ax.set_xlabel(style.EPOCH)
    step = -(-len(grid.columns) // _EPOCHS_NAMED)
    shown = range(0, len(grid.columns), step)
    ax.set_xticks([n + 0.5 for n in shown], [f"{grid.columns[n]}" for n in shown], rotation=0)
    cells = grid.reset_index().melt("word", var_name="epoch", value_name="chi").dropna()
    place = {word: rank + 0.5 for rank, word in enumerate(grid.index)}
    column = {epoch: number + 0.5 for number, epoch in enumerate(grid.columns)}
    told = [f"{c['word']}, epoch {c['epoch']}: χ {c['chi']:.4f}" for c in cells.to_dict("records")]
    keep_points(ax, cells["epoch"].map(column), cells["word"].map(place), told)
    return keep_rows(ax, cells)


@style.theme()
def exposure_lines(
    table: pd.DataFrame,
    bands: tuple[int, ...] = (1, 3, 10, 30, 100, 300),
    width: float | None = None,
    examples: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """The same as lines: mean chi of the h² gradient for words of a band of frequency ranks.

    ``bands``: the last rank of each band. Bands with no word in the table are left out.
    ``width``: D, the entries that dropout leaves; three levels then mark the least possible chi,
    1/√D, and those of D independent uniform and normal numbers, 2/√(3D) and √(π/2D), named right of
    the lines. ``examples``: name the first word of each
    band (other texts have other words, so panels that share a legend go without).
    """
    grid = _grid(table, max(bands))
    ax = style.new_axes(ax, height=4.8)
    edges = [(a + 1, b) for a, b in zip((0, *bands[:-1]), bands, strict=True) if a < len(grid)]
    shades = [style.PALETTE[number % len(style.PALETTE)] for number in range(len(edges))]
    looks, shown = {}, []
    for (first, last), shade in zip(edges, shades, strict=True):
        part = grid.iloc[first - 1 : last]
        last = first - 1 + len(part)
        name = f"rank {first}" if first == last else f"ranks {first}–{last}"
        if examples:
            name += f" (“{style.as_typed(part.index[0])}” …)"
        looks[first] = Look(name, shade)
        chi = part.mean()
        shown.append({"first_rank": first, "last_rank": last, "epoch": chi.index, "chi": chi})
    rows = pd.concat(map(pd.DataFrame, shown), ignore_index=True)
    marks.lines(ax, rows, "epoch", "chi", "first_rank", looks)
    ends = [rows["epoch"].min(), rows["epoch"].max()]
    for name, level, dashes in [] if width is None else _levels(width):
        ax.plot(ends, [level] * 2, dashes, color=style.INK, linewidth=1.0, label=name)
    ax.set_ylabel(f"mean concentration of the\ngradient, {_CHI}")
    marks.whole_numbers(ax)
    marks.name_lines(ax, width=29)
    return keep_rows(ax, rows)


def _levels(width: float) -> list[tuple[str, float, str]]:
    """Name, chi and dashes of what vectors of ``width`` entries have that nobody calls sparse."""
    return [
        (r"least possible, $1/\sqrt{D}$", width**-0.5, "-"),
        (r"uniform numbers, $2/\sqrt{3D}$", 2 / (3 * width) ** 0.5, "--"),
        (r"normal numbers, $\sqrt{\pi/2D}$", (np.pi / (2 * width)) ** 0.5, ":"),
    ]


def _grid(table: pd.DataFrame, words: int) -> pd.DataFrame:
    """Words (most frequent first) × epochs; the mean over seeds where there are several."""
    require_columns(table, ["word", "frequency", "epoch", "chi"])
    order = table.groupby("word", observed=True)["frequency"].max()
    order = order.sort_values(ascending=False, kind="stable").index[:words]
    means = table.groupby(["word", "epoch"], observed=True)["chi"].mean().unstack("epoch")
    return means.reindex(order)


def _label_ranks(count: int) -> list[int]:
    """1 and some evenly spaced ranks, so that the labels do not touch."""
    step = max(1, round(count / 12 / 5) * 5) if count > 24 else 1
    return sorted({1, *range(step, count + 1, step)})
