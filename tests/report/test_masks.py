"""Pictures of the zeros show the arrays and tables they are given."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sparsecore.report import figures

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_recurrent_masks_show_both_matrices():
    w_hh, w_hi = np.eye(4, dtype=bool), np.tri(4, 6, dtype=bool)
    axes = figures.recurrent_masks(w_hh, w_hi)
    for ax, array in zip(axes, (w_hh, w_hi), strict=True):
        assert np.array_equal(np.asarray(ax.images[0].get_array()), array)
    assert axes[0].get_title() == "$W_{hh}$, 25.0 % trainable"
    assert axes[1].get_xlabel() == "from input"
    assert [text.get_text() for text in axes[0].figure.legends[0].get_texts()] == [
        "trainable",
        "zero, not stored",
    ]
    axes[0].figure.canvas.draw()


def test_embedding_masks_have_a_panel_a_density():
    masks = {density: np.ones((8, 3), dtype=bool) for density in (1.0, 0.5, 0.1)}
    axes = figures.embedding_masks(masks)
    assert [ax.get_title() for ax in axes] == [rf"$\delta_E = {d}$" for d in ("1", "0.5", "0.1")]
    low, high = axes[0].get_ylim()
    assert low > high  # the least frequent word is on top
    assert axes[0].get_yticklabels()[0].get_text() == "least frequent"
    axes[0].figure.canvas.draw()


def table(sizes):
    rows = []
    for layer, (count, inputs, outputs) in enumerate(sizes, 1):
        for block in range(1, count + 1):
            rows.append((layer, block, inputs, 0, inputs, inputs, outputs, 4 * inputs * outputs))
    columns = "layer block inputs begin end input_size outputs parameters".split()
    return pd.DataFrame(rows, columns=columns)


def test_stack_writes_sizes_into_wide_boxes_and_beside_narrow_ones():
    ax = figures.stack(table([(2, 200, 575), (20, 1150, 5)]))
    texts = [text.get_text() for text in ax.texts]
    assert texts[0] == "$R_{1,1}$\n200 → 575\n460.0k par."
    assert sum("R_{2," in text for text in texts) == 1
    beside = next(text for text in ax.texts if "R_{2," in text.get_text())
    assert "20 × (1,150 → 5)" in beside.get_text() and beside.get_position()[0] > 1
    assert "input, 200" in texts and "output, 100" in texts
    assert len(ax.patches) == 2 * (2 + 20)
    ax.figure.canvas.draw()


def test_stack_of_wide_boxes_needs_no_margin():
    assert figures.stack(table([(1, 3, 4), (2, 4, 2)])).get_xlim()[1] == pytest.approx(1.02)
