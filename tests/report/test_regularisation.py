"""Figures of learned structures draw what the tables say."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.report import figures
from sparsecore.report.figures import regularisation

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def points(category="books"):
    rows = []
    for family, sizes, base in (
        ("baseline", (24.0, 48.0, 96.0), 80.0),
        ("regularised", (8.0, 21.5), 82.0),
    ):
        for size in sizes:
            y = base + size / 50
            rows.append(
                {
                    "category": category,
                    "family": family,
                    "transitions": size,
                    "transitions_sd": 0.0 if family == "baseline" else 2.0,
                    "accuracy": y,
                    "low": y - 0.5,
                    "high": y + 0.5,
                    "seeds": 5,
                    "documents_low": y - 2,
                    "documents_high": y + 2,
                }
            )
    return pd.DataFrame(rows)


def test_each_family_is_a_line_with_both_intervals():
    ax = figures.accuracy_against_transitions(points())
    lines = {line.get_label(): line for line in ax.get_lines()}
    learned = lines["learned with group lasso"]
    np.testing.assert_allclose(learned.get_xdata(), [8, 21.5])
    np.testing.assert_allclose(
        lines["fixed structure"].get_ydata(), 80 + np.array([24, 48, 96]) / 50
    )
    heights = {
        round(float(np.ptp(segment[:, 1])), 3)
        for bars in ax.collections
        for segment in bars.get_segments()
    }
    assert heights == {0.0, 1.0, 4.0}  # of the size, over seeds, over documents


def test_a_single_seed_has_no_interval_over_seeds():
    table = points().assign(seeds=2, transitions_sd=np.nan)
    ax = figures.accuracy_against_transitions(table)
    heights = {
        round(float(np.ptp(s[:, 1])), 3) for bars in ax.collections for s in bars.get_segments()
    }
    assert heights == {4.0}


def test_a_panel_for_each_category():
    table = pd.concat([points(c) for c in ("kitchen", "dvd", "mix")])
    axes = figures.tradeoff_panels(table)
    assert [ax.get_title() for ax in axes] == ["kitchen", "dvd", "mix"]
    (legend,) = axes[0].get_figure().legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "fixed structure",
        "learned with group lasso",
    ]
    assert len(axes[0].get_figure().axes) == 3
    with pytest.raises(InputError, match="at least one category"):
        figures.tradeoff_panels(points().iloc[:0])
    with pytest.raises(InputError, match="category"):
        figures.tradeoff_panels(points().drop(columns="category"))


def test_every_try_is_a_mark():
    trials = pd.DataFrame(
        {"category": ["a", "a", "b"], "log10_strength": [-4.0, -3.0, -2.0],
         "transitions": [90, 40, 3]}
    )  # fmt: skip
    ax = figures.transitions_left(trials, full=96)
    marks = np.concatenate([np.asarray(c.get_offsets()) for c in ax.collections])
    right = 10**regularisation.SHIFT  # of those of the category before
    np.testing.assert_allclose(marks, [[1e-4, 90], [1e-3, 40], [1e-2 * right, 3]])
    assert ax.get_xscale() == "log" and ax.get_legend() is None
    (legend,) = ax.get_figure().legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_kept_states_are_filled_and_stand_first():
    states = pd.DataFrame(
        {
            "wfsa": [0, 0, 1, 1, 1],
            "state": [1, 2, 1, 2, 3],
            "norm": [0.05, 0.02, 1.0, 0.5, 0.02],
            "kept": [False, False, True, True, False],
        }
    )
    ax = figures.states_kept(states)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["WFSA 2"]
    named = figures.states_kept(states, {1: "pattern 1"})
    assert [text.get_text() for text in named.get_yticklabels()] == ["pattern 1"]
    assert [text.get_text() for text in ax.texts] == ["and 1 more, of which no state was kept"]
    removed, kept = ax.collections[:2]
    assert len(removed.get_facecolor()) == 0 and len(kept.get_facecolor()) == 1
    sizes = kept.get_sizes()
    np.testing.assert_allclose(sizes, [12 + 150, 12 + 75])
    solid = [line for line in ax.get_lines() if line.get_linestyle() == "-"]
    assert len(solid) == 2


@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
def test_colours_read_on_light_and_dark(page):
    from tests.report.test_figures import contrast

    for look in regularisation.FAMILIES.values():
        assert contrast(look.colour, page) >= 3
