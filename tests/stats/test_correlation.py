"""rho against scipy and statsmodels; invariances; intervals; one clear line for bad input."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats as scipy_stats
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore.errors import InputError
from sparsecore.stats import bootstrap
from sparsecore.stats.correlation import METHODS, correlation_replicates, frequency_correlation

scipy: Any = scipy_stats  # its stubs know no named results


def words_table(n=200, slope=0.02, noise=0.03, seed=0, **columns):
    """Per-word rows: Zipfian frequencies, chi rising with log frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.floor(1e5 / (np.arange(n) + 1.5) ** 1.1).astype(np.int64) + 5
    chi = 0.09 + slope * np.log(frequency) / np.log(10) + noise * rng.normal(size=n)
    lengths = 1 + rng.poisson(2 + np.arange(n) / n * 6)
    return pd.DataFrame(
        {
            "word": [f"{i:04d}" + "a" * k for i, k in enumerate(lengths)],
            "frequency": frequency,
            "chi": chi,
            "word_class": rng.choice(["open", "closed", "none"], n, p=[0.7, 0.1, 0.2]),
            "surprisal": 12 - 0.5 * np.log(frequency) + rng.normal(size=n),
            **columns,
        }
    )


def one(table, method, **options) -> dict[Any, Any]:
    options = {"n_boot": 0, **options}
    return frequency_correlation(table, methods=[method], **options).to_dict("records")[0]


def partial_by_regression(table, controls):
    """Correlation of what least squares leaves of log frequency and of chi."""
    design = sm.add_constant(np.column_stack(controls).astype(float))
    left_x = sm.OLS(np.log(table["frequency"].to_numpy()), design).fit().resid
    left_y = sm.OLS(table["chi"].to_numpy(), design).fit().resid
    return scipy.pearsonr(left_x, left_y).statistic


def test_estimates_are_those_of_scipy_and_statsmodels():
    table = words_table()
    classes = [(table["word_class"] == c) for c in ("open", "closed")]
    length = table["word"].str.len()
    expected = {
        "pearson": scipy.pearsonr(table["frequency"], table["chi"]).statistic,
        "spearman": scipy.spearmanr(table["frequency"], table["chi"]).statistic,
        "pearson_log": scipy.pearsonr(np.log(table["frequency"]), table["chi"]).statistic,
        "partial_class": partial_by_regression(table, classes),
        "partial_length": partial_by_regression(table, [length]),
        "partial_class_length": partial_by_regression(table, [*classes, length]),
        "partial_surprisal": partial_by_regression(table, [table["surprisal"]]),
    }
    assert set(expected) == set(METHODS)
    found = frequency_correlation(table, methods=list(METHODS), n_boot=0).set_index("method")
    for method, rho in expected.items():
        assert found.loc[method, "rho"] == pytest.approx(rho, abs=1e-12)


def test_spearman_shares_ranks_among_ties_as_scipy_does():
    table = words_table(60)
    table["frequency"] = np.repeat([3, 5, 9, 40], 15)
    table["chi"] = table["chi"].round(2)
    expected = scipy.spearmanr(table["frequency"], table["chi"]).statistic
    assert one(table, "spearman")["rho"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("method", ["pearson", "spearman", "pearson_log"])
@pytest.mark.parametrize("decimals", [2, 15])  # 2: many ties
def test_resamples_equal_scipy_on_the_rows_drawn(method, decimals):
    table = words_table(50)
    x, y = table["frequency"].to_numpy(float), table["chi"].round(decimals).to_numpy()
    (weights,) = bootstrap.resample_weights(50, 7, seed=3)
    if method == "spearman":
        found = bootstrap.weighted_spearman(weights, x, y[:, None])[:, 0]
    else:
        x = np.log(x) if method == "pearson_log" else x
        none = np.empty((50, 0))
        found = bootstrap.weighted_correlation(weights, x, y[:, None], none)[:, 0]
    oracle = scipy.spearmanr if method == "spearman" else scipy.pearsonr
    for r in range(7):
        rows = np.repeat(np.arange(50), weights[:, r].astype(int))
        assert found[r] == pytest.approx(oracle(x[rows], y[rows]).statistic, abs=1e-10)


def test_a_few_ties_by_chance_hardly_change_a_resample():
    table = words_table(800)
    y = table["chi"].to_numpy().copy()
    y[:3] = y[10]
    x = table["frequency"].to_numpy(float)
    (weights,) = bootstrap.resample_weights(800, 5, seed=3)
    together = bootstrap.weighted_spearman(weights, x, y[:, None])[:, 0]
    for r in range(5):  # one resample at a time is exact
        exact = bootstrap.weighted_spearman(weights[:, [r]], x, y[:, None])[0, 0]
        rows = np.repeat(np.arange(800), weights[:, r].astype(int))
        assert exact == pytest.approx(scipy.spearmanr(x[rows], y[rows]).statistic, abs=1e-10)
        assert together[r] == pytest.approx(exact, abs=1e-4)


def test_slopes_are_those_of_least_squares_and_weights_are_copies_of_words():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(30, 2)), generator.normal(size=30)
    weights = generator.integers(0, 3, size=(30, 4)).astype(float)
    found = bootstrap.weighted_slope(weights, y, x)
    for column, value in zip(weights.T, found, strict=True):
        rows = np.repeat(np.arange(30), column.astype(int))
        design = np.column_stack([x[rows], np.ones(len(rows))])
        assert value == pytest.approx(np.linalg.lstsq(design, y[rows])[0][0])


def test_weights_are_resamples_of_the_same_size_and_of_every_word():
    weights = np.concatenate(list(bootstrap.resample_weights(40, 2000, seed=0)), axis=1)
    assert weights.shape == (40, 2000)
    assert (weights.sum(axis=0) == 40).all()
    assert np.abs(weights.mean(axis=1) - 1).max() < 0.15
    assert weights.var() == pytest.approx(1 - 1 / 40, rel=0.05)  # a multinomial's


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(5, 60),
    scale=st.floats(0.01, 100),
    shift=st.floats(-10, 10),
    method=st.sampled_from(list(METHODS)),
)
@settings(max_examples=60)
def test_affine_maps_of_chi_leave_rho_and_its_interval(seed, n, scale, shift, method):
    table = words_table(n, seed=seed)
    moved = table.assign(chi=table["chi"] * scale + shift)
    a = one(table, method, n_boot=50)
    b = one(moved, method, n_boot=50)
    for column in ("rho", "low", "high"):
        assert b[column] == pytest.approx(a[column], abs=1e-6, nan_ok=True)
    flipped = one(table.assign(chi=-table["chi"]), method)
    assert flipped["rho"] == pytest.approx(-a["rho"], abs=1e-9, nan_ok=True)


@given(seed=st.integers(0, 10_000), n=st.integers(3, 40), method=st.sampled_from(list(METHODS)))
@settings(max_examples=60)
def test_the_interval_contains_rho_within_minus_one_and_one(seed, n, method):
    row = one(words_table(n, seed=seed), method, n_boot=60)
    if np.isnan(row["rho"]):  # fewer words than controls leave nothing to correlate
        assert method.startswith("partial")
    else:
        assert -1 <= row["low"] <= row["rho"] <= row["high"] <= 1


@given(seed=st.integers(0, 10_000), method=st.sampled_from(["spearman", "pearson_log"]))
@settings(max_examples=20)
def test_row_order_does_not_matter(seed, method):
    table = words_table(40, seed=seed)
    shuffled = table.sample(frac=1, random_state=seed)
    a, b = one(table, method, n_boot=50), one(shuffled, method, n_boot=50)
    assert a == pytest.approx(b, nan_ok=True)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth, n = 0.5, 150
    trials = 200
    frames = []
    for trial in range(trials):
        x = rng.normal(size=n)
        y = truth * x + np.sqrt(1 - truth**2) * rng.normal(size=n)
        frames.append(
            pd.DataFrame(
                {
                    "seed": trial,
                    "word": [f"w{i}" for i in range(n)],
                    "frequency": np.exp(x),
                    "chi": y,
                }
            )
        )
    found = frequency_correlation(pd.concat(frames), methods=["pearson_log"], n_boot=300)
    covered = ((found["low"] <= truth) & (truth <= found["high"])).mean()
    assert 0.88 <= covered <= 0.99  # 95 % nominal, three standard errors of 200 trials


def test_the_permutation_null_is_centred_and_finds_what_is_there():
    rng = np.random.default_rng(1)
    null = pd.concat(
        [
            words_table(80, slope=0.0, seed=int(s), seed_column=0).assign(seed=int(s))
            for s in rng.integers(0, 10**6, 150)
        ]
    )
    for method in ("pearson", "spearman", "partial_class_length"):
        found = frequency_correlation(null, methods=[method], n_boot=0, n_permutations=199)
        p = found["p_permutation"]
        assert abs(found["rho"].mean()) < 0.03
        assert 0.42 < p.mean() < 0.58  # uniform under the null: mean 1/2
        assert (p < 0.05).mean() < 0.11
    real = one(words_table(80, slope=0.06), "spearman", n_permutations=199)
    assert real["p_permutation"] == pytest.approx(1 / 200)


def test_the_same_seed_gives_the_same_numbers_and_groups_do_not_meddle():
    table = pd.concat([words_table(seed=1, layer="lstm1"), words_table(seed=2, layer="lstm2")])
    both = frequency_correlation(table, n_boot=100, n_permutations=20, seed=5)
    again = frequency_correlation(table, n_boot=100, n_permutations=20, seed=5)
    pd.testing.assert_frame_equal(both, again)
    alone = frequency_correlation(
        table[table["layer"] == "lstm2"], n_boot=100, n_permutations=20, seed=5
    )
    joint = both[both["layer"] == "lstm2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(joint, alone, check_exact=False, atol=1e-12)
    other = frequency_correlation(table, n_boot=100, seed=6)
    assert not np.allclose(other["low"], both["low"])


def test_rows_columns_and_defaults():
    table = pd.concat(
        [
            words_table(seed=e, epoch=e, layer="lstm2", signal=s, role="target")
            for e in (0, 1)
            for s in ("activation", "gradient")
        ]
    )
    found = frequency_correlation(table, n_boot=20)
    assert list(found.columns) == [
        "epoch", "layer", "signal", "role", "value", "method", "rho", "low", "high",
        "p_permutation", "words",
    ]  # fmt: skip
    assert len(found) == 2 * 2 * 5
    assert (found["words"] == 200).all()
    assert found["p_permutation"].isna().all()
    assert "partial_class" not in set(
        frequency_correlation(table.drop(columns="word_class"), n_boot=0)["method"]
    )


def test_unknown_words_rare_words_and_words_never_seen_are_left_out():
    table = words_table(30)
    extra = pd.DataFrame(
        {
            "word": ["<unk>", "<eos>", "never"],
            "frequency": [10**6, 10**6, 50],
            "chi": [9.0, 9.0, np.nan],
            "word_class": "none",
        }
    )
    plain = one(table, "pearson")
    padded = one(pd.concat([table, extra]), "pearson")
    assert padded["words"] == 30
    assert padded["rho"] == pytest.approx(plain["rho"])
    cut = one(table, "pearson", min_frequency=float(table["frequency"].median()))
    assert cut["words"] == 15
    kept = one(pd.concat([table, extra]), "pearson", exclude=())
    assert kept["words"] == 32


def test_a_constant_value_has_no_correlation():
    row = one(words_table(30).assign(chi=0.1), "pearson", n_boot=20, n_permutations=20)
    assert all(np.isnan(row[column]) for column in ("rho", "low", "high", "p_permutation"))
    within = words_table(30)
    within["chi"] = within["word_class"].map({"open": 0.1, "closed": 0.3, "none": 0.2})
    assert np.isnan(one(within, "partial_class")["rho"])
    assert not np.isnan(one(within, "pearson")["rho"])


def test_contrasts_are_paired_by_word():
    rising = pd.concat(
        [words_table(300, slope=0.0, epoch=0), words_table(300, slope=0.03, epoch=9)]
    )
    found = correlation_replicates(rising, ["epoch"], "pearson_log", n_boot=300)
    each = frequency_correlation(rising, methods=["pearson_log"], n_boot=300)
    value, low, high = found.contrast({(9,): 1.0, (0,): -1.0})
    assert value == pytest.approx(each["rho"][1] - each["rho"][0])
    assert 0 < low <= value <= high
    alone = found.contrast({(9,): 1.0})
    assert alone == pytest.approx(tuple(each[["rho", "low", "high"]].iloc[1]))

    noise = np.random.default_rng(0).normal(size=300) * 1e-4
    again = words_table(300, epoch=9).assign(chi=words_table(300)["chi"] + noise)
    steady = pd.concat([words_table(300, epoch=0), again])
    found = correlation_replicates(steady, ["epoch"], "pearson_log", n_boot=300)
    _, low, high = found.contrast({(9,): 1.0, (0,): -1.0})
    _, alone_low, alone_high = found.contrast({(9,): 1.0})
    assert high - low < 0.1 * (alone_high - alone_low)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t.rename(columns={"chi": "chis"}), {}, r"no column 'chi' \(did you mean 'chis'"),
        (lambda t: t.drop(columns="frequency"), {}, "no column 'frequency'"),
        (lambda t: t.head(2), {}, "the table has 2 words; a correlation needs 3 or more"),
        (lambda t: t.head(0), {}, "no words left"),
        (lambda t: t, {"min_frequency": 1e9}, "no words left"),
        (lambda t: t, {"methods": ["spearmann"]}, "did you mean 'spearman'"),
        (lambda t: t, {"methods": []}, "methods is empty"),
        (lambda t: t, {"by": ["layer"]}, "no column 'layer'"),
        (lambda t: t, {"n_boot": -1}, "n_boot must be a whole number of 0 or more, not -1"),
        (lambda t: t, {"min_frequency": -1}, "min_frequency must be 0 or more"),
        (lambda t: t, {"min_frequency": "5"}, "min_frequency must be 0 or more"),
        (lambda t: t, {"seed": -1}, "seed must be a whole number of 0 or more, not -1"),
        (lambda t: t, {"seed": 1.5}, "seed must be a whole number of 0 or more, not 1.5"),
        (lambda t: t, {"n_boot": True}, "n_boot must be a whole number"),
        (lambda t: t, {"exclude": 5}, "exclude must be words, got 5"),
        (lambda t: t.assign(frequency=t["frequency"].astype(str)), {}, "'frequency' must hold num"),
        (lambda t: t.assign(chi=[""] * len(t)), {}, r"'chi' must hold numbers, .*'chi': \[''\]"),
        (lambda t: t.assign(word=[None, *t["word"][1:]]), {}, r"1 row\(s\) without a word"),
        (lambda t: pd.concat([t, t]), {}, "word '0000a+' occurs more than once in the table"),
        (lambda t: t.drop(columns="word_class"), {"methods": ["partial_class"]}, "'word_class'"),
    ],
)
def test_bad_input_is_one_clear_line(change, options, message):
    with pytest.raises(InputError, match=message) as caught:
        frequency_correlation(change(words_table(10)), **options)
    assert "\n" not in str(caught.value)


def test_a_small_group_is_named():
    table = pd.concat([words_table(9, layer="lstm1"), words_table(2, layer="lstm2")])
    with pytest.raises(InputError, match="layer=lstm2 has 2 words"):
        frequency_correlation(table)


def test_a_contrast_names_the_group_that_is_missing():
    found = correlation_replicates(words_table(9, epoch=0), ["epoch"], n_boot=5)
    with pytest.raises(InputError, match="there is no group epoch=7"):
        found.contrast({(7,): 1.0})


def test_words_whose_surprisal_is_not_known_are_left_out_where_it_is_held_fixed():
    table = words_table()
    table.loc[:6, "surprisal"] = np.nan
    assert one(table, "partial_surprisal")["words"] == len(table) - 7
    assert one(table, "pearson_log")["words"] == len(table)
    with pytest.raises(InputError, match="no column 'surprisal'"):
        one(table.drop(columns="surprisal"), "partial_surprisal")


def test_a_word_that_a_csv_file_calls_missing_is_refused_and_read_back_as_told(tmp_path):
    table = words_table(20)
    table.loc[[3, 4], "word"] = ["null", "nan"]
    table.to_csv(path := tmp_path / "words.csv", index=False)
    with pytest.raises(InputError, match=r"2 row.* read it with .*keep_default_na=False"):
        frequency_correlation(pd.read_csv(path))
    read = pd.read_csv(path, keep_default_na=False)
    assert one(read, "partial_length")["rho"] == pytest.approx(one(table, "partial_length")["rho"])


@pytest.mark.parametrize("kind", ["object", "category", "string"])
def test_rows_without_a_group_are_a_group_of_their_own(kind):
    both = pd.concat([words_table(20, revision="step1"), words_table(20, slope=0, revision=None)])
    both["revision"] = both["revision"].astype(kind)
    found = frequency_correlation(both, methods="pearson", n_boot=0)
    assert found["words"].tolist() == [20, 20]
    assert found["revision"].isna().tolist() == [False, True]
    alone = frequency_correlation(both.assign(revision=np.nan).iloc[20:], methods="pearson")
    assert alone["rho"].tolist() == found["rho"][1:].tolist()


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_tables_of_other_backends_have_the_same_numbers(backend):
    table = words_table(40)
    table.loc[:1, "word_class"] = None
    table.loc[2, ["chi", "frequency"]] = np.nan
    expected = frequency_correlation(table, methods=list(METHODS), n_boot=5)
    found = frequency_correlation(
        table.convert_dtypes(dtype_backend=backend), methods=list(METHODS), n_boot=5
    )
    pd.testing.assert_frame_equal(found, expected)


def test_one_word_to_leave_out_may_stand_by_itself():
    table = words_table(20)
    table.loc[:2, "word"] = ["the", "t", "h"]
    found, expected = (one(table, "pearson", exclude=words) for words in ("the", ["the"]))
    assert (found["rho"], found["words"]) == (expected["rho"], 19)


@pytest.mark.parametrize("kind", [np.int64, np.float32, int])
def test_numbers_of_numpy_are_numbers(kind):
    table = words_table(20)
    least = kind(int(table["frequency"].median()))
    expected = one(table, "pearson", min_frequency=float(least), seed=3, n_boot=9)
    found = one(table, "pearson", min_frequency=least, seed=np.int64(3), n_boot=np.int8(9))
    assert [found[k] for k in ("words", "low")] == [expected[k] for k in ("words", "low")]
