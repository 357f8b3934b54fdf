"""Figures of rho: over the epochs (Figs. 3a, 3b, 4, §4), by method, and without a few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from sparsecore.errors import InputError, near_match
from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import keep_points, keep_rows
from sparsecore.report.figures.style import Look
from sparsecore.report.figures.training import mark_step_cuts
from sparsecore.stats.tables import require_columns

HEADLINE = ("lstm2", "gradient")  # the signal of the paper's finding, drawn heavier


@style.theme()
def correlations_over_epochs(
    table: pd.DataFrame,
    role: str = "target",
    method: str = "pearson",
    value: str = "chi",
    signals: Iterable[tuple[str, str]] | None = None,
    named: Iterable[tuple[str, str]] | None = None,
    epochs: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """rho over the epochs, one line a layer and signal (Figs. 3a and 3b of Saphra & Lopez 2019).

    ``table``: :func:`~sparsecore.stats.correlation.frequency_correlation` by epoch, layer,
    signal and role (and seed). Line: mean over seeds, with a thin line for each seed; band: the
    95 % interval over words (its mean over seeds). ``signals``: (layer, signal) pairs, default
    all. ``named``: those with a colour and a name, default all; the rest are thin, grey and share
    one name. ``epochs``: the run's epoch table; its learning-rate cuts become dashed vertical
    lines.
    """
    chosen = _choose(table, role=role, method=method, value=value)
    known = list(dict.fromkeys(zip(chosen["layer"], chosen["signal"], strict=True)))
    wanted = _ordered(known) if signals is None else list(signals)
    chief = set(wanted if named is None else named)
    looks = {}
    for index, (layer, signal) in sorted(
        enumerate(wanted), key=lambda pair: pair[1] in chief
    ):  # the grey ones below
        if (layer, signal) not in known:
            raise InputError(f"the table has no rows for layer={layer}, signal={signal}")
        own = (layer, signal) in chief
        looks[f"{layer} {signal}"] = Look(
            style.signal_label(layer, signal),
            style.layer_colour(layer, index) if own else style.GREY,
            style.SIGNALS.get(signal, style.SOLID),
            width=2.8 if (layer, signal) == HEADLINE else 1.8 if own else 1.0,
        )
    drawn = chosen.assign(series=chosen["layer"] + " " + chosen["signal"])
    drawn = drawn[drawn["series"].isin(looks)]
    ax = style.new_axes(ax, height=4.8)
    marks.zero_line(ax)
    marks.lines(ax, drawn, "epoch", "rho", "series", looks, ends=("low", "high"))
    _share_name(ax, [style.signal_label(*pair) for pair in wanted if pair not in chief])
    what = r"\ell_1" if value == "l1" else r"\chi"
    arrow = style.ARROWS[role]
    ax.set_ylabel(f"correlation of mean ${what}$ with\n{role}-word frequency, $\\rho_{{{arrow}}}$")
    _finish(ax, epochs)
    return keep_rows(ax, drawn.drop(columns="series"))


@style.theme()
def class_correlations(
    table: pd.DataFrame,
    column: str = "rho",
    method: str = "pearson",
    epochs: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """rho (or mean chi) of the top gradient over the epochs, by word class (Fig. 4).

    ``table``: epoch, group (open|closed|matched open|matched closed), the column with its
    ``low`` and ``high`` (``chi_low`` and ``chi_high`` for chi), method and seed where there are
    several.
    """
    names = {"rho": ("low", "high"), "chi": ("chi_low", "chi_high")}
    if column not in names:
        raise InputError(f"column must be 'rho' or 'chi', not {column!r}")
    require_columns(table, ["epoch", "group", column, *names[column]])
    if "method" in table.columns:
        if not (table["method"] == method).any():
            raise InputError(f"unknown method {method!r}{near_match(method, set(table['method']))}")
        table = table[table["method"] == method]
    ax = style.new_axes(ax)
    if column == "rho":
        marks.zero_line(ax)
    looks = {
        f"{matched}{word_class}": Look(
            f"{word_class}, matched in frequency" if matched else style.CLASS_NAMES[word_class],
            style.CLASSES[word_class],
            style.DOTTED if matched else style.SOLID,
        )
        for matched in ("", "matched ")
        for word_class in ("closed", "open")
    }
    marks.lines(ax, table, "epoch", column, "group", looks, ends=names[column])
    ax.set_ylabel(
        "correlation with target-word\nfrequency, $\\rho_{\\leftarrow}(\\overline{h}^2)$"
        if column == "rho"
        else f"mean concentration of the\ngradient, ${style.TOP_GRADIENT}$"
    )
    _finish(ax, epochs)
    return keep_rows(ax, table)


@style.theme()
def methods_compared(
    table: pd.DataFrame,
    ax: Axes | None = None,
) -> Axes:
    """Rho of the upper gradient, last epoch, by every method: does the finding depend on it?

    With several seeds: a mark a seed. ``table``: method, rho, low, high, layer, signal; epoch.
    """
    chosen = _choose(table, role="target", layer="lstm2", signal="gradient", value="chi")
    if "epoch" in chosen.columns:
        chosen = chosen[chosen["epoch"] == chosen["epoch"].max()]
    methods = [m for m in style.METHOD_NAMES if (chosen["method"] == m).any()]
    chosen = chosen[chosen["method"].isin(methods)]
    ax = style.new_axes(ax, height=1.3 + 0.5 * len(methods))
    marks.zero_line(ax, across=True)
    for row, method in enumerate(methods):
        part = chosen[chosen["method"] == method]
        places = row + (np.linspace(-0.24, 0.24, len(part)) if len(part) > 1 else np.zeros(1))
        told = [f"{style.METHOD_NAMES[method]}: {_told(one)}" for one in part.to_dict("records")]
        look = Look("_", style.layer_colour("lstm2"), marker="o")
        marks.points(ax, places, part["rho"], (part["low"], part["high"]), look, across=True,
                     texts=told, capsize=0)  # fmt: skip
    ax.set_yticks(range(len(methods)), [style.METHOD_NAMES[m] for m in methods])
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.set_xlabel(
        "correlation with target-word frequency, "
        f"$\\rho_{{{style.ARROWS['target']}}}({style.symbol('lstm2', 'gradient')})$"
    )
    ax.grid(False, axis="y")
    return keep_rows(ax, chosen)


@style.theme()
def without_words(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Pearson's rho on raw frequency once the k most frequent words are left out.

    ``table``: :func:`~sparsecore.stats.influence.without_most_frequent` of one signal and epoch
    (and several seeds).
    """
    require_columns(table, ["dropped", "rho", "frequency_share"])
    ax = style.new_axes(ax)
    marks.zero_line(ax)
    shares = table.groupby("dropped")["frequency_share"].mean()
    colour = style.LAYERS["lstm2"]
    drawing = {"data": table.astype({"dropped": str}), "x": "dropped", "y": "rho", "ax": ax}
    if "seed" in table.columns and table["seed"].nunique() > 1:
        seeds = {"hue": "seed", "palette": [colour] * table["seed"].nunique(), "legend": False}
        sns.pointplot(**drawing, **seeds, markers="", linewidth=0.7, alpha=0.5)
    sns.pointplot(**drawing, errorbar=None, color=colour, markersize=6, linewidth=2)
    means = table.groupby("dropped")["rho"].mean()
    told = [f"without {k:g} words: {rho:.3f}".replace("-", "−") for k, rho in means.items()]
    keep_points(ax, range(len(means)), means, told)
    ticks = [f"{k}\n{100 * s:.0f} %" for k, s in shares.items()]
    ax.set_xticks(range(len(shares)), ticks)
    ax.set_xlabel("most frequent words left out (and their share of the text)")
    ax.set_ylabel(r"correlation, raw frequency, $\rho$")
    return keep_rows(ax, table)


@style.theme()
def without_words_by_epoch(table: pd.DataFrame, epochs: Sequence[int]) -> np.ndarray:
    """rho over words of large exposure without the k most frequent: log left, raw right.

    ``table``: seed, epoch, method, dropped, rho; ``epochs``: which are drawn, a line each.
    """
    require_columns(table, ["dropped", "rho", "method", "epoch"])
    wanted = [epoch for epoch in epochs if epoch in set(table["epoch"])]
    looks = marks.looks_of(wanted, {epoch: f"after epoch {epoch}" for epoch in wanted})
    places = {k: n for n, k in enumerate(sorted(table["dropped"].unique()))}
    shown = table[table["epoch"].isin(wanted)]
    _, axes = style.new_figure(4.4, columns=2, sharey=True)
    for ax, (method, (name, _)) in zip(axes[0], style.SCALES.items(), strict=True):
        own = shown[shown["method"] == method]
        marks.zero_line(ax)
        drawn = own.assign(place=own["dropped"].map(places))
        told = {place: f"without {k} words" for k, place in places.items()}
        marks.lines(ax, drawn, "place", "rho", "epoch", looks, at=told)
        ax.set_xticks(list(places.values()), [str(k) for k in places])
        ax.set(title=f"{name} frequency", xlabel="most frequent words left out", ylabel=r"$\rho$")
        ax.tick_params(labelleft=True)
        keep_rows(ax, own)
    style.figure_legend(axes[0, 0].get_figure(root=True), axes[0, :1], ncols=2)
    return axes[0]


def _share_name(ax: Axes, names: Sequence[str]) -> None:
    """One name for all lines with these."""
    lines = [line for line in ax.get_lines() if line.get_label() in names]
    for number, line in enumerate(lines):
        line.set_label("_" if number else "the other signals")


def _finish(ax: Axes, epochs: pd.DataFrame | None) -> None:
    if epochs is not None:
        mark_step_cuts(ax, epochs)
    marks.whole_numbers(ax)
    marks.name_lines(ax)


def _told(one: dict[Any, Any]) -> str:
    return f"{one['rho']:.2f} [{one['low']:.2f}, {one['high']:.2f}]".replace("-", "−")


def _choose(table: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    """Rows with the wanted values, each column that is there; one line if none are left."""
    require_columns(table, ["rho", "low", "high", "layer", "signal"])
    for column, value in wanted.items():
        if column not in table.columns:
            continue
        known = table[column].unique()
        table = table[table[column] == value]
        if table.empty:
            choices = ", ".join(str(v) for v in known)
            raise InputError(f"the table has no rows with {column}={value} (it has {choices})")
    return table


def _ordered(signals: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """From the softmax down, gradients first; what the palette does not know comes last."""
    layers = list(style.LAYERS)[::-1]

    def place(pair: tuple[str, str]) -> tuple[int, int]:
        layer, signal = pair
        depth = layers.index(layer) if layer in layers else len(layers)
        return (0 if signal == "gradient" else 1, depth)

    return sorted(signals, key=place)
