"""Learning to recite: how much of a text each model says by heart."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

FAMILIES = {
    "dense": Look("dense", style.DENSE, marker="s"),
    "sparse RNN": Look("sparse RNN", style.SPARSE, marker="o"),
    "sparse RNN + sparse embedding": Look(
        "sparse RNN + sparse embedding", style.VIOLET, marker="D"
    ),
}
SIZES = {1: "original", 2: "a half", 3: "a third"}
DASHES = {1: style.SOLID, 2: (5, 1.5), 3: style.DOTTED}
ACCURACY = "words predicted correctly, %"
BESIDE = 0.24  # of a row, below our mark


@style.theme()
def recited(accuracy: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Table 4 as a picture: accuracy of each model with 95 % bars; crosses below: the paper's.

    ``accuracy``: family, part (1, 2, 3: the original, a half, a third of its widths), parameters,
    accuracy, low, high, seeds, paper_accuracy, all in percent. No bar leaves 0 to 100 %, none is of
    fewer than three seeds.
    """
    need = ["family", "part", "parameters", "accuracy", "low", "high", "seeds", "paper_accuracy"]
    require_columns(accuracy, need)
    rows = accuracy.reset_index(drop=True)
    ax = style.new_axes(ax, height=1.1 + 0.72 * len(rows))
    rows["place"] = rows.index + 0.5 * (rows["part"] - 1)
    for family, look in FAMILIES.items():
        own = rows[rows["family"] == family]
        ends = marks.ends_to_draw(own["low"], own["high"], own["seeds"], marks.PERCENT)
        sizes = own["part"].map(SIZES)
        told = (family + ", " + sizes + ": " + own["accuracy"].map("{:.1f} %".format)).tolist()
        marks.points(ax, own["place"], own["accuracy"], ends, look, across=True, texts=told)
    crosses = ax.plot(
        rows["paper_accuracy"], rows["place"] + BESIDE, color=style.INK, marker="x", markersize=8,
        markeredgewidth=2, linestyle="none", label="in the paper",
    )  # fmt: skip
    ax.legend(handles=crosses, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    labels = [
        f"{family.replace(' + ', ' +' + chr(10))}\n{_count(number)} parameters"
        for family, number in zip(rows["family"], rows["parameters"], strict=True)
    ]
    ax.set_yticks(rows["place"], labels)
    ax.set_ylim(rows["place"].max() + 0.6, -0.8)
    least = float(np.nanmin(rows[["accuracy", "low", "paper_accuracy"]].to_numpy(float)))
    ax.set_xlim(max(-3.0, 10 * (least // 10) - 5), 103)
    ax.set_xlabel(ACCURACY)
    return keep_rows(ax, accuracy[need])


@style.theme()
def reciting_over_epochs(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Accuracy of the training pass in every epoch, a line a model; bands: least to most of seeds.

    ``curves``: family, part (1, 2, 3), seed, epoch, accuracy (a share). A run that stopped early
    because it knew the text is carried on at its last value. Fewer than three seeds have no band.
    """
    need = ["family", "part", "seed", "epoch", "accuracy"]
    require_columns(curves, need)
    ax = style.new_axes(ax, height=5.2)
    wide = curves.pivot_table(index="epoch", columns=["part", "family", "seed"], values="accuracy")
    long = (100 * wide.ffill()).melt(ignore_index=False, value_name="percent").reset_index()
    long["model"] = long["family"] + " " + long["part"].astype(str)
    looks = {
        f"{family} {part}": Look(f"{family}, {size}", look.colour, DASHES[part])
        for part, size in SIZES.items()
        for family, look in FAMILIES.items()
    }
    marks.lines(ax, long, "epoch", "percent", "model", looks, spread=True, single=False,
                bounds=marks.PERCENT)  # fmt: skip
    marks.whole_numbers(ax, "epoch")
    ax.set_ylabel(ACCURACY)
    marks.name_lines(ax)
    return keep_rows(ax, curves[need])


def _count(number: float) -> str:
    """``24.2M``, ``77k``."""
    return f"{number / 1e6:.3g}M" if number >= 1e6 else f"{number / 1e3:.0f}k"
