"""Intervals over seeds cover the truth as often as they promise; verdicts follow the rule."""

import math

import numpy as np
import pytest
from scipy import stats

from sparsecore.stats.seeds import difference_interval, mean_interval
from sparsecore.stats.verdict import every, flip, side, within


def test_mean_interval_is_students():
    values = [95.8, 96.1, 96.3, 95.9]
    mean, low, high = mean_interval(values)
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (low, high) == pytest.approx(expected)
    assert mean == pytest.approx(np.mean(values))


def test_difference_interval_is_welchs():
    a, b = [96.1, 95.8, 96.4, 96.0], [94.1, 95.3, 93.2]
    found = difference_interval(a, b)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert found[1:] == pytest.approx((expected.low, expected.high))


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = [
        low < 0 < high for _, low, high in (mean_interval(rng.normal(size=4)) for _ in range(2000))
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_one_run_has_no_interval_and_equal_runs_have_none_to_speak_of():
    assert mean_interval([3.0])[0] == 3.0
    assert math.isnan(mean_interval([3.0])[1])
    assert math.isnan(difference_interval([1.0], [2.0, 3.0])[2])
    assert difference_interval([2.0, 2.0], [1.0, 1.0]) == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="at least one run"):
        mean_interval([])


def test_outcomes():
    unknown = (0.5, math.nan, math.nan)
    assert side(unknown, 0) == within(unknown, 1) == "unsure"
    assert within((0.0, -0.1, 0.1), 0.2) == "yes"
    assert within((0.5, 0.3, 0.7), 0.2) == "no"
    assert flip("yes") == "no"
    assert flip("unsure") == "unsure"
    assert every(["yes", "unsure"]) == "unsure"
    assert every(["no", "unsure"]) == "no"
