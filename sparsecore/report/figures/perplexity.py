"""Language models over their epochs and at the end: dense and sparse with as many parameters."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

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
MARKS = 18  # of a line, about


@style.theme()
def perplexity_over_epochs(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Validation perplexity after every epoch, a line a model, from the least to the most of seeds.

    ``curves``: model (dense or sparse), seed, epoch, phase (train or finetune), valid_loss (nats),
    averaged. The line is the geometric mean; open markers: plain weights; filled: averaged ones.
    The dashed line stands where fine-tuning begins.
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
    begins = curves.loc[curves["phase"] == "finetune", "epoch"]
    ax.set_yscale("log")
    if len(begins):
        place = float(begins.min()) - 0.5
        ax.axvline(place, color=style.INK, linestyle=(0, (3, 3)), linewidth=1.0)
        name_upright(ax, place, "fine-tuning begins")
    marks.round_ticks(ax)
    ax.set_ylabel("validation perplexity")
    marks.whole_numbers(ax, "epoch")
    marks.name_lines(ax, width=14)
    return keep_rows(ax, curves[CURVE])


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
