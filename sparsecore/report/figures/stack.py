"""What a stack of sparse recurrent layers is composed of (Demeester et al. 2018, Fig. 4)."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows

BOX, GAP = 0.55, 0.45  # heights of a layer's boxes and of the windows below them
NARROW = 0.14  # of the width of the drawing: no room for text
COLOURS = tuple(style.LAYERS.values())


@style.theme()
def stack(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A box for each component R_{layer, block} with its sizes; below it the inputs that it sees.

    ``table``: layer, block, inputs, begin, end, input_size, outputs, parameters, a row for each
    component, bottom layer first. Widths are to scale. Where the boxes of a layer are too narrow to
    write into, its sizes stand beside it.
    """
    levels = [group for _, group in table.groupby("layer", sort=True)]
    ax = style.new_axes(ax, height=0.9 + 1.35 * len(levels))
    widest = max(max(int(g["outputs"].sum()), int(g["input_size"].iloc[0])) for g in levels)
    narrow = [int(g["outputs"].min()) / widest < NARROW for g in levels]
    for index, group in enumerate(levels):
        _draw_level(ax, index, group, widest, narrow[index])
    first, last = levels[0], levels[-1]
    top = len(levels) * (BOX + GAP)
    _write(ax, 0.5, -0.06, f"input, {first['input_size'].iloc[0]:,}", va="top")
    _write(ax, 0.5, top + 0.04, f"output, {last['outputs'].sum():,}", va="bottom")
    ax.set_xlim(-0.02, 1.42 if any(narrow) else 1.02)
    ax.set_ylim(-0.3, top + 0.3)
    ax.set_axis_off()
    return keep_rows(ax, table)


def _draw_level(ax: Axes, index: int, group: pd.DataFrame, widest: int, narrow: bool) -> None:
    bottom = index * (BOX + GAP)
    inputs, outputs = int(group["input_size"].iloc[0]), int(group["outputs"].sum())
    left_in, left = (1 - inputs / widest) / 2, (1 - outputs / widest) / 2
    colour = COLOURS[index % len(COLOURS)]
    ax.plot([left_in, left_in + inputs / widest], [bottom, bottom], color=style.INK, lw=1.5)
    for row in group.to_dict("records"):
        width = row["outputs"] / widest
        corners = [
            (left_in + row["begin"] / widest, bottom),
            (left_in + row["end"] / widest, bottom),
            (left + width, bottom + GAP),
            (left, bottom + GAP),
        ]
        ax.add_patch(Polygon(corners, facecolor=colour, alpha=0.22, edgecolor=colour, lw=0.8))
        ax.add_patch(
            Rectangle((left, bottom + GAP), width, BOX, facecolor="none", edgecolor=colour, lw=1.6)
        )
        if not narrow:
            name = rf"$R_{{{row['layer']},{row['block']}}}$"
            sizes = f"{row['inputs']:,} → {row['outputs']:,}"
            text = f"{name}\n{sizes}\n{_short(row['parameters'])} par."
            _write(ax, left + width / 2, bottom + GAP + BOX / 2, text)
        left += width
    if narrow:
        _write(ax, 1.04, bottom + GAP + BOX / 2, _all_sizes(group), ha="left")


def _all_sizes(group: pd.DataFrame) -> str:
    """The components of a layer in a few lines, equal ones together."""
    layer = group["layer"].iloc[0]
    counts = group.groupby(["inputs", "outputs"], sort=False).size()
    # pyrefly: ignore[not-iterable]
    shapes = [f"{n} × ({i:,} → {o:,})" for (i, o), n in counts.items()]
    shown = shapes if len(shapes) <= 3 else [*shapes[:2], "…"]
    name = rf"$R_{{{layer},1}}$ … $R_{{{layer},{len(group)}}}$"
    return "\n".join([name, *shown, f"{_short(int(group['parameters'].sum()))} par."])


def _write(
    ax: Axes, x: float, y: float, text: str, *, ha: str = "center", va: str = "center"
) -> None:
    ax.text(x, y, text, ha=ha, va=va, color=style.INK, fontsize=style.TEXT - 1)


def _short(count: int) -> str:
    """1,234,567 as 1.23M, 45,678 as 45.7k."""
    if count >= 1_000_000:
        return f"{count / 1e6:.2f}M"
    return f"{count / 1e3:.1f}k" if count >= 10_000 else f"{count:,}"
