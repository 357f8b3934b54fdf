"""One look for every figure: colours, names, order; legible on light and on dark pages.

Figures are transparent. Text, ticks and spines are a middle grey and every colour has a contrast
of 3 or more against white and against a near-black page (#121212), so one picture serves both.
The colours stay apart for the common kinds of colour blindness, and line styles and markers
repeat what they say.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

INK = "#7d7d7d"  # text and spines
FAINT = "#7d7d7d40"  # grid
SEQUENTIAL = "viridis"  # for heat maps, dark is low

LAYERS = {"embedding": "#b0689b", "lstm1": "#2185c5", "lstm2": "#d55e00", "softmax": "#0c9a6c"}
SIGNALS = {"gradient": "-", "activation": (0, (4, 2))}
CLASSES = {"closed": "#b8860b", "open": "#7f73c6", "none": "#8c8c8c"}
CLASS_MARKERS = {"closed": "s", "open": "o", "none": "."}
LOSSES = {"train_loss": "#2185c5", "valid_loss": "#d55e00"}

TOP_GRADIENT = r"\chi(\overline{h}^2)"  # the quantity most figures are about, for math mode

LAYER_NAMES = {
    "embedding": "embedding",
    "lstm1": "lower LSTM",
    "lstm2": "upper LSTM",
    "softmax": "softmax",
}
SYMBOLS = {
    ("embedding", "activation"): "h^e",
    ("lstm1", "activation"): "h^1",
    ("lstm2", "activation"): "h^2",
    ("embedding", "gradient"): r"\overline{h}^e",
    ("lstm1", "gradient"): r"\overline{h}^1",
    ("lstm2", "gradient"): r"\overline{h}^2",
    ("softmax", "gradient"): r"\overline{x}",
}
ARROWS = {"target": r"\leftarrow", "input": r"\rightarrow"}
CLASS_NAMES = {
    "closed": "closed (function words)",
    "open": "open (content words)",
    "none": "neither",
}
METHOD_NAMES = {
    "pearson": "Pearson, raw frequency",
    "spearman": "Spearman (ranks)",
    "pearson_log": "Pearson, log frequency",
    "partial_class": "log frequency, given class",
    "partial_length": "log frequency, given length",
    "partial_class_length": "log frequency, given both",
}

WIDTH, HEIGHT, DPI = 7.2, 4.2, 144


def signal_label(layer: str, signal: str) -> str:
    """``upper LSTM gradient, $\\overline{h}^2$``."""
    return f"{LAYER_NAMES.get(layer, layer)} {signal}, ${symbol(layer, signal)}$"


def symbol(layer: str, signal: str) -> str:
    """The paper's symbol, for math mode; the layer's own name where the paper has none."""
    return SYMBOLS.get((layer, signal), rf"\mathrm{{{layer}}}")


def layer_colour(layer: str, index: int = 0) -> Any:
    """The layer's colour; layers of other models take the palette in turn."""
    return LAYERS.get(layer, list(LAYERS.values())[index % len(LAYERS)])


def new_axes(ax: Axes | None = None, *, width: float = WIDTH, height: float = HEIGHT) -> Axes:
    """``ax``, or the axes of a new transparent figure, dressed in the book's style."""
    if ax is None:
        _, ax = plt.subplots(figsize=(width, height), dpi=DPI, layout="constrained")
    return dress(ax)


def dress(ax: Axes) -> Axes:
    """Grey spines, ticks and text on no background; a faint grid."""
    figure = ax.get_figure()
    if figure is not None:
        figure.patch.set_alpha(0.0)
    ax.patch.set_alpha(0.0)
    for side, spine in ax.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
    ax.tick_params(colors=INK, which="both")
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(INK)
    ax.title.set_fontsize("medium")
    ax.grid(True, color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


def as_typed(word: object) -> str:
    r"""A word for a text that may hold formulas beside it: its dollar signs are no formula.

    >>> as_typed("$x$")
    '\\$x\\$'
    """
    return str(word).replace("$", r"\$")


def legend(ax: Axes, **options: Any) -> None:
    """A frameless legend in grey, if there is anything to name."""
    if ax.get_legend_handles_labels()[0]:
        options = {"frameon": False, "labelcolor": INK, "fontsize": "small", **options}
        ax.legend(**options)
