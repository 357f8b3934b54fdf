"""Points laid over a picture: the browser finds the nearest, keys go from left to right."""

import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.report import figures
from sparsecore.report.explorers import HoverPoints
from sparsecore.report.explorers.bundle import STATIC
from sparsecore.report.figures.figure_data import keep_points
from sparsecore.report.figures.marks import name_lines
from tests.browser import run_node

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def words():
    return pd.DataFrame(
        {"word": ["the", "of", "cat"], "word_class": ["closed", "closed", "open"],
         "frequency": [1000, 500, 10], "chi": [0.4, 0.3, 0.2]}
    )  # fmt: skip


def test_the_nearest_point_within_reach_is_found_and_keys_go_from_left_to_right():
    data = HoverPoints(figures.chi_against_frequency(words())).data
    assert data["text"] == [
        "the: χ 0.4000, 1,000 times",
        "of: χ 0.3000, 500 times",
        "cat: χ 0.2000, 10 times",
    ]
    found = run_node(
        f"""
        import {{ nearest, reading }} from {json.dumps((STATIC / "hover.js").as_uri())};
        const data = {json.dumps(data)};
        const px = (share, size) => (share / data.scale) * size;
        const at = (n, dx) => [px(data.left[n], 700) + dx, px(data.top[n], 500)];
        print({{
          near: [0, 1, 2].map((n) => nearest(data, ...at(n, 5), 700, 500)),
          far: nearest(data, ...at(2, 40), 700, 500),
          order: reading(data).map((n) => data.text[n].split(":")[0]),
        }});
        """
    )
    assert found == {"near": [0, 1, 2], "far": -1, "order": ["cat", "of", "the"]}


def test_names_of_lines_are_told_with_their_colours():
    epochs = pd.DataFrame({"epoch": [0, 1, 2], "loss": [5.0, 4.0, 3.0]})
    _, ax = plt.subplots()
    ax.plot(epochs["epoch"], epochs["loss"], label=r"loss, $\ell$", color="#123456")
    ax.plot(epochs["epoch"], epochs["loss"] + 1, label="other", color="#123456", dashes=(4, 2))
    name_lines(ax)
    keep_points(ax, epochs["epoch"], epochs["loss"], ["a", "b", "c"])
    assert HoverPoints(ax).data["names"] == {"loss": "#123456", "other": "#123456 dashed"}


def test_a_figure_without_points_is_refused():
    with pytest.raises(InputError, match="no points to tell of"):
        HoverPoints(figures.chi_in_the_plane())
