"""Language models over their epochs and at the end: dense and sparse with as many parameters."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns

MODELS = {"dense": ("dense", "#d55e00", "s"), "sparse": ("sparse, wider", "#0c9a6c", "o")}
STEPS = {"no": "without fine-tuning", "yes": "after fine-tuning"}
CURVE = ["model", "seed", "epoch", "phase", "valid_loss", "averaged"]
TEST = ["model", "finetuned", "test_perplexity", "low", "high"]


def perplexity_over_epochs(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Validation perplexity after every epoch, a line a model, from the least to the most of seeds.

    ``curves``: model (dense or sparse), seed, epoch, phase (train or finetune), valid_loss (nats),
    averaged. Open markers: plain weights; filled: averaged ones. The dashed line stands where
    fine-tuning begins.
    """
    require_columns(curves, CURVE)
    ax = style.new_axes(ax)
    for model, (name, colour, marker) in MODELS.items():
        rows = curves[curves["model"] == model]
        if rows.empty:
            continue
        losses = rows.groupby("epoch")["valid_loss"]
        mean = losses.mean().map(math.exp)
        ax.fill_between(
            mean.index, np.exp(losses.min()), np.exp(losses.max()), color=colour, alpha=0.25, lw=0
        )
        ax.plot(mean.index, mean, color=colour, linewidth=1.6, label=name)
        averaged = rows.groupby("epoch")["averaged"].min().astype(bool)
        for part, fill in ((mean[~averaged], "none"), (mean[averaged], colour)):
            ax.plot(
                part.index,
                part,
                color=colour,
                marker=marker,
                linestyle="none",
                markerfacecolor=fill,
            )
    begins = curves.loc[curves["phase"] == "finetune", "epoch"]
    if len(begins):
        ax.axvline(
            float(begins.min()) - 0.5,
            color=style.INK,
            linestyle=(0, (3, 3)),
            linewidth=0.9,
            label="fine-tuning begins",
        )
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    marks = [m * 10**k for k in range(8) for m in (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8)]
    shown = [p for p in marks if low <= p <= high]
    ax.set_yticks(shown, [f"{p:g}" for p in shown])
    ax.set_yticks([], minor=True)
    ax.set_xlabel("epoch")
    ax.set_ylabel("validation perplexity")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    style.legend(ax)
    return keep_rows(ax, curves[CURVE])


def perplexities_compared(perplexity: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Table 1 as a picture: test perplexity without and after fine-tuning, with 95 % bars.

    ``perplexity``: model, finetuned (no or yes), test_perplexity, low, high.
    """
    require_columns(perplexity, TEST)
    ax = style.new_axes(ax, height=3.4)
    for number, (model, (name, colour, marker)) in enumerate(MODELS.items()):
        rows = perplexity[perplexity["model"] == model]
        if rows.empty:
            continue
        places = [list(STEPS).index(step) + 0.12 * (2 * number - 1) for step in rows["finetuned"]]
        value = rows["test_perplexity"]
        reach = np.nan_to_num(np.stack([value - rows["low"], rows["high"] - value]))
        ax.errorbar(
            places,
            value,
            yerr=reach,
            color=colour,
            marker=marker,
            markersize=6,
            linestyle="none",
            capsize=3,
            label=name,
        )
    ax.set_xticks(range(len(STEPS)), list(STEPS.values()))
    ax.set_xlim(-0.5, len(STEPS) - 0.5)
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_ylabel("test perplexity")
    style.legend(ax)
    return keep_rows(ax, perplexity[TEST])
