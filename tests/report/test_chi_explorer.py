"""The explorer of chi by word: what it carries is the tables', and its ρ is the library's."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.report.explorers.bundle import STATIC
from sparsecore.report.explorers.chi import ChiExplorer, explorer_data
from sparsecore.stats.correlation import frequency_correlation
from tests.browser import run_node

SIGNALS = ("chi_lstm2_gradient_target", "chi_embedding_activation_input")
WORDS = [f"w{n}" for n in range(60)]


@pytest.fixture(scope="module")
def tables():
    """Words of a run: all of the last epoch, twenty of every epoch, one not met at first."""
    draw = np.random.default_rng(4)
    frequency = np.sort(draw.integers(10, 5000, len(WORDS)))[::-1]
    last = pd.DataFrame({"word": WORDS, "frequency": frequency, "word_class": "open"})
    for name in SIGNALS:
        last[name] = draw.uniform(0.08, 0.3, len(WORDS)).round(4)
    parts = []
    for epoch in range(3):
        part = last.head(20).assign(epoch=epoch, sample=lambda t: t.index % 4 == 0)
        if epoch < 2:
            part[SIGNALS[0]] = draw.uniform(0.08, 0.3, 20).round(4)
        parts.append(part)
    parts[0].loc[3, SIGNALS[0]] = np.nan
    rows = [
        (
            seed,
            epoch,
            "lstm2",
            "gradient",
            "target",
            "chi",
            "pearson_log",
            rho,
            rho - 0.1,
            rho + 0.1,
        )
        for seed, epoch, rho in [(0, 1, 0.5), (1, 1, 0.7), (0, 2, np.nan), (1, 2, np.nan)]
    ]
    columns = "seed epoch layer signal role value method rho low high".split()
    correlations = pd.DataFrame(rows, columns=columns).assign(words=60)
    return pd.concat(parts), last, correlations


@pytest.fixture(scope="module")
def data(tables):
    trajectories, last, correlations = tables
    return explorer_data(trajectories, 32, last, correlations)


def test_the_page_reads_the_values_of_the_tables(tables, data):
    trajectories, last, _ = tables
    path = json.dumps((STATIC / "chi.js").as_uri())
    found = run_node(
        f"""import {{ reader }} from {path};
        const data = {json.dumps(data, allow_nan=False)};
        print(Object.keys(data.last).map((signal) => {{
          const chi = reader(data, signal);
          return data.words.map((_, n) => data.epochs.map((_, epoch) => chi(n, epoch)));
        }}));"""
    )
    for signal, grid in zip(SIGNALS, found, strict=True):
        wide = trajectories.pivot(index="word", columns="epoch", values=signal).reindex(WORDS)
        wide[2] = last.set_index("word")[signal]
        values = np.array([[np.nan if v is None else v for v in row] for row in grid])
        assert values == pytest.approx(wide.to_numpy(), abs=1e-9, nan_ok=True)
        assert np.isnan(values[25:, :2]).all()  # of most words only the last epoch is kept


def test_of_the_first_signal_every_word_may_be_known_in_every_epoch(tables):
    trajectories, last, correlations = tables
    grid = np.random.default_rng(7).uniform(0.08, 0.3, (3, len(WORDS))).round(4)
    exposure = pd.concat(
        [pd.DataFrame({"word": WORDS, "epoch": n, "chi": row}) for n, row in enumerate(grid)]
    )
    last = last.assign(**{SIGNALS[0]: grid[2]})
    data = explorer_data(trajectories, 32, last, correlations, exposure)
    assert data["complete"] == [SIGNALS[0]] and len(data["followed"]) == 20
    path = json.dumps((STATIC / "chi.js").as_uri())
    found = run_node(
        f"""import {{ followedOf, reader }} from {path};
        const data = {json.dumps(data, allow_nan=False)};
        const chi = reader(data, {json.dumps(SIGNALS[0])});
        print([{json.dumps(SIGNALS)}.map((signal) => followedOf(data, signal).length),
               data.words.map((_, n) => data.epochs.map((_, epoch) => chi(n, epoch)))]);"""
    )
    assert found[0] == [60, 20]
    assert np.array(found[1]) == pytest.approx(grid.T, abs=1e-9)


def test_rho_over_the_words_is_the_librarys(tables):
    last = tables[1]
    path = json.dumps((STATIC / "correlation.js").as_uri())
    pairs = json.dumps([last["frequency"].tolist(), last[SIGNALS[0]].tolist()])
    found = run_node(f"import {{ logCorrelation }} from {path}; print(logCorrelation(...{pairs}));")
    table = last.rename(columns={SIGNALS[0]: "chi"})[["word", "frequency", "chi"]]
    expected = frequency_correlation(table, methods=["pearson_log"], n_boot=10)
    assert found == pytest.approx(expected["rho"].iloc[0], rel=1e-9)


def test_the_chapters_rho_is_the_mean_over_seeds_with_an_interval_over_both(data, tables):
    """Of two seeds the interval is over words alone, of three over seeds and words."""
    trajectories, last, correlations = tables
    assert data["rho"][SIGNALS[0]] == [None, [0.6, 0.5, 0.7, 60.0], None]
    assert data["rho"][SIGNALS[1]] == [None, None, None]
    third = correlations.iloc[[0]].assign(seed=2, rho=0.6, low=0.5, high=0.7)
    three = pd.concat([correlations, third])
    rho, low, high, _ = explorer_data(trajectories, 32, last, three)["rho"][SIGNALS[0]][1]
    half = math.hypot(0.1, 4.3027 * 0.1 / math.sqrt(3))
    assert (rho, low, high) == pytest.approx((0.6, 0.6 - half, 0.6 + half), abs=1e-3)


def test_a_slider_reaches_every_frequency_and_finds_its_way_back():
    path = json.dumps((STATIC / "chi.js").as_uri())
    found = run_node(
        f"""import {{ stepped }} from {path}; const s = stepped(10, 48054);
        print([s.frequency(0), s.frequency(1000), s.step(10), s.step(48054),
               s.step(s.frequency(617))]);"""
    )
    assert found == [10, 48054, 0, 1000, 617]


def test_without_a_table_of_all_words_those_followed_are_all(tables):
    data = explorer_data(tables[0])
    assert data["words"] == WORDS[:20] and data["followed"] == list(range(20))
    assert data["rho"] == {} and data["floors"][SIGNALS[0]] is None


def test_an_unknown_signal_or_column_is_named(tables):
    with pytest.raises(InputError, match="did you mean 'chi_lstm2_gradient_target'"):
        ChiExplorer(tables[0], signal="chi_lstm2_gradient_targt")
    with pytest.raises(InputError, match="no column 'sample'"):
        ChiExplorer(tables[0].drop(columns="sample"))
