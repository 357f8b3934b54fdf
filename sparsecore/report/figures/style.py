"""One look for every figure: seaborn's theme in the book's colours, sizes, names and order.

Figures are transparent. Text, ticks and spines are a middle grey and every colour has a contrast
of 3 or more against white and against a near-black page (#121212), so one picture serves both;
the book's style sheet then darkens it on light pages and lightens it on dark ones. The colours
stay apart for the common kinds of colour blindness, and dashes and markers repeat what they say.

A figure function is decorated with :func:`theme`, so that the theme holds while it draws and
nothing of it stays behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from sparsecore.report.figures.figure_data import keep_names

INK = "#7d7d7d"  # text and spines
FAINT = "#7d7d7d38"  # grid
SEQUENTIAL = "viridis"  # for heat maps, dark is low

BLUE, ORANGE, GREEN, PINK = "#2185c5", "#d55e00", "#0c9a6c", "#b0689b"
OCHRE, VIOLET, GREY = "#b8860b", "#7f73c6", "#8c8c8c"
PALETTE = (ORANGE, BLUE, GREEN, PINK, OCHRE, VIOLET)
MARKERS = ("s", "o", "^", "D", "v", "P")
SOLID, DASHED, DOTTED = "", (4, 2), (1, 1.2)  # dashes, as seaborn takes them

LAYERS = {"embedding": PINK, "lstm1": BLUE, "lstm2": ORANGE, "softmax": GREEN}
SIGNALS = {"gradient": SOLID, "activation": DASHED}
CLASSES = {"closed": OCHRE, "open": VIOLET, "none": GREY}
CLASS_MARKERS = {"closed": "s", "open": "o", "none": "o"}
DENSE, SPARSE = ORANGE, GREEN

TOP_GRADIENT = r"\chi(\overline{h}^2)"  # the quantity most figures are about, for math mode
EPOCH = "epoch (0: before any training)"

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
    "partial_surprisal": "log frequency, given surprisal",
}

SCALES = {"pearson_log": ("log", SOLID), "pearson": ("raw", DASHED)}  # of frequency, by method

WIDTH, HEIGHT, DPI = 7.2, 4.4, 144  # inches: as wide as the book's column, at 96 to the inch
TEXT = 12.0  # points: as large as the prose there


@dataclass(frozen=True)
class Look:
    """How one series of a figure is drawn, and what it is called."""

    name: str
    colour: Any
    dashes: Any = SOLID
    marker: str | None = None
    width: float = 2.0
    filled: bool = True


@contextmanager
def theme() -> Iterator[None]:
    """Seaborn's *whitegrid* and *notebook* in the book's colours, while the block runs.

    Also a decorator: ``@theme()`` before a figure function. The settings are afterwards what they
    were; those that are not the theme's stay as the block left them, because a notebook's first
    figure turns on the display of all others.
    """
    colours = {
        "axes.edgecolor": INK,
        "axes.facecolor": "none",
        "axes.labelcolor": INK,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.facecolor": "none",
        "font.sans-serif": ["DejaVu Sans", "sans-serif"],
        "grid.color": FAINT,
        "patch.force_edgecolor": False,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    sizes: dict[str, Any] = dict.fromkeys(
        ("font.size", "axes.labelsize", "axes.titlesize", "legend.title_fontsize"), TEXT
    )
    sizes |= dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), TEXT - 1)
    ours = {
        "axes.titlecolor": INK,
        "figure.dpi": DPI,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "legend.labelcolor": INK,
        "svg.fonttype": "path",
    }
    context = sns.plotting_context("notebook", rc=sizes)
    settings: Any = {**sns.axes_style("whitegrid", colours), **context, **ours}
    before = {name: mpl.rcParams[name] for name in settings}
    mpl.rcParams.update(settings)
    try:
        yield
    finally:
        mpl.rcParams.update(before)


def new_axes(ax: Axes | None = None, *, width: float = WIDTH, height: float = HEIGHT) -> Axes:
    """``ax``, or the axes of a new transparent figure of the book's width, in the book's style.

    ``width``: of the drawing; where it is narrower, the figure leaves room beside it, so that the
    text of every figure has one size on the page.
    """
    if ax is not None:
        return dress(ax)
    figure, axes = new_figure(height)
    if width < WIDTH:
        margin = (1 - width / WIDTH) / 2
        figure.get_layout_engine().set(rect=(margin, 0, 1 - 2 * margin, 1))
    return axes[0, 0]


def new_figure(height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """A transparent figure of the book's width, and its grid of axes, in the book's style."""
    with theme():
        figure, axes = plt.subplots(
            rows, columns, figsize=(WIDTH, height), dpi=DPI, layout="constrained", squeeze=False,
            **options,
        )  # fmt: skip
        for ax in axes.flat:
            dress(ax)
    keep_width(figure)
    return figure, axes


def panels(table: Any, by: str, height: float, columns: int = 2, **options: Any) -> Any:
    """Seaborn's grid of panels, one for each value of a column, each with a scale of its own."""
    grid = sns.FacetGrid(
        table, col=by, col_wrap=columns, sharey=False, height=height,
        aspect=WIDTH / columns / height, **options,
    )  # fmt: skip
    grid.figure.set_layout_engine("constrained")
    keep_width(grid.figure)
    return grid


def keep_width(figure: Any) -> None:
    """Keep notebooks, which cut off what is empty, from changing the size of the text."""
    corners = figure.transFigure
    figure.add_artist(Rectangle((0, 0), 1, 1, transform=corners, fill=False, linewidth=0))


def dress(ax: Any) -> Any:
    """Let ticks that Matplotlib makes later look as the theme has them now."""
    with theme():
        size = mpl.rcParams["xtick.labelsize"]
    ax.tick_params(which="both", colors=INK, labelsize=size, length=0)
    ax.set_axisbelow(True)
    return ax


def legend(ax: Axes, **options: Any) -> None:
    """A legend, its title in the same grey, if there is anything to name."""
    if ax.get_legend_handles_labels()[0]:
        made = ax.legend(**{"frameon": False, "labelcolor": INK, **options})
        made.get_title().set_color(INK)


def drop_legend(ax: Axes) -> None:
    """Take away the legend of ``ax``, which others have the like of."""
    own = ax.get_legend()
    if own is not None:
        own.remove()


def below(ax: Axes, **options: Any) -> None:
    """The same under the axes, where it covers nothing; several panels keep one each."""
    figure = ax.get_figure(root=True)
    if figure is not None and figure.axes == [ax]:
        figure_legend(figure, [ax], **options)
    else:
        legend(ax)


def figure_legend(figure: Any, axes: Iterable[Axes], **options: Any) -> None:
    """One legend for all panels of a figure, under them: what is named alike stands once."""
    handles: dict[str, Any] = {}
    axes = list(axes)
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if not handles:
        return
    made = figure.legend(
        handles.values(), handles.keys(), frameon=False, labelcolor=INK, fontsize=TEXT - 1,
        **{"loc": "outside lower center", "ncols": min(3, len(handles)), **options},
    )  # fmt: skip
    made.get_title().set_color(INK)
    colours = {name: to_hex(colour_of(handle)) for name, handle in handles.items()}
    dashed = {name for name, handle in handles.items() if getattr(handle, "is_dashed", bool)()}
    if len({(colour, name in dashed) for name, colour in colours.items()}) == len(colours):
        keep_names(axes[0], colours, dashed)  # else they do not tell which is which


def colour_of(handle: Any) -> Any:
    """The colour that a legend shows: of a line, of bars, of a patch or of points."""
    if hasattr(handle, "lines"):  # the container of an error bar
        handle = handle.lines[0]
    if hasattr(handle, "get_color"):
        return handle.get_color()
    colour = np.atleast_2d(handle.get_facecolor())
    return colour[0] if colour.size else INK


def number(value: float, form: str = ".3g") -> str:
    """A number as figures write it: commas between thousands, the minus of mathematics.

    >>> number(14284.0), number(-0.1234), number(1725, "d")
    ('14,284', '−0.123', '1,725')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:{form}}"
    return text.replace("-", "−")


def signal_label(layer: str, signal: str) -> str:
    """``upper LSTM gradient, $\\overline{h}^2$``."""
    return f"{LAYER_NAMES.get(layer, layer)} {signal}, ${symbol(layer, signal)}$"


def symbol(layer: str, signal: str) -> str:
    """The paper's symbol, for math mode; the layer's own name where the paper has none."""
    return SYMBOLS.get((layer, signal), rf"\mathrm{{{layer}}}")


def layer_colour(layer: str, index: int = 0) -> Any:
    """The layer's colour; layers of other models take the palette in turn."""
    return LAYERS.get(layer, list(LAYERS.values())[index % len(LAYERS)])


def as_typed(word: object) -> str:
    r"""A word for a text that may hold formulas beside it: its dollar signs are no formula.

    >>> as_typed("$x$")
    '\\$x\\$'
    """
    return str(word).replace("$", r"\$")
