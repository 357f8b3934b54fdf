"""Figures draw what the tables say, in colours that read on light and dark pages."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb, to_rgba

from sparsecore.errors import InputError
from sparsecore.report import figures
from sparsecore.report.figures import style
from sparsecore.stats.correlation import frequency_correlation
from sparsecore.stats.influence import without_most_frequent
from tests import synthetic

mpl.use("agg")
EPOCHS = 4


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def statistics():
    return pd.concat([synthetic.run_statistics(s, EPOCHS, 120).assign(seed=s) for s in (0, 1)])


@pytest.fixture(scope="module")
def correlations(statistics):
    return frequency_correlation(statistics, methods=["pearson", "pearson_log"], n_boot=20)


@pytest.fixture(scope="module")
def top_gradient(statistics):
    chosen = (statistics[["layer", "signal", "role"]] == ["lstm2", "gradient", "target"]).all(
        axis=1
    )
    real = ~statistics["word"].isin(["<unk>", "<eos>"])
    return statistics[chosen & real]


def contrast(a, b):
    """WCAG contrast ratio of two colours."""

    def luminance(colour):
        c = np.array(to_rgb(colour))
        linear = np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
def test_every_colour_reads_on_light_and_dark(page):
    colours = [style.INK, style.GREY, *style.PALETTE]
    assert {*style.LAYERS.values(), *style.CLASSES.values()} <= set(colours)
    for colour in colours:
        assert contrast(colour, page) >= 3, colour


def xs(line):
    return np.asarray(line.get_xdata(), dtype=float)


def ys(line):
    return np.asarray(line.get_ydata(), dtype=float)


def figure_of(ax) -> Any:
    return ax.get_figure()


def labelled(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_several_cuts_share_a_name_that_stands_between_them():
    epochs = pd.DataFrame({"epoch": [1, 2, 3, 4], "step_cut": [True, False, True, False]})
    ax = style.new_axes()
    figures.mark_step_cuts(ax, epochs)
    assert [text.get_text() for text in ax.texts] == ["learning rate cuts (dashed)"]
    assert ax.texts[0].xy[0] == 2.5 and len(ax.get_lines()) == 2


def test_lines_are_means_over_seeds(correlations):
    epochs = synthetic.epochs_table(EPOCHS)
    ax = figures.correlations_over_epochs(correlations, "target", "pearson_log", epochs=epochs)
    lines = labelled(ax)
    line = lines[style.signal_label("lstm2", "gradient")]
    chosen = correlations[
        (correlations[["layer", "signal", "role", "method"]]
         == ["lstm2", "gradient", "target", "pearson_log"]).all(axis=1)
    ]  # fmt: skip
    expected = chosen.groupby("epoch")["rho"].mean()
    np.testing.assert_allclose(ys(line), expected)
    assert list(xs(line)) == list(range(EPOCHS + 1))
    assert len([k for k in lines if not str(k).startswith("_")]) == 7
    assert [EPOCHS // 2 + 0.5] * 2 in [list(xs(line)) for line in ax.get_lines()]
    assert "learning rate cut" in [text.get_text() for text in ax.texts]
    assert r"\leftarrow" in ax.get_ylabel()
    assert to_rgba(figure_of(ax).get_facecolor())[3] == 0 == to_rgba(ax.get_facecolor())[3]


def test_signals_can_be_chosen_and_mistakes_are_named(correlations):
    ax = figures.correlations_over_epochs(
        correlations, "input", signals=[("lstm1", "activation"), ("embedding", "activation")]
    )
    named = [label for label in labelled(ax) if not str(label).startswith("_")]
    assert named == [style.signal_label("lstm1", "activation"),
                     style.signal_label("embedding", "activation")]  # fmt: skip
    with pytest.raises(InputError, match=r"method=spearman .it has pearson, pearson_log"):
        figures.correlations_over_epochs(correlations, "target", "spearman")
    one = figures.correlations_over_epochs(correlations, named=[("lstm2", "gradient")])
    shared = [str(label) for label in labelled(one) if not str(label).startswith("_")]
    assert shared == ["the other signals", style.signal_label("lstm2", "gradient")]
    with pytest.raises(InputError, match="no rows for layer=lstm9"):
        figures.correlations_over_epochs(correlations, signals=[("lstm9", "gradient")])
    with pytest.raises(InputError, match="no column 'rho'"):
        figures.correlations_over_epochs(correlations.drop(columns="rho"))


def test_heat_map_has_the_most_frequent_word_at_the_bottom(top_gradient):
    ax = figures.exposure_heatmap(top_gradient, words=50)
    (mesh,) = ax.collections
    grid = np.asarray(mesh.get_array()).reshape(50, EPOCHS + 1)
    order = top_gradient.drop_duplicates("word").nlargest(50, "frequency")["word"]
    means = top_gradient.groupby(["word", "epoch"])["chi"].mean()
    np.testing.assert_allclose(grid[0], means[order.iloc[0]])
    np.testing.assert_allclose(grid[-1], means[order.iloc[-1]])
    assert ax.get_yticklabels()[0].get_text().startswith(order.iloc[0])
    assert not ax.yaxis_inverted()


def test_exposure_lines_are_means_of_frequency_bands(top_gradient):
    ax = figures.exposure_lines(top_gradient, bands=(1, 10, 500), width=200)
    *lines, floor, uniform, noise = ax.get_lines()
    assert len(lines) == 3
    np.testing.assert_allclose(ys(floor), 1 / np.sqrt(200))
    flat = np.random.default_rng(0).uniform(-1, 1, (1000, 200))
    chi = np.linalg.norm(flat, axis=1) / np.abs(flat).sum(1)
    np.testing.assert_allclose(ys(uniform), chi.mean(), rtol=0.01)
    np.testing.assert_allclose(ys(noise), np.sqrt(np.pi / 400))
    order = top_gradient.drop_duplicates("word").nlargest(10, "frequency")["word"]
    band = top_gradient[top_gradient["word"].isin(order[1:])]
    means = band.groupby(["word", "epoch"])["chi"].mean().groupby("epoch").mean()
    np.testing.assert_allclose(ys(lines[1]), means)
    assert "ranks 11–120" in str(lines[2].get_label())


def test_scatter_has_a_point_a_word_and_effective_units(top_gradient):
    last = top_gradient[(top_gradient["epoch"] == EPOCHS) & (top_gradient["seed"] == 0)]
    ax = figures.chi_against_frequency(last, min_frequency=500, names=3)
    shown = sum(len(np.asarray(dots.get_offsets())) for dots in ax.collections)
    assert shown == (last["frequency"] >= 500).sum()
    assert ax.get_xscale() == "log"
    assert 0 < len(ax.texts) <= 12
    (right,) = ax.child_axes
    low, high = ax.get_ylim()
    assert len(right.get_yticks()) >= 3
    for tick, text in zip(right.get_yticks(), right.get_yticklabels(), strict=True):
        assert low <= tick <= high
        assert 1 / tick**2 == pytest.approx(float(text.get_text()))
    with pytest.raises(InputError, match="no word has a frequency"):
        figures.chi_against_frequency(last, min_frequency=10**9)


def test_class_figures(top_gradient):
    rows = [
        {"epoch": e, "group": g, "rho": 0.1 * e, "low": 0.0, "high": 0.5, "chi": 0.1,
         "chi_low": 0.09, "chi_high": 0.11}
        for e in range(3) for g in ("open", "closed", "matched open", "matched closed")
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    ax = figures.class_correlations(table)
    assert {"open (content words)", "closed, matched in frequency"} <= set(labelled(ax))
    chi = figures.class_correlations(table, column="chi")
    assert "chi" in chi.get_ylabel()
    with pytest.raises(InputError, match="column must be"):
        figures.class_correlations(table, column="l1")
    sample = top_gradient[(top_gradient["epoch"] == EPOCHS) & (top_gradient["seed"] == 0)]
    ax = figures.samples_compared(sample)
    closed = sample.loc[sample["word_class"] == "closed", "chi"]
    assert any(f"mean {closed.mean():.4f}" == text.get_text() for text in ax.texts)


def test_methods_and_few_words(top_gradient):
    last = top_gradient[top_gradient["epoch"] == EPOCHS]
    found = frequency_correlation(last, n_boot=20)
    ax = figures.methods_compared(found)
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == [
        style.METHOD_NAMES[m]
        for m in style.METHOD_NAMES
        if m not in ("partial_class_length", "partial_surprisal")
    ]
    table = without_most_frequent(last, drop=(0, 1, 10))
    ax = figures.without_words(table)
    mean = table.groupby("dropped")["rho"].mean()
    assert any(np.allclose(ys(line), mean) for line in ax.get_lines() if len(ys(line)) == 3)


def test_training_curve_has_perplexity_on_the_right():
    epochs = pd.concat([synthetic.epochs_table(EPOCHS).assign(seed=s) for s in (0, 1)])
    ax = figures.training_curve(epochs)
    (right,) = ax.child_axes
    ticks = {label.get_text(): tick for tick, label in
             zip(right.get_yticks(), right.get_yticklabels(), strict=True)}  # fmt: skip
    assert ticks["200"] == pytest.approx(np.log(200))
    with pytest.raises(InputError, match="no column 'step_cut'"):
        figures.training_curve(epochs.drop(columns="step_cut"))


def test_reference_beside_yours(correlations):
    epochs = synthetic.epochs_table(EPOCHS)
    mine = correlations[correlations["seed"] == 0]
    reference = {"correlations": correlations, "epochs": epochs}
    yours = {"correlations": mine, "epochs": epochs}
    draw = figures.correlations_over_epochs
    axes = figures.beside(draw, reference, yours, "correlations", cuts=True, role="input")
    assert [ax.get_title() for ax in axes] == ["reference runs", "your run"]
    assert axes[0].get_legend() is None
    assert len(figure_of(axes[0]).legends) == 1
    assert r"\rightarrow" in axes[0].get_ylabel()
    (alone,) = figures.beside(draw, None, yours, "correlations")
    assert alone.get_title() == "your run"
    names = [text.get_text().split(",")[0] for text in alone.texts]
    assert alone.get_legend() is None and "softmax gradient" in names
    (theirs,) = figures.beside(draw, reference, None, "correlations")
    assert theirs.get_title() == ""
    with pytest.raises(InputError, match="both are None"):
        figures.beside(draw, None, None, "correlations")
    with pytest.raises(InputError, match=r"no table 'correlation' \(did you mean 'correlations'"):
        figures.beside(draw, None, yours, "correlation")


def test_other_models_layers_have_colours_and_names():
    table = pd.DataFrame(
        {"epoch": [0, 1], "layer": "encoder.3", "signal": "activation", "role": "target",
         "method": "pearson", "rho": [0.1, 0.2], "low": 0.0, "high": 0.3}
    )  # fmt: skip
    ax = figures.correlations_over_epochs(table)
    figure_of(ax).canvas.draw()
    assert any("encoder.3" in str(label) for label in labelled(ax))
