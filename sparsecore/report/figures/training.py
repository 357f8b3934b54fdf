"""The training curve, and the marks of learning-rate cuts that other figures share."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import require_columns

LOSSES = {
    "train_loss": Look("training text", style.BLUE, style.DASHED),
    "valid_loss": Look("validation text", style.ORANGE),
}
MARKED = 20  # places of a line that each have a marker
OTHERS = tuple(c for c in style.PALETTE if c not in (style.DENSE, style.SPARSE))


@style.theme()
def training_curve(epochs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Training and validation loss (nats a token) over the epochs; dashed: learning rate cut.

    ``epochs``: epoch, train_loss, valid_loss, step_cut (and seed). The right-hand scale is the
    same loss as perplexity, exp(loss).
    """
    require_columns(epochs, ["epoch", *LOSSES, "step_cut"])
    ax = style.new_axes(ax)
    known = [c for c in ("seed", "epoch") if c in epochs.columns]
    long = epochs.melt(known, list(LOSSES), "text", "loss")
    marks.lines(ax, long, "epoch", "loss", "text", LOSSES)
    mark_step_cuts(ax, epochs)
    marks.whole_numbers(ax)
    ax.set_ylabel("loss, nats a token")
    low, high = ax.get_ylim()
    round_numbers = [m * 10**k for k in range(8) for m in (1, 2, 5)]
    shown = [p for p in round_numbers if low <= np.log(p) <= high]
    right_scale(ax, np.log(shown), [style.number(p, "g") for p in shown], "perplexity")
    style.legend(ax)
    return keep_rows(ax, epochs[[*known, *LOSSES, "step_cut"]])


@style.theme()
def perplexity_over_steps(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Perplexity of models that learn the same text side by side, a line a model.

    ``table``: model (its name), step, perplexity.
    """
    columns = ["model", "step", "perplexity"]
    require_columns(table, columns)
    ax = style.new_axes(ax, height=3.6)
    names = table["model"].unique()
    colours = (style.DENSE, style.SPARSE, *OTHERS)
    few = table.groupby("model")["step"].count().max() <= MARKED
    looks = {
        name: Look(name, colour, marker=marker if few else None)
        for name, colour, marker in zip(names, colours, style.MARKERS, strict=False)
    }
    marks.lines(ax, table, "step", "perplexity", "model", looks)
    ax.set_yscale("log")
    marks.round_ticks(ax)
    marks.whole_numbers(ax, "steps of training")
    ax.set_ylabel("perplexity")
    marks.name_lines(ax, width=14)
    return keep_rows(ax, table[columns])


def right_scale(ax: Axes, places: np.ndarray, labels: list[str], name: str) -> None:
    """The same values in another unit: marks on the right at ``places`` of the y axis."""
    ax.set_ylim(ax.get_ylim())
    right = style.dress(ax.secondary_yaxis("right"))
    right.set_yticks(places, labels)
    right.set_ylabel(name)


def mark_step_cuts(ax: Axes, epochs: pd.DataFrame) -> None:
    """A dashed vertical line after each epoch at whose end the learning rate was cut, one name.

    With several seeds a line is the fainter, the fewer of them cut there. A cut after the last
    epoch changed nothing that is shown and has no line.
    """
    require_columns(epochs, ["epoch", "step_cut"])
    runs = epochs["seed"].nunique() if "seed" in epochs.columns else 1
    cut = epochs["step_cut"].astype(bool) & (epochs["epoch"] < epochs["epoch"].max())
    counts = epochs.loc[cut, "epoch"].value_counts().sort_index()
    places = counts.index.to_numpy(float) + 0.5
    for place, count in zip(places, counts, strict=True):
        alpha = 0.3 + 0.6 * count / runs
        ax.axvline(place, color=style.INK, linestyle=(0, (3, 3)), linewidth=1.0, alpha=alpha)
    if len(places):
        _name_cuts(ax, places)


def _name_cuts(ax: Axes, places: np.ndarray) -> None:
    """Above the axes, between the first and the last; along the first line in panels, which have
    a title there."""
    text = "learning rate cut" if len(places) == 1 else "learning rate cuts (dashed)"
    spec = ax.get_subplotspec()
    if spec is None or spec.get_gridspec().ncols > 1:
        return name_upright(ax, places[0], text)
    middle = (places[0] + places[-1]) / 2
    ax.annotate(text, (middle, 1), (0, 2), ax.get_xaxis_transform(), "offset points", ha="center",
                color=style.INK, fontsize=style.TEXT - 2, va="bottom")  # fmt: skip


def name_upright(ax: Axes, place: float, text: str) -> None:
    """Write along a vertical line, at its top."""
    ax.annotate(text, (place, 1), (3, -2), ax.get_xaxis_transform(), "offset points",
                rotation=90, color=style.INK, fontsize=style.TEXT - 2, va="top")  # fmt: skip
