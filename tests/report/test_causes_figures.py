"""Figures and sentences of the causes study draw and say what its tables hold."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sparsecore.errors import InputError
from sparsecore.experiments.causes.tables import tables_of
from sparsecore.report import figures
from sparsecore.report.figures.causes import LOOKS
from sparsecore.report.figures.figure_data import rows_of
from sparsecore.report.pages.causes import arms, arms_table, every_arm, having, progress
from sparsecore.report.pages.parts import Study
from sparsecore.runs.reference import write_tables
from tests.experiments.test_causes_tables import SLOPE, made_up

mpl.use("agg")

NETWORKS = ("gru", "mingru", "transformer", "sparse")
VARIANTS = (
    "normal-init", "shuffled", "momentum", "repeated", "penalty", "curriculum",
)  # fmt: skip


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


def test_slopes_compared_has_a_row_an_arm_and_a_mark_a_measure(tables):
    ax = figures.slopes_compared(tables["slopes"])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["SGD at 5", "LSTM with Adam"]
    for marks in (box.lines[0] for box in ax.containers):
        assert marks.get_xdata() == pytest.approx([2, 0], abs=0.3)
    assert ax.get_legend_handles_labels()[1] == ["in training", "on held-out text"]


def test_slopes_over_updates_name_the_arms_that_were_run(tables):
    ax = figures.slopes_over_updates(tables["replicates"])
    _, labels = ax.get_legend_handles_labels()
    assert labels == ["SGD at 5", "LSTM with Adam"]
    figure = ax.get_figure()
    rows = rows_of(figure)
    assert rows is not None and len(rows) == 6  # two arms, three seeds, one update


def test_slopes_by_arm_have_a_panel_each_on_the_baseline():
    tables = tables_of(made_up({"sgd-5": SLOPE, "adam": 0.0, "gru": 0.0}))
    sides = {"reference runs": tables, "your runs": None}
    axes = figures.slopes_by_arm(sides, ("adam", "gru", "sparse"))
    assert [ax.get_title() for ax in axes] == ["LSTM with Adam", "GRU with Adam"]
    for ax, arm in zip(axes, ("LSTM with Adam", "GRU with Adam"), strict=True):
        assert ax.get_legend_handles_labels()[1] == ["SGD at 5", arm]
    rows = rows_of(axes[0].get_figure())
    assert rows is not None and not rows.duplicated().any()
    assert rows["arm"].value_counts().to_dict() == {"sgd-5": 3, "adam": 3, "gru": 3}
    both = figures.slopes_by_arm({**sides, "your runs": tables}, ("adam", "gru"))
    assert len(both) == 4
    with pytest.raises(InputError, match="none of these arms was run: penalty"):
        figures.slopes_by_arm(sides, ("penalty",))


def test_slopes_over_updates_draw_the_arms_asked_for(tables):
    ax = figures.slopes_over_updates(tables["replicates"], arms=("adam", "gru"))
    assert ax.get_legend_handles_labels()[1] == ["LSTM with Adam"]


@pytest.mark.parametrize("names", [("adam", *NETWORKS), ("sgd-5", *VARIANTS)])
def test_arms_drawn_together_look_different(names):
    looks = {(LOOKS[arm].colour, LOOKS[arm].marker, LOOKS[arm].dashes) for arm in names}
    assert len(looks) == len(names)


def test_slopes_stand_over_what_their_arm_had_learned(tables):
    table = progress(tables)
    assert table is not None and progress(None) is None
    ax = figures.slopes_over_loss(table["progress"], arms=("sgd-5", "adam"))
    assert (
        ax.get_legend_handles_labels()[1] == ["SGD at 5", "LSTM with Adam"] and ax.xaxis_inverted()
    )
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
    assert list(shown["arm"]) == ["SGD at 5", "LSTM with Adam"]
    assert list(shown["seeds"]) == ["0, 1, 2"] * 2
    assert shown["held-out loss, nats"][0] == f"{4.0 + SLOPE:.2f}"
    slopes = [name for name in shown if name.endswith(("in training", "held out"))]
    assert len(slopes) == 6
    assert all(shown[name][0].startswith(("2.", "1.9")) for name in slopes)


def test_the_arms_of_a_round_are_those_of_all_its_folders(tables, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "book" / "results" / "causes"
    seeds = {"text": [0, 1, 2], "text-more": [0, 1], "text-2": [10, 11, 12]}
    for (name, own), arm in zip(seeds.items(), ("sgd-5", "gru", "momentum"), strict=True):
        renamed = {n: table.replace({"arm": {"sgd-5": arm}}) for n, table in tables.items()}
        own_arm = {n: table[table["arm"] == arm] for n, table in renamed.items() if "arm" in table}
        write_tables(own_arm, {"seeds": own}, folder / name)
    found = every_arm("text")
    assert found is not None
    assert all(set(table["arm"]) == {"sgd-5", "gru"} for table in found.values())
    assert having(found, ["gru"]) is found
    assert having(found, ["adam"]) is None and having(None, ["gru"]) is None
    page = Study("causes", dict, found, None, "quick", executed=False)
    told = arms_table(page, "text", "text-2").data
    assert "GRU with Adam" in told
    assert told.index("SGD with momentum (new seeds)") < told.index("GRU with Adam")
    assert "Random seeds: 0, 1, 2; new seeds: 0, 1, 2." in told
    missing = told.partition("Registered and not run: ")[2]
    assert "curriculum" not in missing and "frequent words first" in missing
    assert "SGD with momentum" not in missing
