"""The training curve, and the marks of step-size cuts that other figures share."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.stats.tables import require_columns


def training_curve(epochs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Training and validation loss (nats a token) over the epochs; dashed: step size cut.

    ``epochs``: epoch, train_loss, valid_loss, step_cut (and seed). The right-hand scale is the
    same loss as perplexity, exp(loss).
    """
    require_columns(epochs, ["epoch", "train_loss", "valid_loss", "step_cut"])
    ax = style.new_axes(ax)
    names = {"train_loss": "training text", "valid_loss": "validation text"}
    for column, label in names.items():
        colour = style.LOSSES[column]
        dashes = "-" if column == "valid_loss" else (0, (4, 2))
        mean = epochs.groupby("epoch")[column].mean()
        if "seed" in epochs.columns and epochs["seed"].nunique() > 1:
            for _, run in epochs.groupby("seed"):
                ax.plot(run["epoch"], run[column], color=colour, linewidth=0.6, alpha=0.45)
        ax.plot(mean.index, mean, color=colour, linestyle=dashes, linewidth=1.8, label=label)
    mark_step_cuts(ax, epochs)
    ax.set_xlabel("epoch (0: before any training)")
    ax.set_ylabel("loss, nats a token")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    right = ax.secondary_yaxis("right")  # marked at round perplexities
    round_numbers = [m * 10**k for k in range(8) for m in (1, 2, 5)]
    shown = [p for p in round_numbers if low <= np.log(p) <= high]
    right.set_yticks(np.log(shown), [f"{p:g}" for p in shown])
    right.set_ylabel("perplexity", color=style.INK)
    right.tick_params(colors=style.INK)
    right.spines["right"].set_color(style.INK)
    style.legend(ax)
    own = ["seed", "epoch", *names, "step_cut"]
    return keep_rows(ax, epochs[[c for c in own if c in epochs.columns]])


def mark_step_cuts(ax: Axes, epochs: pd.DataFrame) -> None:
    """A dashed vertical line after each epoch at whose end the step size was cut.

    With several seeds a line is the fainter, the fewer of them cut there.
    """
    require_columns(epochs, ["epoch", "step_cut"])
    runs = epochs["seed"].nunique() if "seed" in epochs.columns else 1
    cuts = epochs.loc[epochs["step_cut"].astype(bool), "epoch"].value_counts().sort_index()
    for number, (epoch, count) in enumerate(cuts.items()):
        ax.axvline(
            float(epoch) + 0.5,  # pyright: ignore[reportArgumentType]
            color=style.INK,
            linestyle=(0, (3, 3)),
            linewidth=0.9,
            alpha=0.3 + 0.6 * count / runs,
            label="step size cut" if number == 0 else None,
        )
