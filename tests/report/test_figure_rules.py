"""What holds for every figure that readers see: seaborn's theme, legible and separate texts."""

import re
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from sparsecore.report import figures
from sparsecore.report.figures import marks, style
from sparsecore.report.figures.figure_data import points_of
from sparsecore.report.figures.style import Look
from sparsecore.report.pages.scale import paper_place
from sparsecore.report.pages.tagging import FIG3, SHOWN
from sparsecore.runs.reference import read_summary

mpl.use("agg")
RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"
WORDS = {"value": "chi_lstm2_gradient_target"}
DRAWN = {
    "targets": (figures.correlations_over_epochs, "emergent/wikitext-2-lr20", "correlations", {}),
    "classes": (figures.class_correlations, "emergent/wikitext-2-lr20", "classes", {}),
    "classes of W": (figures.classes_over_w, "emergent/wikitext-2-lr20", "scale", {}),
    "methods": (figures.methods_compared, "emergent/wikitext-2-lr20", "correlations", {}),
    "few words": (figures.without_words, "emergent/wikitext-2-lr20", "influence", {}),
    "scales": (figures.findings_by_scale, "emergent/wikitext-2-lr20", "scale",
               {"paper": paper_place()}),
    "exposure": (figures.exposure_lines, "emergent/wikitext-2-lr20", "exposure", {"width": 200}),
    "words": (figures.chi_against_frequency, "emergent/enwiki", "words", WORDS),
    "blocks": (figures.chi_by_blocks, "crossing/ptb-reviews", "concentration", {}),
    "survival": (figures.survival, "crossing/ptb-reviews", "survival", {}),
    "curves": (figures.perplexity_over_epochs, "language/ptb", "curves", {}),
    "perplexity": (figures.perplexities_compared, "language/ptb", "perplexity", {}),
    "recited": (figures.recited, "reciting/ptb", "accuracy", {}),
    "tradeoff": (figures.tradeoff, "tagging/ud-english-ewt", "tradeoff", FIG3),
    "orders": (figures.orders_compared, "tagging/ud-english-ewt", "accuracy", {}),
    "seen": (figures.accuracy_by_frequency, "tagging/ud-english-ewt", "frequencies",
             {"shown": SHOWN}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def texts_of(figure):
    """The texts that are drawn: of ticks, those within the limits of their axis."""
    ticks = {}
    children = [child for ax in figure.axes for child in ax.child_axes]
    for ax in [*figure.axes, *children]:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                for label in (tick.label1, tick.label2):
                    ticks[label] = low <= tick.get_loc() <= high
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and ticks.get(text, True)
    ]


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_of_the_book_is_named_legible_and_nothing_overlaps(name):
    draw, folder, table, options = DRAWN[name]
    tables = read_summary(RESULTS / folder)
    assert tables is not None
    before = dict(mpl.rcParams)
    axes = np.ravel(draw(tables[table], **options))
    assert dict(mpl.rcParams) == before
    for ax in axes:
        assert ax.get_xlabel() or [t.get_text() for t in ax.get_xticklabels()]
        assert ax.get_ylabel() or [t.get_text() for t in ax.get_yticklabels()]
    figure = axes[0].get_figure(root=True)
    assert figure.get_figwidth() == style.WIDTH
    points = points_of(figure)
    assert len(points) and points[["left", "top"]].apply(lambda s: s.between(0, 1)).all(axis=None)
    texts = texts_of(figure)
    told = [*points["text"], *(text.get_text() for text in texts)]
    if name != "words":  # some of which are years
        assert [text for text in told if re.search(r"\bplace\b|(?<![\d.,])\d{4,}", text)] == []
    assert min(text.get_fontsize() for text in texts) >= style.TEXT - 2
    boxes = [(text.get_text(), Text.get_window_extent(text).padded(-1)) for text in texts]
    assert [(a, b) for (a, one), (b, two) in combinations(boxes, 2) if one.overlaps(two)] == []


def test_the_theme_is_seaborns_and_ends_with_its_block():
    before = dict(mpl.rcParams)
    with style.theme():
        assert mpl.rcParams["axes.grid"] and not mpl.rcParams["axes.spines.top"]
        assert mpl.rcParams["text.color"] == style.INK
        assert mpl.rcParams["font.size"] == style.TEXT
    assert dict(mpl.rcParams) == before
    with style.theme():
        mpl.rcParams["interactive"] = True  # as a notebook does at its first figure
    assert mpl.rcParams["interactive"]
    mpl.rcParams["interactive"] = before["interactive"]
    undecorated = [
        name for name in figures.__all__
        if name not in ("beside", "mark_step_cuts")
        and not hasattr(getattr(figures, name), "__wrapped__")
    ]  # fmt: skip
    assert undecorated == []


def rows(seeds):
    return pd.DataFrame(
        [{"seed": s, "epoch": e, "rho": 50.0 * s, "model": "a"} for s in range(seeds)
         for e in range(3)]
    )  # fmt: skip


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_a_band_over_seeds_needs_three_of_them_and_stays_within_the_bounds(seeds):
    ax = style.new_axes()
    marks.lines(ax, rows(seeds), "epoch", "rho", "model", {"a": Look("a", style.BLUE)},
                spread=True, bounds=(0, 100))  # fmt: skip
    bands = [np.asarray(p.vertices)[:, 1] for band in ax.collections for p in band.get_paths()]
    assert [(ends.min(), ends.max()) for ends in bands] == ([(0, 100)] if seeds >= 3 else [])


def test_names_beside_lines_stay_apart_and_within_the_axes():
    wanted = [0.98, 0.99, 1.0]
    heights = marks.apart(wanted, [0.1, 0.1, 0.1])
    assert np.all(np.diff(heights) >= 0.1 - 1e-9) and heights[-1] <= 0.95 + 1e-9


def test_points_are_where_the_picture_has_them():
    table = pd.DataFrame({"family": "dense", "size": [1, 3], "accuracy": [90.0, 91.0],
                          "sd": 0.1, "seeds": 3})  # fmt: skip
    ax = figures.tradeoff(table, "size", "accuracy")
    points = points_of(ax.get_figure(root=True))
    assert points["text"].tolist() == [
        "dense, size 1: 90 [89.9, 90.1]",
        "dense, size 3: 91 [90.9, 91.1]",
    ]
    assert points["left"].is_monotonic_increasing and points["top"].is_monotonic_decreasing
