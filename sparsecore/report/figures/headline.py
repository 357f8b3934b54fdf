"""The figure of the front page: how the correlation with frequency moves, and what moves it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sparsecore.report.figures import causes, marks, style
from sparsecore.report.figures.figure_data import keep_rows, label_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

TEXTS = {
    "enwiki": ("Wikipedia", style.VIOLET),
    "wikitext-2-lr20": ("WikiText-2", style.BLUE),
    "without 20": ("without the 20 commonest", style.OCHRE),
}
OPTIMISERS = ("sgd-20", "sgd-5", "adam")
LOOKS = {arm: causes.LOOKS[arm] for arm in OPTIMISERS}
WORDS = {
    "all": "All words, two texts (log and raw frequency)",
    "often seen": "Words of WikiText-2 seen at least 3,000 times by the end",
}
RHO = r"correlation $\rho_{\leftarrow}(\overline{h}^2)$"


@style.theme()
def headline(texts: pd.DataFrame, arms: pd.DataFrame) -> np.ndarray:
    """rho over the words read: of all words, of those seen often, and by optimiser, one a panel.

    ``texts``: words (``all`` or ``often seen``), text, method, millions (of words read so far),
    rho, and seed. ``arms``: arm, millions, value, low and high (intervals; NaN with fewer than
    three seeds).
    """
    require_columns(texts, ["words", "text", "method", "millions", "rho", "seed"])
    require_columns(arms, ["arm", "millions", "value", "low", "high"])
    _, axes = style.new_figure(9.4, rows=3)
    looks = {
        f"{text} {method}": Look(
            f"{name}, {scale}", colour, dashes, width=2.6 if dashes == "" else 1.6
        )
        for text, (name, colour) in TEXTS.items()
        for method, (scale, dashes) in style.SCALES.items()
    }
    drawn = texts.assign(series=texts["text"] + " " + texts["method"])
    for ax, (words, title) in zip(axes[:2, 0], WORDS.items(), strict=True):
        own = drawn[drawn["words"] == words]
        marks.lines(ax, own, "millions", "rho", "series", looks, single=False)
        ax.set_title(title, loc="left", fontsize=style.TEXT)
        keep_rows(ax, texts[texts["words"] == words])
        label_rows(ax, "panel", words)
    below = axes[2, 0]
    marks.lines(below, arms, "millions", "value", "arm", LOOKS, ends=("low", "high"), alpha=0.12)
    below.set_title("On one text, by optimiser (log frequency)", loc="left", fontsize=style.TEXT)
    below.set_xlim(left=0)
    keep_rows(below, arms)
    label_rows(below, "panel", "optimisers")
    for ax in axes[:, 0]:
        marks.zero_line(ax)
        ax.set_ylabel(RHO)
        ax.set_xlabel("words read, millions")
        ax.margins(x=0.02)
        marks.name_lines(ax, 20)
    return axes[:, 0]
