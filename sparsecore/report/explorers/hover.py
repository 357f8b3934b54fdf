"""A figure that answers: point at a word or a line, and it says which and how much."""

from __future__ import annotations

from typing import Any

import anywidget
import numpy as np
import traitlets

from sparsecore.errors import InputError
from sparsecore.report.explorers.bundle import module, style
from sparsecore.report.figures.figure_data import names_of, points_of

SCALE = 10_000  # shares of the picture are carried as whole numbers of 1e-4


class HoverPoints(anywidget.AnyWidget):
    """Lay over the picture of a figure, which the cell before shows, what its points are.

    Args:
        axes: one of the axes of the figure, or an array of them. The places and the texts are
            those that the figure function kept. Names of lines, which stand at their right end,
            are repeated below the picture where a narrow screen cuts them off.

    Raises:
        InputError: the figure has no points to tell of.
    """

    _esm = module("hover.js")
    _css = style("hover.css")

    data = traitlets.Dict().tag(sync=True)

    def __init__(self, axes: Any) -> None:
        figure = np.ravel(axes)[0].get_figure(root=True)
        points = points_of(figure)
        if points.empty:
            raise InputError("axes: this figure has no points to tell of")
        places = points[["left", "top"]].mul(SCALE).round().astype(int)
        super().__init__(
            data={
                **places.to_dict("list"),
                "text": points["text"].tolist(),
                "scale": SCALE,
                "names": names_of(figure),
            }
        )
