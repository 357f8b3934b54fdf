"""Figures and sentences of the causes study draw and say what its tables hold."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sparsecore.errors import InputError
from sparsecore.experiments.causes.tables import tables_of
from sparsecore.report import figures
from sparsecore.report.figures.figure_data import rows_of
from sparsecore.report.pages.causes import arms, progress
from tests.experiments.test_causes_tables import SLOPE, made_up

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def tables():
    return tables_of(made_up({"sgd-5": SLOPE, "adam": 0.0}))


def test_dose_response_draws_thousandths_of_every_condition(tables):
    ax = figures.dose_response(tables["doses"], arms=("sgd-5",))
    splits, thinned = (box.lines[0] for box in ax.containers)
    assert splits.get_ydata() == pytest.approx(1e3 * SLOPE * np.log([1, 4, 19]), abs=0.3)
    assert len(thinned.get_xdata()) == 2
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1 : 1", "4 : 1", "19 : 1"]


def test_slopes_compared_has_a_row_an_arm_in_the_order_of_the_study(tables):
    ax = figures.slopes_compared(tables["slopes"])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["SGD at 5", "Adam"]
    assert ax.containers[0].lines[0].get_xdata() == pytest.approx([2, 0], abs=0.3)


def test_slopes_over_updates_name_the_arms_that_were_run(tables):
    ax = figures.slopes_over_updates(tables["replicates"])
    _, labels = ax.get_legend_handles_labels()
    assert labels == ["SGD at 5", "Adam"]
    figure = ax.get_figure()
    rows = rows_of(figure)
    assert rows is not None and len(rows) == 6  # two arms, three seeds, one update


def test_slopes_stand_over_what_their_arm_had_learned(tables):
    table = progress(tables)
    assert table is not None and progress(None) is None
    ax = figures.slopes_over_loss(table["progress"], arms=("sgd-5", "adam"))
    assert ax.get_legend_handles_labels()[1] == ["SGD at 5", "Adam"] and ax.xaxis_inverted()
    losses = tables["losses"].groupby("arm")["valid_loss"].mean()
    rows = table["progress"].query("kind == 'split' and measure == 'training'").set_index("arm")
    assert rows["valid_loss"].to_dict() == pytest.approx(losses.to_dict())
    assert rows["value"].to_dict() == pytest.approx({"sgd-5": SLOPE, "adam": 0.0}, abs=0.3e-3)


def test_acquisition_has_a_line_a_band_of_frequency(tables):
    ax = figures.acquisition(tables["bands"], arm="sgd-5")
    bands = tables["bands"]["from_count"].nunique()
    assert len(ax.get_legend_handles_labels()[1]) == bands
    assert ax.xaxis_inverted()


def test_a_table_without_its_columns_is_refused(tables):
    with pytest.raises(InputError, match="no column 'dose'"):
        figures.dose_response(tables["doses"].drop(columns="dose"))


def test_the_table_of_arms_has_losses_and_slopes_in_thousandths(tables):
    shown = arms(tables)
    assert list(shown["arm"]) == ["SGD at 5", "Adam"] and list(shown["seeds"]) == [3, 3]
    assert shown["held-out loss, nats"][0] == f"{4.0 + SLOPE:.3f}"
    assert shown["split, held out"][0].startswith(("2.0", "1.9"))
