"""What makes a gradient sparse: the effect of frequency by dose, over training, and by arm."""

from __future__ import annotations

import itertools
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsecore.errors import InputError
from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_rows, label_rows
from sparsecore.report.figures.style import Look
from sparsecore.stats.tables import Summary, require_columns

ARMS = {
    "sgd-5": "SGD at 5",
    "sgd-20": "SGD at 20",
    "normal-init": "SGD at 5, normal output rows",
    "adam": "LSTM with Adam",
    "shuffled": "SGD at 5, targets shuffled",
    "momentum": "SGD with momentum",
    "repeated": "SGD at 5, a tenth of the text ten times",
    "gru": "GRU with Adam",
    "mingru": "minGRU with Adam",
    "transformer": "Transformer with Adam",
    "sparse": "block-sparse LSTM with Adam",
    "penalty": "χ penalised",
    "reward": "χ rewarded",
    "curriculum": "frequent words first",
}
ORDER = (  # of the palette, rate 20 in the colour of Wikipedia's run; no figure repeats a look
    "sgd-20", "normal-init", "sgd-5", "adam", "shuffled", "momentum",
    "repeated", "gru", "mingru", "penalty", "sparse", "transformer",
    "reward", "curriculum",
)  # fmt: skip
LOOKS = marks.looks_of(ORDER, ARMS)
LOOKS["curriculum"] = replace(LOOKS["curriculum"], dashes=style.DOTTED, filled=False)
ON_SCALE = tuple(arm for arm in ARMS if arm != "reward")  # whose slopes dwarf the others
THOUSANDTHS = 1e3
FEWEST = 10  # words of a band that is drawn
MEASURES = (
    (Look("in training", style.ORANGE, marker="o"), "training", -0.14),
    (Look("on held-out text", style.ORANGE, marker="o", filled=False), "held out", 0.14),
)
CODES = re.compile("|".join(rf"(?<=, ){code}(?=,)" for code in ARMS))
SLOPES = ["arm", "seed", "update", "measure", "kind", "value"]
ABREAST = 3  # panels
ROW_NAME = 22  # letters of a line left of a row
PER_NAT = rf"split slope of ${style.TOP_GRADIENT}$, thousandths a nat"


def arm_in_words(part: str) -> str:
    """The name of a part of a finding, its arm as readers know it.

    >>> arm_in_words("split slope, normal-init, training")
    'split slope, SGD at 5, normal output rows, training'
    """
    return CODES.sub(lambda code: ARMS[code[0]], part)


@style.theme()
def dose_response(
    doses: pd.DataFrame,
    arms: Sequence[str] = ("sgd-5", "sgd-20", "adam"),
    measure: str = "held out",
    ax: Axes | None = None,
) -> Axes:
    """χ of a frequent type minus that of a rare one, over how much rarer it is; bars: intervals.

    ``doses``: arm, measure, condition, dose (nats), value, low, high. Filled: words split into two
    types; open: words thinned, against intact ones as frequent.
    """
    columns = ["arm", "measure", "condition", "dose", "value", "low", "high"]
    require_columns(doses, columns)
    ax = style.new_axes(ax)
    shown = doses[doses["arm"].isin(arms) & (doses["measure"] == measure)]
    present = [arm for arm in arms if (shown["arm"] == arm).any()]
    for index, arm in enumerate(present):
        look = LOOKS[arm]
        for kind in ("split", "thin"):
            rows = shown[(shown["arm"] == arm) & shown["condition"].str.startswith(kind)]
            value, low, high = (THOUSANDTHS * rows[end] for end in ("value", "low", "high"))
            thinned = kind == "thin"
            name = f"{look.name}, thinned" if thinned else look.name
            own = replace(look, name=name, filled=not thinned)
            places = rows["dose"] + 0.06 * (index - (len(present) - 1) / 2) + 0.18 * thinned
            ratios = rows["condition"].str.partition("-")[2]
            pairs = zip(ratios, value, strict=True)
            told = [f"{name}, {ratio} : 1: {style.number(one, '.2f')}" for ratio, one in pairs]
            line = "none" if thinned else "-"
            marks.points(ax, places, value, (low, high), own, texts=told, linestyle=line)
    marks.zero_line(ax)
    ax.set_xticks(np.log([1, 4, 19]), ["1 : 1", "4 : 1", "19 : 1"])
    ax.set_xlabel("how much more often the frequent type occurs")
    ax.set_ylabel(rf"difference of ${style.TOP_GRADIENT}$, thousandths")
    style.below(ax)
    return keep_rows(ax, shown[columns])


@style.theme()
def slopes_compared(
    slopes: pd.DataFrame, arms: Sequence[str] = tuple(ARMS), ax: Axes | None = None
) -> Axes:
    """The split slope of arms by both measures, at the last update; bars: intervals.

    ``slopes``: arm, update, measure, kind, value, low, high, seeds.
    """
    columns = ["arm", "update", "measure", "kind", "value", "low", "high", "seeds"]
    require_columns(slopes, columns)
    last = slopes["update"] == slopes["update"].max()
    shown = slopes[last & (slopes["kind"] == "split") & slopes["arm"].isin(arms)]
    present = [arm for arm in ARMS if (shown["arm"] == arm).any()]
    ax = style.new_axes(ax, height=1.6 + 0.45 * len(present))
    for look, measure, shift in MEASURES:
        rows = shown[shown["measure"] == measure]
        value, low, high = (THOUSANDTHS * rows[end] for end in ("value", "low", "high"))
        ends = marks.ends_to_draw(low, high, rows["seeds"])
        pairs = zip(rows["arm"], value, strict=True)
        told = [f"{ARMS[arm]}, {look.name}: {style.number(one, '.2f')}" for arm, one in pairs]
        places = rows["arm"].map(present.index) + shift
        marks.points(ax, places, value, ends, look, across=True, texts=told)
    marks.zero_line(ax, across=True)
    ax.set_yticks(range(len(present)), [textwrap.fill(ARMS[arm], ROW_NAME) for arm in present])
    ax.invert_yaxis()
    ax.set_xlabel(PER_NAT)
    style.below(ax)
    return keep_rows(ax, shown[columns])


@style.theme()
def slopes_over_updates(
    replicates: pd.DataFrame,
    arms: Sequence[str] = tuple(LOOKS),
    ax: Axes | None = None,
) -> Axes:
    """The split slope over training, held out, a line an arm; bands: least to most of three seeds.

    ``replicates``: arm, seed, update, measure, kind, value.
    """
    ax = style.new_axes(ax)
    rows = _held_out_splits(replicates)
    shown = rows[rows["arm"].isin(arms)]
    marks.lines(ax, shown, "update", "slope", "arm", LOOKS, spread=True, single=False)
    marks.zero_line(ax)
    _mark_updates(ax)
    ax.set_xlabel("updates")
    ax.set_ylabel(PER_NAT)
    style.below(ax, ncols=2)
    return keep_rows(ax, shown[SLOPES])


@style.theme()
def slopes_by_arm(
    sides: Mapping[str, Summary | None], arms: Sequence[str], baseline: str = "sgd-5"
) -> np.ndarray:
    """A panel an arm: its split slope over training, held out, on the grey one of ``baseline``.

    ``sides``: by name the tables of the reference runs and those of the reader's, whose panels
    follow; None for one that there is not. Of each, ``replicates`` is drawn, as in
    :func:`slopes_over_updates`. Arms that were not run have no panel.
    """
    known = {side: tables["replicates"] for side, tables in sides.items() if tables is not None}
    shown = {side: _held_out_splits(rows) for side, rows in known.items()}
    panels = [(s, arm) for s, rows in shown.items() for arm in arms if (rows["arm"] == arm).any()]
    if not panels:
        raise InputError(f"none of these arms was run: {', '.join(arms)}")
    columns = min(ABREAST, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure, grid = style.new_figure(0.9 + 1.85 * lines, lines, columns, sharex=True, sharey=True)
    told: set[str] = set()
    for ax, (side, arm) in zip(grid.flat, panels, strict=False):
        behind = replace(LOOKS[baseline], colour=style.INK, marker=None, dashes=style.DASHED)
        looks = {baseline: behind, arm: LOOKS[arm]}
        rows = shown[side]
        marks.lines(ax, rows, "update", "slope", "arm", looks, spread=True, single=False)
        marks.zero_line(ax)
        _mark_updates(ax)
        name = LOOKS[arm].name.removeprefix(f"{behind.name}, ")
        ax.set_title(textwrap.fill(name, 20), color=LOOKS[arm].colour)
        ax.set(xlabel="", ylabel="")
        keep_rows(ax, rows.loc[rows["arm"].isin({arm} if side in told else looks), SLOPES])
        label_rows(ax, "whose", side)
        told.add(side)
    for ax in grid.flat[len(panels) :]:
        ax.remove()
    figure.supxlabel("updates", color=style.INK, fontsize=style.TEXT)
    figure.supylabel(PER_NAT, color=style.INK, fontsize=style.TEXT)
    return grid.flat[: len(panels)]


def _mark_updates(ax: Axes) -> None:
    """Few marks, which do not touch those of the next panel."""
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter("{x:,.0f}")


def _held_out_splits(replicates: pd.DataFrame) -> pd.DataFrame:
    require_columns(replicates, SLOPES)
    own = (replicates["measure"] == "held out") & (replicates["kind"] == "split")
    return replicates[own].assign(slope=THOUSANDTHS * replicates["value"])


@style.theme()
def slopes_over_loss(
    progress: pd.DataFrame,
    arms: Sequence[str] = ("sgd-20", "sgd-5", "adam"),
    measure: str = "training",
    ax: Axes | None = None,
) -> Axes:
    """The split slope by what an arm had learned by then, joined in order; bars: intervals.

    ``progress``: arm, update, measure, kind, value, low, high, and valid_loss (nats a word).
    """
    columns = ["arm", "update", "measure", "kind", "value", "low", "high", "valid_loss"]
    require_columns(progress, columns)
    ax = style.new_axes(ax)
    own = (progress["measure"] == measure) & (progress["kind"] == "split")
    shown = progress[own & progress["arm"].isin(arms)]
    for arm in (arm for arm in arms if (shown["arm"] == arm).any()):
        rows = shown[shown["arm"] == arm].sort_values("update")  # the loss may rise again
        value, low, high = (THOUSANDTHS * rows[end] for end in ("value", "low", "high"))
        pairs = zip(rows["update"], value, strict=True)
        told = [f"{LOOKS[arm].name}, {n:,} updates: {style.number(one, '.2f')}" for n, one in pairs]
        marks.points(ax, rows["valid_loss"], value, (low, high), LOOKS[arm], texts=told,
                     linestyle="-", linewidth=1.2)  # fmt: skip
    marks.zero_line(ax)
    ax.invert_xaxis()
    ax.set_xlabel("held-out loss, nats a word (better to the right)")
    ax.set_ylabel(PER_NAT)
    style.below(ax, ncols=3)
    return keep_rows(ax, shown[columns])


@style.theme()
def acquisition(bands: pd.DataFrame, arm: str = "sgd-20", ax: Axes | None = None) -> Axes:
    """Surprisal against χ over training, a line a band of frequency: what comes first?

    ``bands``: arm, update, from_count, words, chi, surprisal. Bands of fewer than ten words are
    left out.
    """
    columns = ["arm", "update", "from_count", "words", "chi", "surprisal"]
    require_columns(bands, columns)
    ax = style.new_axes(ax)
    shown = bands[(bands["arm"] == arm) & (bands["words"] >= FEWEST)]
    shown = shown.sort_values(["from_count", "update"])
    counts = sorted(bands["from_count"].unique())
    names = {a: f"seen {a:,} to {b - 1:,} times" for a, b in itertools.pairwise(counts)}
    names[counts[-1]] = f"seen {counts[-1]:,} times or more"
    looks = marks.looks_of(shown["from_count"].unique(), names)
    for count, look in looks.items():
        rows = shown[shown["from_count"] == count]
        ax.plot(rows["surprisal"], rows["chi"], color=look.colour, marker=look.marker,
                linewidth=look.width, label=look.name)  # fmt: skip
    ax.invert_xaxis()
    ax.set_xlabel("mean surprisal, nats (learning goes to the right)")
    ax.set_ylabel(rf"mean ${style.TOP_GRADIENT}$")
    style.legend(ax)
    return keep_rows(ax, shown[columns])
