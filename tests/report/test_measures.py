"""The measure, drawn: right values in the plane, a line and two levels for each width."""

import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sparsecore.measure.reference_values import gaussian_chi, part_table
from sparsecore.report import figures

mpl.use("agg")


def test_the_plane_is_brightest_on_the_axes():
    ax = figures.chi_in_the_plane()
    values = np.asarray(ax.images[0].get_array())
    middle = values.shape[0] // 2
    assert values[middle, -1] == pytest.approx(1)
    assert values[-1, -1] == pytest.approx(1 / math.sqrt(2))
    assert len(ax.patches) == 4
    plt.close("all")


def test_each_width_has_its_line_floor_and_random_level():
    ax = figures.chi_of_part(part_table([20, 200]))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["D = 20", "D = 200"]
    drawn = [np.asarray(line.get_ydata()) for line in ax.lines]
    levels = sorted(float(values[0]) for values in drawn if len(values) == 1)
    expected = [200**-0.5, gaussian_chi(200), 20**-0.5, gaussian_chi(20)]
    assert levels == pytest.approx(expected)
    plt.close("all")
