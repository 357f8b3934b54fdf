"""Intervals over seeds and words at once: the two limits, and coverage where the truth is known."""

import math

import numpy as np
import pytest

from sparsecore.stats import bootstrap
from sparsecore.stats.bootstrap import Estimate
from sparsecore.stats.seeds import mean_interval
from sparsecore.stats.two_level import both_variances, nested_interval, two_level_interval

WORDS = 40


def mean_replicates(values, n_boot=100, seed=0):
    """Mean over words of each seed (S), and in resamples of the words (S × R)."""
    blocks = bootstrap.resample_weights(values.shape[1], n_boot, seed)
    draws = np.concatenate([values @ block for block in blocks], axis=1) / values.shape[1]
    return values.mean(axis=1), draws


def coverage(interval, seeds, between, words, trials=300):
    """How often an interval holds the true mean 0 of effects of seeds and of words, and noise."""
    generator = np.random.default_rng(7)
    hits = 0
    for _ in range(trials):
        of_seeds = between * generator.standard_normal((seeds, 1))
        of_words = words * generator.standard_normal((1, WORDS))
        values = of_seeds + of_words + 0.3 * generator.standard_normal((seeds, WORDS))
        _, low, high = interval(*mean_replicates(values))
        hits += low <= 0 <= high
    return hits / trials


def words_only(estimates, draws):
    low, high = np.percentile(draws.mean(axis=0), [2.5, 97.5])
    return estimates.mean(), low, high


def seeds_resampled(estimates, draws):
    """The plain two-level bootstrap: seeds drawn with replacement too."""
    generator = np.random.default_rng(1)
    drawn = generator.integers(0, len(draws), size=(draws.shape[1], len(draws)))
    means = draws[drawn, np.arange(draws.shape[1])[:, None]].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return estimates.mean(), low, high


def seeds_only(estimates, _):
    return mean_interval(estimates.tolist())


@pytest.mark.parametrize(
    ("seeds", "between", "words"), [(3, 0.1, 1.0), (3, 0.5, 0.5), (5, 0.3, 1.0), (6, 0.5, 0.2)]
)
def test_95_percent_intervals_hold_the_truth_in_95_percent_of_simulated_studies(
    seeds, between, words
):
    assert 0.92 <= coverage(two_level_interval, seeds, between, words) <= 0.995


def test_intervals_that_leave_out_a_source_of_variance_do_not_cover():
    assert coverage(words_only, 3, 0.5, 0.5) < 0.6
    assert coverage(seeds_only, 5, 0.05, 1.0) < 0.7
    assert coverage(seeds_resampled, 3, 0.5, 0.1) < 0.85


def test_without_variance_over_words_it_is_students_interval():
    estimates = np.array([0.2, 0.5, 0.4, 0.1])
    draws = np.repeat(estimates[:, None], 500, axis=1)
    assert two_level_interval(estimates, draws) == pytest.approx(mean_interval(estimates), abs=5e-3)


def test_without_variance_over_seeds_it_is_the_bootstrap_over_words():
    values = np.repeat(np.random.default_rng(0).standard_normal((1, 300)), 4, axis=0)
    estimates, draws = mean_replicates(values, n_boot=1000)
    low, high = np.percentile(draws[0], [2.5, 97.5])
    assert two_level_interval(estimates, draws) == pytest.approx((estimates[0], low, high))


def test_differences_paired_by_word_are_known_better_than_their_terms():
    generator = np.random.default_rng(3)
    first = generator.standard_normal((4, 200))
    first += 2 * generator.standard_normal((1, 200))
    later = first + 0.2 + 0.05 * generator.standard_normal((4, 200))
    single = two_level_interval(*mean_replicates(later))
    paired = two_level_interval(*mean_replicates(later - first))
    assert paired[1] > 0
    assert paired[2] - paired[1] < (single[2] - single[1]) / 5


def test_two_seeds_have_no_interval():
    value, low, high = two_level_interval([1.0, 3.0], np.ones((2, 10)))
    assert value == 2 and math.isnan(low) and math.isnan(high)


def test_unknown_replicates_are_left_out_and_an_unknown_estimate_has_no_interval():
    draws = np.tile(np.linspace(-1, 1, 101), (3, 1))
    holes = draws.copy()
    holes[:, 50] = np.nan
    assert np.isfinite(two_level_interval([0.0, 0.1, -0.1], holes)).all()
    assert math.isnan(two_level_interval([0.0, np.nan, 0.1], draws)[1])


def test_draws_of_other_seeds_are_refused():
    with pytest.raises(ValueError, match="a row for each of 3"):
        two_level_interval([1.0, 2.0, 3.0], np.ones((2, 10)))


def test_both_variances_are_wider_than_either():
    value, low, high = both_variances((1.0, 0.0, 2.5), (1.0, 0.5, 1.2))
    assert value == 1 and low < 0.0 and high > 2.5


def test_the_nested_interval_answers_for_seeds_and_for_words():
    generator = np.random.default_rng(0)
    words = [Estimate(1.0, generator.normal(1.0, 0.3, 2_000)) for _ in range(3)]
    seeds = [Estimate(v, np.full(2_000, v)) for v in (0.5, 1.0, 1.5)]
    _, low, high = nested_interval(words)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.3 / np.sqrt(3), rel=0.1)
    assert nested_interval(seeds) == pytest.approx((1.0, 0.5, 1.5), abs=0.1)
