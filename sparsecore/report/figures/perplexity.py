"""Language models over their epochs and at the end: dense and sparse with as many parameters."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.report.figures.training import name_upright
from sparsecore.stats.tables import require_columns

MODELS = {
    "dense": Look("dense", style.DENSE, marker="s"),
    "sparse": Look("sparse, wider", style.SPARSE, marker="o"),
}
STEPS = {"no": "without fine-tuning", "yes": "after fine-tuning"}
CURVE = ["model", "seed", "epoch", "phase", "valid_loss", "averaged"]
TEST = ["model", "finetuned", "test_perplexity", "low", "high", "seeds"]
BEGINS = "fine-tuning begins"
MARKS = 18  # of a line, about
LATER = 8  # epochs that an inset needs
BELOW = 0.3  # the share of the height that is left below it


@style.theme()
def perplexity_over_epochs(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Validation perplexity after every epoch, a line a model, from the least to the most of seeds.

    ``curves``: model (dense or sparse), seed, epoch, phase (train or finetune), valid_loss (nats),
    averaged. The line is the geometric mean; open markers: plain weights; filled: averaged ones.
    The dashed line stands where fine-tuning begins; the inset has the later epochs alone.
    """
    require_columns(curves, CURVE)
    ax = style.new_axes(ax)
    rows = curves.assign(perplexity=np.exp(curves["valid_loss"]))
    for model, look in MODELS.items():
        own = rows[rows["model"] == model]
        if own.empty:
            continue
        mean = own.groupby("epoch")["valid_loss"].mean().map(math.exp)
        seeds = np.full(len(mean), own["seed"].nunique())
        reach = own.groupby("epoch")["perplexity"].agg(["min", "max"])
        low, high = marks.ends_to_draw(reach["min"], reach["max"], seeds)
        line = mean.rename("perplexity").reset_index()
        line = line.assign(model=model, _low=low, _high=high)
        bare = {model: Look(look.name, look.colour)}
        marks.lines(ax, line, "epoch", "perplexity", "model", bare, ends=("_low", "_high"))
        averaged = own.groupby("epoch")["averaged"].min().astype(bool)
        every = max(1, len(mean) // MARKS)
        for part, fill in ((mean[~averaged], "none"), (mean[averaged], look.colour)):
            ax.plot(part.index, part, color=look.colour, marker=look.marker, linestyle="none",
                    markersize=6.5, markerfacecolor=fill, markevery=every)  # fmt: skip
    ax.set_yscale("log")
    marks.round_ticks(ax)
    ax.set_ylabel("validation perplexity")
    marks.whole_numbers(ax, "epoch")
    inset = _later_epochs(ax, rows)
    begins = curves.loc[curves["phase"] == "finetune", "epoch"]
    if len(begins):
        place = float(begins.min()) - 0.5
        drawing = {"color": style.INK, "linestyle": (0, (3, 3)), "linewidth": 1.0}
        if inset is None:
            ax.axvline(place, **drawing)
            name_upright(ax, place, BEGINS)
        else:
            ax.axvline(place, ymax=BELOW, **drawing)
            inset.axvline(place, **drawing)
            inset.margins(y=0.2)
            inset.annotate(BEGINS, (place, 1), (4, -3), inset.get_xaxis_transform(),
                           "offset points", color=style.INK, fontsize=style.TEXT - 2,
                           va="top")  # fmt: skip
    marks.name_lines(ax, width=14)
    return keep_rows(ax, curves[CURVE])


def _later_epochs(ax: Axes, rows: pd.DataFrame) -> Axes | None:
    """An inset with the means of the last half of the epochs, in which the lines lie close."""
    later = rows[rows["epoch"] > rows["epoch"].max() / 2]
    if later["epoch"].nunique() < LATER:
        return None
    inset = ax.inset_axes((0.42, BELOW + 0.09, 0.56, 0.9 - BELOW))
    for model, look in MODELS.items():
        epochs = later[later["model"] == model].groupby("epoch")
        mean = epochs["valid_loss"].mean().map(math.exp)
        inset.plot(mean.index, mean, color=look.colour, linewidth=1.6)
        if later["seed"].nunique() >= marks.FEWEST_SEEDS:
            least, most = epochs["perplexity"].min(), epochs["perplexity"].max()
            inset.fill_between(mean.index, least, most, color=look.colour, alpha=0.16, linewidth=0)
    inset.tick_params(labelsize=style.TEXT - 2)
    inset.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    inset.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return inset


@style.theme()
def perplexities_compared(perplexity: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Table 1 as a picture: test perplexity without and after fine-tuning, with 95 % bars.

    ``perplexity``: model, finetuned (no or yes), test_perplexity, low, high, seeds; fewer than
    three seeds have no bar.
    """
    require_columns(perplexity, TEST)
    ax = style.new_axes(ax, height=3.8)
    for number, (model, look) in enumerate(MODELS.items()):
        rows = perplexity[perplexity["model"] == model]
        if rows.empty:
            continue
        places = [list(STEPS).index(step) + 0.12 * (2 * number - 1) for step in rows["finetuned"]]
        value = rows["test_perplexity"]
        ends = marks.ends_to_draw(rows["low"], rows["high"], rows["seeds"], (1.0, np.inf))
        told = [f"{look.name}: {one:.1f}" for one in value]
        marks.points(ax, places, value, ends, look, texts=told)
        side = 2 * number - 1
        ax.annotate(look.name, (places[0], value.iloc[0]), (10 * side, 0), va="center",
                    textcoords="offset points", ha="left" if number else "right",
                    color=look.colour)  # fmt: skip
    ax.set_xticks(range(len(STEPS)), list(STEPS.values()))
    ax.set_xlim(-0.5, len(STEPS) - 0.5)
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_ylabel("test perplexity")
    return keep_rows(ax, perplexity[TEST])
