"""Charts of the benchmark: what is drawn is what was measured."""

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.report.figures import beside_peers, growth_panels
from sparsecore.report.figures.figure_data import rows_of

PEERS = pd.DataFrame(
    [
        ("T 50", "sparsecore", 1.0, 1.0, 1.0),
        ("T 50", "loop", 2.0, 1.8, 2.3),
        ("T 100", "sparsecore", 1.0, 1.0, 1.0),
        ("T 100", "in place", 20.0, 19.0, 21.0),
    ],
    columns=["case", "contestant", "ratio_to_reference", "ratio_low", "ratio_high"],
)
CURVE = pd.DataFrame(
    {
        "axis": ["tokens"] * 4 + ["words"] * 3,
        "size": [1, 10, 100, 1000, 1, 2, 4],
        "median_ms": [5.0, 10, 100, 1000, 3, 3, 3],
        "peak_mib": [math.nan] * 4 + [1, 4, 16],
    }
)


def test_each_contestant_stands_in_the_row_of_its_case():
    ax = beside_peers(PEERS)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["T 50", "T 100"]
    marks = {bars.get_label(): bars.lines[0] for bars in ax.containers}
    assert set(marks) == {"loop", "in place"}
    assert marks["in place"].get_xydata().tolist() == [[20.0, 1.0]]
    assert marks["loop"].get_xydata().tolist() == [[2.0, 0.0]]
    assert ax.get_xscale() == "log"
    plt.close("all")


def test_panels_say_how_it_grows():
    axes = growth_panels(CURVE)
    first, second = (ax.get_title() for ax in axes)
    assert first == "tokens\ntime ∝ size$^{1.00}$"
    assert second == "words\ntime ∝ size$^{0.00}$, memory ∝ size$^{2.00}$"
    rows = rows_of(axes[0].get_figure())
    assert rows is not None and len(rows) == len(CURVE)
    plt.close("all")


def test_what_was_not_measured_is_said():
    assert beside_peers(PEERS[:0]).texts[0].get_text() == "not measured"
    assert growth_panels(CURVE[:0])[0].texts[0].get_text() == "not measured"
    plt.close("all")


def test_a_table_of_something_else_is_refused():
    with pytest.raises(InputError, match="no column 'case'"):
        beside_peers(CURVE)
