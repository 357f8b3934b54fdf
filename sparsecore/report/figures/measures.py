"""The measure itself, drawn: chi in the plane, and what its values mean in a layer of D units."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Polygon

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.style import Look

CIRCLE, DIAMOND = style.PINK, style.OCHRE


@style.theme()
def chi_in_the_plane(ax: Axes | None = None) -> Axes:
    """chi of every vector of two entries, with the balls ‖v‖₂ ≤ 1 and ‖v‖₁ ≤ 1.

    Chi is 1 where the two touch, on the axes, and least, 1/√2, on the diagonals.
    Source: Saphra & Lopez 2019, §2 (the picture beside the definition).
    """
    ax = style.new_axes(ax, width=5.2, height=4.6)
    grid = np.linspace(-1.4, 1.4, 141).round(2)
    x, y = np.meshgrid(grid, grid)
    with np.errstate(invalid="ignore"):
        chi = np.hypot(x, y) / (np.abs(x) + np.abs(y))
    picture = ax.imshow(
        chi,
        extent=(-1.4, 1.4, -1.4, 1.4),
        origin="lower",
        cmap=style.SEQUENTIAL,
        vmin=0.7,
        vmax=1,
        interpolation="bilinear",
    )
    ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor="white", linewidth=3.4))
    ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor=CIRCLE, linewidth=2, label="‖v‖₂ = 1"))
    corners = [(1, 0), (0, 1), (-1, 0), (0, -1)]
    ax.add_patch(Polygon(corners, fill=False, edgecolor="white", linewidth=3.4))
    diamond = Polygon(corners, fill=False, edgecolor=DIAMOND, linewidth=2, label="‖v‖₁ = 1")
    ax.add_patch(diamond)
    ax.grid(False)
    ax.set_aspect("equal")
    ax.set(xlabel="first entry $v_1$", ylabel="second entry $v_2$")
    bar = ax.figure.colorbar(picture, ax=ax, label=r"$\chi(v)$", shrink=0.85)
    style.dress(bar.ax)
    bar.outline.set_edgecolor(style.FAINT)
    style.legend(ax, loc="upper center", bbox_to_anchor=(0.5, 1.13), ncols=2)
    points = {"v1": x.ravel(), "v2": y.ravel(), "chi": chi.ravel().round(4)}
    return keep_rows(ax, pd.DataFrame(points))


@style.theme()
def chi_of_part(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """chi of a vector of which only a part is used, for layers of several widths.

    Args:
        table: width (D), used (share of the units), chi; and gaussian: chi of D independent normal
            numbers.
    """
    ax = style.new_axes(ax)
    looks = {
        width: Look(f"D = {width:,}", colour)
        for width, colour in zip(sorted(table["width"].unique()), style.PALETTE, strict=False)
    }
    marks.lines(ax, table, "used", "chi", "width", looks)
    for width, look in looks.items():
        level = float(table.loc[table["width"] == width, "gaussian"].iloc[0])
        shape = {"color": look.colour, "clip_on": False, "linestyle": "none"}
        ax.plot(1, level, marker="o", markersize=7, **shape)
        ax.plot(1, width**-0.5, marker="_", markersize=14, markeredgewidth=3, **shape)
    ax.set(xscale="log", yscale="log")
    ax.set_xlabel("share of the units that are used, all equally")
    ax.set_ylabel(r"concentration $\chi$")
    style.legend(ax)
    return keep_rows(ax, table)
