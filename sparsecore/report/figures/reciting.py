"""Learning to recite: how much of a text each model says by heart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns

FAMILIES = {
    "dense": ("#d55e00", "s"),
    "sparse RNN": ("#0c9a6c", "o"),
    "sparse RNN + sparse embedding": ("#7f73c6", "D"),
}
SIZES = {1: "original", 2: "a half", 3: "a third"}
DASHES: dict[int, Any] = {1: "-", 2: (0, (5, 1.5)), 3: (0, (1, 1.2))}


def recited(accuracy: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Table 4 as a picture: accuracy of each model with 95 % bars; crosses: the paper's.

    ``accuracy``: family, part (1, 2, 3: the original, a half, a third of its widths), parameters,
    accuracy, low, high, paper_accuracy, all in percent.
    """
    need = ["family", "part", "parameters", "accuracy", "low", "high", "paper_accuracy"]
    require_columns(accuracy, need)
    ax = style.new_axes(ax, height=3.6)
    rows = accuracy.reset_index(drop=True)
    places = np.arange(len(rows)) + 0.6 * (rows["part"] - 1)
    labels = [
        f"{family}\n{_count(number)} parameters"
        for family, number in zip(rows["family"], rows["parameters"], strict=True)
    ]
    for family, (colour, marker) in FAMILIES.items():
        own = rows["family"] == family
        value = rows.loc[own, "accuracy"]
        reach = np.nan_to_num(np.stack([value - rows["low"][own], rows["high"][own] - value]))
        ax.errorbar(
            value,
            places[own],
            xerr=reach,
            color=colour,
            marker=marker,
            markersize=6,
            linestyle="none",
            capsize=3,
        )
    ax.plot(
        rows["paper_accuracy"],
        places,
        color=style.INK,
        marker="x",
        linestyle="none",
        label="the paper's",
    )
    ax.set_yticks(places, labels, fontsize="small")
    ax.invert_yaxis()
    ax.set_xlabel("words predicted right, %")
    style.legend(ax, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return keep_rows(ax, accuracy[need])


def reciting_over_epochs(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Accuracy of the training pass in every epoch, a line a model; bands: least to most of seeds.

    ``curves``: family, part (1, 2, 3), seed, epoch, accuracy (a share). A run that stopped early
    because it knew the text is carried on at its last value.
    """
    need = ["family", "part", "seed", "epoch", "accuracy"]
    require_columns(curves, need)
    ax = style.new_axes(ax)
    wide = curves.pivot_table(index="epoch", columns=["part", "family", "seed"], values="accuracy")
    wide = 100 * wide.ffill()
    for part, size in SIZES.items():
        for family, (colour, _) in FAMILIES.items():
            if (part, family) not in wide.columns:
                continue
            runs: pd.DataFrame = wide[(part, family)]  # pyright: ignore[reportAssignmentType]
            ax.fill_between(
                runs.index, runs.min(axis=1), runs.max(axis=1), color=colour, alpha=0.2, lw=0
            )
            ax.plot(
                runs.index,
                runs.mean(axis=1),
                color=colour,
                linestyle=DASHES[part],
                linewidth=1.7,
                label=f"{family}, {size}",
            )
    ax.set_xlabel("epoch")
    ax.set_ylabel("words predicted right, %")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    style.legend(ax, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    return keep_rows(ax, curves[need])


def _count(number: float) -> str:
    """``24.2M``, ``77k``."""
    return f"{number / 1e6:.3g}M" if number >= 1e6 else f"{number / 1e3:.0f}k"
