"""Figures of rho: over the epochs (Figs. 3a, 3b, 4, §4), by method, and without a few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsecore.errors import InputError, near_match
from sparsecore.report.figures import style
from sparsecore.report.figures.figure_data import keep_rows
from sparsecore.report.figures.training import mark_step_cuts
from sparsecore.stats.tables import require_columns


def correlations_over_epochs(
    table: pd.DataFrame,
    role: str = "target",
    method: str = "pearson",
    value: str = "chi",
    signals: Iterable[tuple[str, str]] | None = None,
    epochs: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """rho over the epochs, one line a layer and signal (Figs. 3a and 3b of Saphra & Lopez 2019).

    ``table``: :func:`~sparsecore.stats.correlation.frequency_correlation` by epoch, layer,
    signal and role (and seed). Line: mean over seeds, with a thin line for each seed; band: the
    95 % interval over words (its mean over seeds). ``signals``: (layer, signal) pairs, default
    all. ``epochs``: the run's epoch table; its step-size cuts become dashed vertical lines.
    """
    chosen = _choose(table, role=role, method=method, value=value)
    known = list(dict.fromkeys(zip(chosen["layer"], chosen["signal"], strict=True)))
    wanted = _ordered(known) if signals is None else list(signals)
    ax = style.new_axes(ax)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    for index, (layer, signal) in enumerate(wanted):
        part = chosen[(chosen["layer"] == layer) & (chosen["signal"] == signal)]
        if part.empty:
            raise InputError(f"the table has no rows for layer={layer}, signal={signal}")
        colour = style.layer_colour(layer, index)
        label = style.signal_label(layer, signal)
        _line_with_band(ax, part, colour, style.SIGNALS.get(signal, "-"), label)
    if epochs is not None:
        mark_step_cuts(ax, epochs)
    what = r"\ell_1" if value == "l1" else r"\chi"
    arrow = style.ARROWS[role]
    ax.set_xlabel("epoch (0: before any training)")
    ax.set_ylabel(f"correlation of mean ${what}$ with\n{role}-word frequency, $\\rho_{{{arrow}}}$")
    _whole_epochs(ax)
    style.legend(ax, loc="center left", bbox_to_anchor=(1.01, 0.5))
    pairs = pd.MultiIndex.from_frame(chosen[["layer", "signal"]])
    return keep_rows(ax, chosen[pairs.isin(wanted)])


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
    low, high = names[column]
    require_columns(table, ["epoch", "group", column, low, high])
    if "method" in table.columns:
        if not (table["method"] == method).any():
            raise InputError(f"unknown method {method!r}{near_match(method, set(table['method']))}")
        table = table[table["method"] == method]
    ax = style.new_axes(ax)
    if column == "rho":
        ax.axhline(0, color=style.INK, linewidth=0.8)
    for group in ("closed", "open", "matched closed", "matched open"):
        part = table[table["group"] == group]
        if part.empty:
            continue
        matched = group.startswith("matched")
        part = part.assign(rho=part[column], low=part[low], high=part[high])
        label = f"{group.removeprefix('matched ')}, matched in frequency" if matched else group
        dashes = (0, (1, 1)) if matched else "-"
        colour = style.CLASSES[group.removeprefix("matched ")]
        _line_with_band(ax, part, colour, dashes, label, band=0.10 if matched else 0.2)
    if epochs is not None:
        mark_step_cuts(ax, epochs)
    ax.set_xlabel("epoch (0: before any training)")
    ax.set_ylabel(
        r"correlation with target-word frequency, $\rho_{\leftarrow}(\overline{h}^2)$"
        if column == "rho"
        else r"mean concentration of the gradient, $\chi(\overline{h}^2)$"
    )
    _whole_epochs(ax)
    style.legend(ax, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return keep_rows(ax, table)


def methods_compared(
    table: pd.DataFrame,
    role: str = "target",
    layer: str = "lstm2",
    signal: str = "gradient",
    epoch: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The same rho by every method, with intervals: does the finding hang on the method?

    ``epoch``: default the last. With several seeds: a mark a seed.
    """
    chosen = _choose(table, role=role, layer=layer, signal=signal, value="chi")
    if "epoch" in chosen.columns:
        chosen = chosen[chosen["epoch"] == (chosen["epoch"].max() if epoch is None else epoch)]
    methods = [m for m in style.METHOD_NAMES if (chosen["method"] == m).any()]
    ax = style.new_axes(ax, height=0.9 + 0.45 * len(methods))
    ax.axvline(0, color=style.INK, linewidth=0.8)
    colour = style.layer_colour(layer)
    for row, method in enumerate(methods):
        part = chosen[chosen["method"] == method]
        offsets = np.linspace(-0.2, 0.2, len(part)) if len(part) > 1 else np.zeros(1)
        y = row + offsets
        ax.hlines(y, part["low"], part["high"], color=colour, linewidth=1.6)
        ax.plot(part["rho"], y, "o", color=colour, markersize=5)
    ax.set_yticks(range(len(methods)), [style.METHOD_NAMES[m] for m in methods])
    ax.set_ylim(len(methods) - 0.5, -0.5)
    arrow = style.ARROWS[role]
    ax.set_xlabel(
        f"correlation with {role}-word\nfrequency, "
        f"$\\rho_{{{arrow}}}({style.symbol(layer, signal)})$"
    )
    ax.grid(False, axis="y")
    return keep_rows(ax, chosen[chosen["method"].isin(methods)])


def without_words(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Pearson's rho on raw frequency once the k most frequent words are left out.

    ``table``: :func:`~sparsecore.stats.influence.without_most_frequent` of one signal and epoch
    (and several seeds).
    """
    require_columns(table, ["dropped", "rho", "frequency_share"])
    ax = style.new_axes(ax)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    mean = table.groupby("dropped")[["rho", "frequency_share"]].mean()
    positions = np.arange(len(mean))
    if "seed" in table.columns and table["seed"].nunique() > 1:
        for _, part in table.groupby("seed"):
            y = part.set_index("dropped")["rho"].reindex(mean.index)
            ax.plot(positions, y, color=style.LAYERS["lstm2"], alpha=0.4, linewidth=0.8)
    ax.plot(positions, mean["rho"], "o-", color=style.LAYERS["lstm2"])
    ax.set_xticks(
        positions,
        [f"{k}\n{100 * s:.0f} %" for k, s in zip(mean.index, mean["frequency_share"], strict=True)],
    )
    ax.set_xlabel("most frequent words left out (and their share of the text)")
    ax.set_ylabel(r"correlation, raw frequency, $\rho$")
    return keep_rows(ax, table)


def _line_with_band(
    ax: Axes, part: pd.DataFrame, colour: str, dashes: object, label: str, band: float = 0.18
) -> None:
    mean = part.groupby("epoch")[["rho", "low", "high"]].mean()
    if "seed" in part.columns and part["seed"].nunique() > 1:
        for _, run in part.groupby("seed"):
            run = run.sort_values("epoch")
            ax.plot(run["epoch"], run["rho"], color=colour, linewidth=0.6, alpha=0.45)
    ax.fill_between(mean.index, mean["low"], mean["high"], color=colour, alpha=band, linewidth=0)
    ax.plot(mean.index, mean["rho"], color=colour, linestyle=dashes, linewidth=1.8, label=label)  # pyright: ignore[reportArgumentType]


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


def _whole_epochs(ax: Axes) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.margins(x=0.02)
