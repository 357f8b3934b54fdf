"""Differences between groups, and what few words weigh."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats as scipy_stats
import statsmodels.api as sm

from sparsecore.errors import InputError
from sparsecore.stats.groups import group_means, mean_difference
from sparsecore.stats.influence import without_most_frequent

scipy: Any = scipy_stats  # its stubs know no named results


def record(table, index=0) -> dict[Any, Any]:
    return table.to_dict("records")[index]


def two_groups(shift, n=(120, 80), seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "word": [f"w{i}" for i in range(sum(n))],
            "frequency": 100,
            "chi": np.r_[rng.normal(0.1 + shift, 0.02, n[0]), rng.normal(0.1, 0.02, n[1])],
            "word_class": ["closed"] * n[0] + ["open"] * n[1],
        }
    )


def test_difference_of_means_has_the_interval_of_theory():
    table = two_groups(0.01)
    row = record(mean_difference(table, n_boot=4000))
    sides = [table.loc[table["word_class"] == c, "chi"] for c in ("closed", "open")]
    assert row["difference"] == pytest.approx(sides[0].mean() - sides[1].mean())
    welch = scipy.ttest_ind(*sides, equal_var=False).confidence_interval()
    width = welch.high - welch.low
    assert row["low"] == pytest.approx(welch.low, abs=0.07 * width)
    assert row["high"] == pytest.approx(welch.high, abs=0.07 * width)
    assert (row["words_a"], row["words_b"]) == (120, 80)


def test_swapping_the_groups_flips_the_sign():
    table = two_groups(0.01)
    a = record(mean_difference(table, n_boot=0))["difference"]
    assert record(mean_difference(table, "open", "closed", n_boot=0))["difference"] == -a


def test_difference_by_group_and_its_errors():
    table = pd.concat([two_groups(0.0, seed=e).assign(epoch=e) for e in range(3)])
    assert mean_difference(table, n_boot=10)["epoch"].tolist() == [0, 1, 2]
    nameless = pd.concat([table, two_groups(0.0).assign(epoch=None)])
    assert mean_difference(nameless, n_boot=0)["epoch"].isna().tolist() == [False] * 3 + [True]
    with pytest.raises(InputError, match="n_boot must be a whole number"):
        group_means(table, ["epoch"], n_boot=-1)
    with pytest.raises(InputError, match="did you mean 'closed'"):
        mean_difference(table, "close")
    with pytest.raises(InputError, match="epoch=0 has 1 closed words"):
        mean_difference(pd.concat([two_groups(0, n=(1, 5)).assign(epoch=0)]))


def test_difference_at_equal_frequency_is_the_coefficient_of_a_regression():
    rng = np.random.default_rng(3)
    table = two_groups(0.0)
    log_frequency = rng.normal(5, 1, len(table)) + 1.5 * (table["word_class"] == "closed")
    table["frequency"] = np.exp(log_frequency)
    table["chi"] += 0.02 * log_frequency  # the classes differ by their frequency alone
    plain = record(mean_difference(table, n_boot=0))
    row = record(mean_difference(table, given="log_frequency", n_boot=2000))
    design = sm.add_constant(np.c_[table["word_class"] == "closed", log_frequency].astype(float))
    fit = sm.OLS(table["chi"].to_numpy(), design).fit()
    assert plain["difference"] > 0.02
    assert row["difference"] == pytest.approx(fit.params[1])
    assert abs(row["difference"]) < plain["difference"] / 4
    assert row["high"] - row["low"] == pytest.approx(np.ptp(fit.conf_int()[1]), rel=0.15)
    with pytest.raises(InputError, match="given must be None or 'log_frequency'"):
        mean_difference(table, given="length")


def test_group_means_have_the_interval_of_theory():
    table = two_groups(0.0)
    found = group_means(table, ["word_class"], n_boot=4000).set_index("word_class")
    values = table.loc[table["word_class"] == "open", "chi"]
    theory = scipy.ttest_1samp(values, 0).confidence_interval()
    assert found["mean"]["open"] == pytest.approx(values.mean())
    assert found["low"]["open"] == pytest.approx(theory.low, abs=0.0005)
    assert found["high"]["open"] == pytest.approx(theory.high, abs=0.0005)
    assert found["words"].to_dict() == {"closed": 120, "open": 80}


def test_one_heavy_word_carries_pearson():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "word": [f"w{i:03d}" for i in range(100)],
            "frequency": np.r_[100_000, rng.integers(10, 50, 99)],
            "chi": np.r_[1.0, rng.normal(0.1, 0.01, 99)],
        }
    )
    found = without_most_frequent(table, drop=[1, 0]).set_index("dropped")
    assert found["rho"][0] > 0.99
    assert abs(found["rho"][1]) < 0.3
    rest = table.iloc[1:]
    expected = scipy.pearsonr(rest["frequency"], rest["chi"]).statistic
    assert found["rho"][1] == pytest.approx(expected)
    assert found["words"][1] == 99
    assert found["frequency_share"][1] == pytest.approx(1e5 / table["frequency"].sum())


def test_dropping_more_words_than_there_are_is_skipped():
    table = two_groups(0.0, n=(3, 3)).assign(frequency=range(10, 16))
    assert without_most_frequent(table, drop=[0, 3, 4])["dropped"].tolist() == [0, 3]
    on_log = without_most_frequent(table, drop=[1], log_frequency=True)
    rarer = table.sort_values("frequency", ascending=False)[1:]
    expected = np.corrcoef(np.log(rarer["frequency"]), rarer["chi"])[0, 1]
    assert on_log["rho"].item() == pytest.approx(expected)
    with pytest.raises(InputError, match="words in drop must be a whole number"):
        without_most_frequent(table, drop=[-1])
