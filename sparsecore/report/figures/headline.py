"""The figure of the front page: how the correlation with frequency moves, and what moves it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from sparsecore.report.figures import causes, marks, style
from sparsecore.report.figures.figure_data import keep_rows, label_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

TEXTS = {
    "wikitext-2-lr20": ("WikiText-2", style.BLUE),
    "enwiki-7m-lr20": ("Wikipedia", style.VIOLET),
}
OPTIMISERS = ("sgd-20", "sgd-5", "adam")
LOOKS = {arm: causes.LOOKS[arm] for arm in OPTIMISERS}
LOOKS["adam"] = replace(LOOKS["adam"], name="Adam")  # all three train the same network
WORDS = {
    "all": "Words seen at least 3,000 times by the end",
    "without": "The same without the twenty commonest",
}
RHO = r"correlation $\rho_{\leftarrow}(\overline{h}^2)$"


@style.theme()
def headline(texts: pd.DataFrame, arms: pd.DataFrame) -> np.ndarray:
    """rho over the words read: of words seen often, of most of them, and by optimiser, one a panel.

    ``texts``: words (``all`` or ``without`` the commonest), text, method, millions (of words read
    so far), rho, and seed. ``arms``: arm, millions, value, low and high (intervals; NaN with fewer
    than three seeds).
    """
    require_columns(texts, ["words", "text", "method", "millions", "rho", "seed"])
    require_columns(arms, ["arm", "millions", "value", "low", "high"])
    figure, axes = style.new_figure(9.6, rows=3)
    figure.get_layout_engine().set(h_pad=0.1)
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
        marks.lines(ax, own, "millions", "rho", "series", looks, single=False, spread=True)
        ax.set_ylim(*_limits(texts["rho"]))
        ax.set_title(title, loc="left", fontsize=style.TEXT)
        keep_rows(ax, texts[texts["words"] == words])
        label_rows(ax, "panel", words)
    axes[1, 0].sharex(axes[0, 0])
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


def _limits(values: pd.Series) -> tuple[float, float]:
    """The same ends of the axis for the panels that are to be compared."""
    margin = 0.05 * float(values.max() - values.min())
    return float(values.min()) - margin, float(values.max()) + margin
