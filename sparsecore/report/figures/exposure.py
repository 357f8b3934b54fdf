"""Fig. 2: concentration of the top layer's gradient, word by word, over the epochs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns

_CHI = f"${style.TOP_GRADIENT}$"


def exposure_heatmap(
    table: pd.DataFrame,
    words: int = 300,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Mean chi of the h² gradient: target words (most frequent at the bottom) by epochs.

    ``table``: word, frequency, epoch, chi (mean over positions whose target is the word). The
    ``words`` most frequent are drawn. ``limits``: of the colour scale, default the 1st and 99th
    percentile, so that one word does not set it.
    """
    grid = _grid(table, words)
    ax = style.new_axes(ax, height=5.2)
    low, high = limits or tuple(np.nanpercentile(grid.to_numpy(), [1, 99]))
    mesh = ax.pcolormesh(
        np.arange(len(grid.columns) + 1) - 0.5 + float(grid.columns[0]),
        np.arange(len(grid) + 1),
        grid.to_numpy(),
        cmap=style.SEQUENTIAL,
        vmin=low,
        vmax=high,
        rasterized=True,
    )
    ranks = _label_ranks(len(grid))
    ax.set_yticks([r - 0.5 for r in ranks], [f"{grid.index[r - 1]}  {r}" for r in ranks])
    ax.set_ylabel("target words by frequency rank\n(most frequent at the bottom)")
    ax.set_xlabel("epoch (0: before any training)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(False)
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(mesh, ax=ax, pad=0.02)
    bar.set_label(f"mean concentration {_CHI}", color=style.INK)
    bar.ax.tick_params(colors=style.INK)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    cells = grid.reset_index().melt("word", var_name="epoch", value_name="chi")
    return keep_rows(ax, cells.dropna())


def exposure_lines(
    table: pd.DataFrame,
    bands: tuple[int, ...] = (1, 3, 10, 30, 100, 300),
    width: int | None = None,
    examples: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """The same as lines: mean chi of the h² gradient for words of a band of frequency ranks.

    ``bands``: the last rank of each band. Bands with no word in the table are left out.
    ``width``: D; two lines then mark the least possible chi, 1/√D, and that of D independent
    normal numbers, √(π/2D). ``examples``: name the first word of each band in the legend (other
    texts have other words, so panels that share a legend go without).
    """
    grid = _grid(table, max(bands))
    ax = style.new_axes(ax)
    edges = [(a + 1, b) for a, b in zip((0, *bands[:-1]), bands, strict=True) if a < len(grid)]
    shades = colormaps["plasma"](np.linspace(0.42, 0.76, len(edges)))[::-1]
    bands_shown = []
    for (first, last), shade in zip(edges, shades, strict=True):
        part = grid.iloc[first - 1 : last]
        last = first - 1 + len(part)
        name = f"rank {first}" if first == last else f"ranks {first}–{last}"
        if examples:
            name += f" (“{style.as_typed(part.index[0])}” …)"
        line = part.mean()
        ax.plot(line.index, line, color=shade, linewidth=1.8, label=name)
        band = {"first_rank": first, "last_rank": last, "epoch": line.index, "chi": line}
        bands_shown.append(pd.DataFrame(band))
    if width is not None:
        floor, noise = width**-0.5, (np.pi / (2 * width)) ** 0.5
        ax.axhline(floor, color=style.INK, linewidth=1.0, label=r"least possible, $1/\sqrt{D}$")
        ax.axhline(
            noise,
            color=style.INK,
            linewidth=1.0,
            linestyle=":",
            label=r"random numbers, $\sqrt{\pi/2D}$",
        )
    ax.set_xlabel("epoch (0: before any training)")
    ax.set_ylabel(f"mean concentration of the gradient, {_CHI}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    style.legend(ax, loc="center left", bbox_to_anchor=(1.01, 0.5), title="target words")
    if ax.legend_ is not None:
        ax.legend_.get_title().set_color(style.INK)
    return keep_rows(ax, pd.concat(bands_shown))


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
