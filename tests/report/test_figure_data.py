"""Every figure carries the rows that it shows, as CSV that IPython puts beside the picture."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from sparsecore.report import figures
from sparsecore.report.figures import figure_data
from tests import synthetic

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def read(axes) -> pd.DataFrame:
    text = figure_data.csv_of(np.ravel(axes)[0].get_figure())
    assert text is not None
    return pd.read_csv(io.StringIO(text))


def points(family):
    return pd.DataFrame(
        {"family": family, "size": [1, 2], "accuracy": [90.5, 91.0], "sd": 0.1, "seeds": 3}
    )


def test_two_panels_are_one_table_that_says_whose():
    theirs, own = {"points": points("dense")}, {"points": points("sparse")}
    axes = figures.beside(figures.tradeoff, theirs, own, "points", x_label="x", y_label="y")
    rows = read(axes)
    assert list(rows.columns) == ["whose", "family", "size", "accuracy", "sd", "seeds"]
    assert rows.groupby("whose", sort=False)["family"].unique().map(list).to_dict() == {
        "reference runs": ["dense"],
        "your run": ["sparse"],
    }
    assert rows["accuracy"].tolist() == [90.5, 91.0] * 2


def test_only_the_rows_that_are_drawn_are_kept():
    epochs = synthetic.epochs_table(3).assign(learning_rate=1.0)
    assert "learning_rate" not in read(figures.training_curve(epochs)).columns
    words = pd.DataFrame(
        {"word": ["a", "b", "null"], "word_class": "open", "frequency": [9, 1, 3], "chi": 0.5}
    )
    text = figure_data.csv_of(figures.chi_against_frequency(words, min_frequency=2).figure)
    assert text == "word,word_class,frequency,chi\na,open,9,0.5\nnull,open,3,0.5\n"


def test_a_heat_map_is_told_cell_by_cell():
    exposure = pd.DataFrame(
        {"word": list("abab"), "frequency": [1, 9, 1, 9], "epoch": [0, 0, 1, 1], "chi": range(4)}
    )
    rows = read(figures.exposure_heatmap(exposure, limits=(0, 3)))
    assert rows.to_dict("list") == {
        "word": list("baba"),
        "epoch": [0, 0, 1, 1],
        "chi": [1, 0, 3, 2],
    }


def test_masks_are_told_by_rectangles_that_cover_the_trainable_entries():
    arrays = {"W_{hh}": np.eye(6, dtype=bool).repeat(2, axis=0), "W_{hi}": np.ones((12, 3), bool)}
    rows = read(figures.recurrent_masks(*arrays.values()))
    for name, array in arrays.items():
        drawn = np.zeros_like(array)
        for row in rows[rows["matrix"] == name].to_dict("records"):
            columns = slice(row["first_column"] - 1, row["last_column"])
            drawn[row["first_row"] - 1 : row["last_row"], columns] = True
        assert (drawn == array).all()
    assert len(rows) == 7


def test_ipython_puts_the_csv_beside_the_picture():
    formatter = DisplayFormatter()
    figure = figures.tradeoff(points("dense"), "x", "y").get_figure(root=True)
    bundle, _ = formatter.format(figure)
    assert bundle["text/csv"] == figure_data.csv_of(figure)
    assert "text/csv" not in formatter.format(plt.figure())[0]
