"""Figures of language modelling and reciting: each value drawn where its table has it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.report import figures

BOTH = "sparse RNN + sparse embedding"


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def line(ax, label):
    return next(x for x in ax.get_lines() if x.get_label() == label)


def test_perplexity_over_epochs():
    rows = [
        {
            "model": model,
            "seed": seed,
            "epoch": epoch,
            "phase": "train" if epoch < 3 else "finetune",
            "valid_loss": np.log(100) + 0.1 * seed - 0.2 * epoch,
            "averaged": epoch > 1,
        }
        for model in ("dense", "sparse")
        for seed in (0, 2)
        for epoch in (1, 2, 3)
    ]
    ax = figures.perplexity_over_epochs(pd.DataFrame(rows))
    expected = 100 * np.exp(0.1 - 0.2 * np.array([1, 2, 3]))
    np.testing.assert_allclose(line(ax, "dense").get_ydata(), expected)
    (note,) = [text for text in ax.texts if text.get_text() == "fine-tuning begins"]
    assert note.xy[0] == 2.5
    markers = [x for x in ax.get_lines() if x.get_marker() == "s"]
    assert [len(x.get_xdata()) for x in markers] == [1, 2]  # plain, averaged
    assert markers[0].get_markerfacecolor() == "none"
    with pytest.raises(InputError, match="valid_loss"):
        figures.perplexity_over_epochs(pd.DataFrame(rows).drop(columns="valid_loss"))


def test_many_epochs_have_the_later_ones_in_an_inset():
    epochs, seeds = range(1, 21), (0, 1, 2)
    rows = pd.DataFrame(
        [(m, s, e, "train" if e < 16 else "finetune") for m in ("dense", "sparse") for s in seeds
         for e in epochs], columns=["model", "seed", "epoch", "phase"],
    )  # fmt: skip
    rows = rows.assign(valid_loss=5 - rows["epoch"] / 20 + rows["seed"] / 10, averaged=True)
    ax = figures.perplexity_over_epochs(rows)
    (inset,) = ax.child_axes
    means = [drawn for drawn in inset.get_lines() if len(drawn.get_xdata()) == 10]
    assert len(means) == 2 and list(means[0].get_xdata()) == list(range(11, 21))
    np.testing.assert_allclose(means[0].get_ydata(), np.exp(5.1 - np.arange(11, 21) / 20))
    assert len(inset.collections) == 2  # the range over seeds
    assert [text.get_text() for text in inset.texts] == ["fine-tuning begins"] and not [
        text for text in ax.texts if "begins" in text.get_text()
    ]
    few = figures.perplexity_over_epochs(rows[rows["epoch"] <= 10])
    assert not few.child_axes


def test_perplexities_compared():
    table = pd.DataFrame(
        {
            "model": ["dense", "sparse", "dense", "sparse"],
            "finetuned": ["no", "no", "yes", "yes"],
            "test_perplexity": [58.8, 57.9, 56.6, 57.0],
            "low": np.nan,
            "high": np.nan,
            "seeds": 1,
        }
    )
    ax = figures.perplexities_compared(table)
    heights = [list(c[0].get_ydata()) for c in ax.containers]
    assert heights == [[58.8, 56.6], [57.9, 57.0]]
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        "without fine-tuning",
        "after fine-tuning",
    ]


def accuracy():
    return pd.DataFrame(
        {
            "family": ["dense", "dense", "sparse RNN", BOTH],
            "part": [1, 3, 3, 3],
            "parameters": [24_221_600, 50_000, 50_100, 50_200],
            "accuracy": [100.0, 80.0, 70.0, 90.0],
            "low": [99.0, 79.0, 69.0, 89.0],
            "high": [101.0, 81.0, 71.0, 91.0],
            "seeds": 3,
            "paper_accuracy": [100.0, 81.48, 76.37, 89.98],
        }
    )


def test_recited():
    ax = figures.recited(accuracy())
    assert list(line(ax, "in the paper").get_xdata()) == [100.0, 81.48, 76.37, 89.98]
    assert [list(c[0].get_xdata()) for c in ax.containers] == [[100, 80], [70], [90]]
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels[0] == "dense\n24.2M parameters" and labels[2] == "sparse RNN\n50k parameters"


def test_no_bar_leaves_0_to_100_percent_and_two_seeds_have_none():
    table = accuracy().assign(low=-5.0, seeds=[3, 2, 3, 3])
    ax = figures.recited(table)
    ends = [np.asarray(s)[:, 0] for c in ax.containers for s in c[2][0].get_segments()]
    assert [list(pair) for pair in ends] == [[0, 100], [80, 80], [0, 71], [0, 91]]


def test_a_run_that_knew_the_text_goes_on_at_its_last_value():
    rows = [
        {"family": "dense", "part": 1, "seed": seed, "epoch": epoch, "accuracy": epoch / 4}
        for seed, last in ((0, 4), (1, 2))
        for epoch in range(1, last + 1)
    ]
    ax = figures.reciting_over_epochs(pd.DataFrame(rows))
    np.testing.assert_allclose(line(ax, "dense, original").get_ydata(), [25, 50, 62.5, 75])
