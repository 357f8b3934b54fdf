"""Figures of the tagging experiment draw what their tables say."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sparsecore.errors import InputError
from sparsecore.experiments.tagging.tables import tables_of
from sparsecore.report import figures
from tests.experiments.test_tagging_tables import made_up

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def tables():
    return tables_of(made_up(preset="small"))


def test_tradeoff_has_a_line_and_a_band_a_family(tables):
    names = {"sparse": "with zeros"}
    ax = figures.tradeoff(tables["tradeoff"], "size", "accuracy", names=names, log=True)
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines) == ["with zeros", "dense"]  # named ones first
    for family, line in (("sparse", lines["with zeros"]), ("dense", lines["dense"])):
        rows = tables["tradeoff"][tables["tradeoff"]["family"] == family]
        assert np.array_equal(line.get_xdata(), rows["size"])
        assert np.array_equal(line.get_ydata(), rows["accuracy"])
    band = np.asarray(ax.collections[0].get_paths()[0].vertices)[:, 1]
    rows = tables["tradeoff"][tables["tradeoff"]["family"] == "sparse"]
    assert band.min() == pytest.approx((rows["accuracy"] - rows["sd"]).min())
    assert band.max() == pytest.approx((rows["accuracy"] + rows["sd"]).max())
    assert [float(t) for t in ax.xaxis.get_ticklocs()] == sorted(rows["size"])
    assert ax.get_xlabel() == "size" and ax.get_ylabel() == "accuracy"


def test_tradeoff_of_two_seeds_and_without_a_column(tables):
    two = tables["tradeoff"].assign(seeds=2)
    ax = figures.tradeoff(two, "x", "y")
    assert len(ax.lines) == 2
    assert not ax.collections  # two seeds have no band
    with pytest.raises((InputError, ValueError), match="size"):
        figures.tradeoff(two.drop(columns="size"), "x", "y")


def test_orders_stand_at_their_densities_with_their_intervals(tables):
    ax = figures.orders_compared(tables["accuracy"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1 (dense)", "0.25", "0.1"]
    drawn = {bar.get_label(): bar for bar in ax.containers}
    assert len(drawn) == 4
    down = next(bar for name, bar in drawn.items() if "rare words" in str(name))
    points, _, (bars,) = down.lines
    rows = tables["accuracy"].query("order == 'down'").sort_values("density", ascending=False)
    assert np.allclose(points.get_ydata(), rows["accuracy"])
    assert np.allclose(np.round(points.get_xdata()), [1, 2])
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    assert np.allclose(ends, rows[["low", "high"]])


def test_accuracy_by_frequency_draws_the_models_asked_for(tables):
    shown = {"full": (20, 1.0, "up"), "down": (20, 0.25, "down"), "absent": (7, 1.0, "up")}
    ax = figures.accuracy_by_frequency(tables["frequencies"], shown)
    assert [line.get_label() for line in ax.lines] == ["full", "down"]
    assert [text.get_text() for text in ax.texts] == ["full", "down"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["never", "once"]
    assert np.asarray(ax.lines[0].get_ydata())[0] == 50
