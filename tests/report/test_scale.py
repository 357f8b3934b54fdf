"""The findings by scale: figures over updates and exposure, with the paper's place."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.experiments.emergent.findings import EXPOSURE
from sparsecore.report import figures
from sparsecore.report.figures.figure_data import points_of, rows_of
from sparsecore.report.figures.scale import PANELS
from sparsecore.report.pages.emergent import open_page
from sparsecore.report.pages.scale import cuts_or_time, paper_place, scales, ways_of_training
from sparsecore.runs.reference import read_summary

mpl.use("agg")
RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"


@pytest.fixture(scope="module")
def scale():
    tables = read_summary(RESULTS / "emergent" / "wikitext-2-lr20")
    assert tables is not None
    return tables["scale"]


def test_the_papers_place_is_fifty_epochs_on_either_axis():
    place = paper_place()
    for first, last in place.values():
        assert last == 50 * first
    assert place["updates"][0] == pytest.approx(227e6 / (40 * 35), rel=1e-2)
    assert place["exposure"][1] == 5000


def test_curves_of_committed_runs_are_named_by_text_and_rate():
    page = open_page("quick")
    table = scales(page)
    assert list(table["run"].unique()) == [
        "WikiText-2, rate 20", "WikiText-2, rate 5", "Wikipedia, rate 20"
    ]  # fmt: skip
    assert page.own is None
    assert table["exposure"].max() >= EXPOSURE  # of the median word of W, by the last epoch


def test_the_curves_end_where_the_training_did_and_have_a_band_and_a_place_each(scale):
    axes = figures.rho_by_scale(scale.assign(run="a, rate 20"), paper_place())
    figure = axes[0, 0].get_figure()
    assert [ax.get_title() for ax in axes[0]] == ["log frequency", "raw frequency"]
    for row, x in zip(axes, ("updates", "exposure"), strict=True):
        for ax in row:
            named = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
            assert [line.get_label() for line in named] == ["a, rate 20"]
            assert max(named[0].get_xdata()) == pytest.approx(scale[x].max())
            assert ax.get_xscale() == "log"
            assert ax.get_xlim()[1] >= paper_place()[x][1]
    rows = rows_of(figure)
    panels = {f"{x}, {name}" for x in ("updates", "exposure") for name in ("log", "raw")}
    assert rows is not None and set(rows["panel"]) == panels
    assert points_of(figure)["text"].str.match("a, rate 20, [0-9,]+ updates: ").any()
    plt.close("all")


def test_ways_of_training_have_a_line_each_and_part_where_the_rate_was_cut():
    ways = ways_of_training()
    names = ["rate 20, cut twice", "rate 20, never cut", "rate 5, cut twice"]
    assert list(ways["run"].unique()) == names
    cut, uncut = (ways[ways["run"] == name].set_index(["method", "epoch"]) for name in names[:2])
    apart = (cut["value"] - uncut["value"]).abs().groupby("epoch").max()
    assert (apart[apart.index <= 8] < 0.05).all() and apart[20] > 0.05
    epochs = open_page("quick").main["epochs"]
    axes = figures.rho_by_training(ways, epochs)
    assert [ax.get_ylabel().split(", ")[1] for ax in axes] == ["log frequency", "raw frequency"]
    for ax in axes:
        named = [str(line.get_label()) for line in ax.lines]
        assert [name for name in named if name in names] == names
    plt.close("all")


def test_runs_beside_themselves_owe_nothing_to_their_cuts():
    shown = cuts_or_time("wikitext-2-lr20", "wikitext-2-lr20", after=8, n_boot=20).data
    assert (
        shown.count("<tr>") == 4
        and shown.count("<td>+0.00 [+0.00,\N{NO-BREAK SPACE}+0.00]</td>") == 4
    )
    with pytest.raises(InputError, match=r"there are no tables in .*wikitext-3"):
        cuts_or_time("wikitext-2-lr20", "wikitext-3", after=8)


def test_each_of_the_other_findings_has_its_panel(scale):
    axes = figures.findings_by_scale(scale, paper_place())
    titles = [ax.get_title(loc="left") for ax in axes.flat]
    assert [title[0] for title in titles] == ["2", "3", "6", "7"]
    for ax in axes.flat:
        assert len(ax.get_legend_handles_labels()[1]) == 2
    named = [x for x in axes.flat[3].lines if not str(x.get_label()).startswith("_")]
    rows = scale[(scale["finding"] == 7) & (scale["updates"] > 0)]
    means = 1e3 * rows.groupby(["statistic", "updates"])["value"].mean().unstack(0)
    expected = means[[statistic for statistic, _ in PANELS[7]]].to_numpy().T
    np.testing.assert_allclose([line.get_ydata() for line in named], expected)
    plt.close("all")


def test_the_classes_of_w_have_a_line_for_each_scale_of_frequency(scale):
    ax = figures.classes_over_w(scale)
    named = {str(x.get_label()): x for x in ax.lines if not str(x.get_label()).startswith("_")}
    assert len(named) == 4
    rows = scale[scale["statistic"] == "ρ over the open classes of W"]
    means = rows[rows["method"] == "pearson"].groupby("epoch")["value"].mean()
    np.testing.assert_allclose(named["open, raw frequency"].get_ydata(), means)
    plt.close("all")


def test_a_table_without_runs_is_named():
    with pytest.raises(InputError, match="no column 'finding'"):
        figures.rho_by_scale(pd.DataFrame(columns=list("ab")), paper_place())
