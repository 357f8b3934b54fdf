"""Shares and their differences stay where they can be, and cover."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.stats.proportions import difference_of, share_interval, wilson_interval

shares = st.lists(st.floats(0, 1), min_size=3, max_size=8)


@given(shares, st.integers(1, 10_000))
def test_a_share_stays_in_zero_to_one_and_holds_its_mean(values, trials):
    value, low, high = share_interval(values, trials)
    assert 0 <= low <= value <= high <= 1


@given(shares, shares)
def test_a_difference_stays_in_minus_one_to_one(ours, theirs):
    value, low, high = difference_of(share_interval(ours, 100), share_interval(theirs, 100))
    assert -1 - 1e-12 <= low <= value <= high <= 1 + 1e-12


def test_intervals_near_the_ceiling_cover_where_students_leaves_the_scale():
    """Logits that are normal around 99 %: the median share is held in 95 % of studies."""
    generator = np.random.default_rng(0)
    logits = math.log(99) + 0.8 * generator.standard_normal((500, 5))
    hits = [low <= 0.99 <= high for _, low, high in map(interval_of, logits)]
    assert 0.92 <= np.mean(hits) <= 0.98


def interval_of(logits):
    return share_interval((1 / (1 + np.exp(-logits))).tolist(), trials=1_000_000)


def test_two_runs_have_no_interval():
    assert math.isnan(share_interval([0.5, 0.6], 100)[1])


def test_wilson_covers_a_rare_event():
    """The textbook case in which p ± 1.96 sqrt(p (1 - p) / n) covers less than 90 %."""
    generator = np.random.default_rng(0)
    found = generator.binomial(100, 0.03, size=2000) / 100
    hits = [low <= 0.03 <= high for _, low, high in (wilson_interval(p, 100) for p in found)]
    assert 0.93 <= np.mean(hits) <= 0.99


def test_shares_outside_are_refused():
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        share_interval([0.5, 0.5, 1.2], 100)
