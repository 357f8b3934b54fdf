"""Drawings of automata show what the tables say."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from sparsecore.errors import InputError
from sparsecore.report import figures
from sparsecore.report.figures.automata import KEPT, REMOVED

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_removed_states_are_dotted_and_the_norm_fills_the_disc():
    table = pd.DataFrame(
        {
            "wfsa": [0, 0, 0, 1],
            "state": [1, 2, 3, 1],
            "norm": [4.0, 1.0, 0.01, 0.0],
            "kept": [True, True, False, False],
        }
    )
    ax = figures.automata(table, labels={0: "first", 1: "second"})
    rings = [p for p in ax.patches if isinstance(p, Circle) and not p.get_fill()]
    lines = [ring.get_linestyle() for ring in rings]
    assert lines == ["-", "-", "-", ":", ":", ":"]  # start states stand before their row
    discs = [p for p in ax.patches if isinstance(p, Circle) and p.get_fill()]
    assert discs[2].get_radius() == pytest.approx(discs[1].get_radius() / 2)
    assert to_hex(rings[1].get_edgecolor()) == KEPT
    assert to_hex(rings[3].get_edgecolor()) == REMOVED
    assert len([p for p in ax.patches if isinstance(p, FancyArrowPatch)]) == 2 * 4
    assert {"first", "second"} <= {text.get_text() for text in ax.texts}
    with pytest.raises(InputError, match="at least one state"):
        figures.automata(table[:0])


def test_a_path_is_drawn_through_the_sentence():
    table = pd.DataFrame(
        {
            "position": [0, 0, 1, 1],
            "word": ["not", "not", "so", "so"],
            "state": [0, 1, 0, 1],
            "value": [1.0, 0.8, 1.0, -0.2],
            "on_path": [False, True, False, True],
            "step": [False, True, False, False],
        }
    )
    ax = figures.path_through_sentence(table)
    path, taken = ax.get_lines()
    assert list(path.get_xdata()) == [0, 1] and list(path.get_ydata()) == [1, 1]
    assert list(taken.get_xdata()) == [0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["not", "so"]
    squares = [p for p in ax.patches if isinstance(p, Rectangle)]
    assert squares[3].get_width() == pytest.approx(squares[1].get_width() / 2)
    assert squares[3].get_hatch() and not squares[1].get_hatch()
    assert "−0.20" in {text.get_text() for text in ax.texts}
