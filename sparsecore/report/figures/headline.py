"""The figure of the front page: how the correlation with frequency moves, and what moves it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sparsecore.report.figures import causes, marks, style
from sparsecore.report.figures.figure_data import keep_rows, label_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

SCALES = {"pearson_log": ("log", style.SOLID), "pearson": ("raw", style.DASHED)}
TEXTS = {"enwiki": ("Wikipedia", style.ORANGE), "wikitext-2": ("WikiText-2", style.BLUE)}
OPTIMISERS = ("sgd-20", "sgd-5", "adam")
LOOKS = {arm: causes.LOOKS[arm] for arm in OPTIMISERS}
RHO = r"correlation $\rho_{\leftarrow}(\overline{h}^2)$"


@style.theme()
def headline(texts: pd.DataFrame, arms: pd.DataFrame) -> np.ndarray:
    """Above: rho over the words read, a line for each text and scale; below: by optimiser.

    ``texts``: text, method, millions (of words read so far), rho, and seed. ``arms``: arm,
    millions, value, low and high (intervals; NaN with fewer than three seeds).
    """
    require_columns(texts, ["text", "method", "millions", "rho", "seed"])
    require_columns(arms, ["arm", "millions", "value", "low", "high"])
    _, axes = style.new_figure(6.9, rows=2, height_ratios=(1.15, 1))
    above, below = axes[:, 0]
    looks = {
        f"{text} {method}": Look(
            f"{name}, {scale}", colour, dashes, width=2.6 if dashes == "" else 1.6
        )
        for text, (name, colour) in TEXTS.items()
        for method, (scale, dashes) in SCALES.items()
    }
    drawn = texts.assign(series=texts["text"] + " " + texts["method"])
    marks.zero_line(above)
    marks.lines(above, drawn, "millions", "rho", "series", looks, single=False)
    above.set_title(
        "Over training, on two texts (log and raw frequency)", loc="left", fontsize=style.TEXT
    )
    above.set_xlabel("words read, millions")
    marks.zero_line(below)
    marks.lines(below, arms, "millions", "value", "arm", LOOKS, ends=("low", "high"), alpha=0.12)
    below.set_title("On one text, by optimiser (log frequency)", loc="left", fontsize=style.TEXT)
    below.set_xlabel("words read, millions")
    below.set_xlim(left=0)
    for ax in (above, below):
        ax.set_ylabel(RHO)
        ax.margins(x=0.02)
        marks.name_lines(ax, 20)
    keep_rows(above, texts)
    keep_rows(below, arms)
    label_rows(above, "panel", "texts")
    label_rows(below, "panel", "optimisers")
    return axes[:, 0]
