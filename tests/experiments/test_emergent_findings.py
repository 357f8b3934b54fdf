"""The rules of the eight findings, on runs made from formulas where the answer is known."""

import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.experiments.emergent.findings import findings, over_runs
from sparsecore.stats.verdict import verdict
from tests import synthetic

EPOCHS = 6


def decide(seed=0, growth=1.0, epochs=EPOCHS, change=None):
    words = synthetic.words(400)
    frames = [
        synthetic.statistics(words, e, epochs, seed, growth).assign(epoch=e)
        for e in range(epochs + 1)
    ]
    statistics = pd.concat(frames, ignore_index=True)
    described = words.iloc[statistics["word_id"]].reset_index(drop=True)
    statistics = pd.concat([statistics, described], axis=1)
    if change is not None:
        statistics = change(statistics)
    return findings(statistics, words, synthetic.epochs_table(epochs), n_boot=200)


@pytest.fixture(scope="module")
def table():
    return decide()


def of(table, finding):
    return table[table["finding"] == finding]


def test_every_finding_has_parts_with_intervals(table):
    assert list(table.columns) == ["finding", "part", "method", "value", "low", "high", "outcome"]
    assert set(table["finding"]) == set(range(1, 9))
    known = table.dropna(subset="value")
    assert ((known["low"] <= known["value"]) & (known["value"] <= known["high"])).all()
    assert set(table["outcome"]) <= {"yes", "no", "unsure"}


def test_what_was_put_in_is_found(table):
    for finding in (1, 2):
        outcomes = of(table, finding)["outcome"].tolist()
        assert outcomes == ["yes"] * len(outcomes), finding
    assert "no" not in set(of(table, 4)["outcome"])
    overtakes = of(table, 3).iloc[[0]]
    assert overtakes["part"].str.contains("hᵉ").all()
    assert (
        of(table, 3).loc[of(table, 3)["part"] == "ρ of h¹ at epoch 1", "outcome"] == "yes"
    ).any()


def test_a_run_without_the_effect_fails_the_first_finding():
    falling = of(decide(growth=-1.0), 1)
    assert verdict(falling["outcome"].tolist()) == "fails"


def test_another_strong_and_growing_signal_fails_the_second():
    def grow(t):
        hit = (t["layer"] == "lstm1") & (t["signal"] == "activation") & (t["role"] == "target")
        rise = 0.01 * t["epoch"] * np.log(t["frequency"]) * hit
        return t.assign(chi=t["chi"] + rise.astype(np.float32))

    part = of(decide(change=grow), 2).iloc[0]
    assert part["outcome"] == "no"
    assert part["value"] > 0.3


def test_a_gradient_tied_to_input_frequency_fails_the_fourth():
    def tie(t):
        hit = (t["layer"] == "lstm1") & (t["signal"] == "gradient") & (t["role"] == "input")
        return t.assign(chi=t["chi"] - (0.01 * np.log(t["frequency"]) * hit).astype(np.float32))

    part = of(decide(change=tie), 4).iloc[0]
    assert part["outcome"] == "no"
    assert part["value"] < -0.3


def test_a_turn_at_the_step_cut_is_the_fifth():
    cut = EPOCHS // 2

    def turn(t):
        hit = (t["signal"] == "activation") & (t["role"] == "input")
        rise = 0.004 * np.maximum(t["epoch"] - cut, 0) * np.log(t["frequency"])
        flat = np.random.default_rng(0).normal(0.1, 0.006, len(t))
        return t.assign(chi=t["chi"].where(~hit, flat + rise).astype(np.float32))

    plain, turned = of(decide(), 5), of(decide(change=turn), 5)
    assert verdict(turned["outcome"].tolist()) == "holds"
    assert turned["value"].iloc[0] > plain["value"].iloc[0]


def test_more_concentrated_function_words_are_the_seventh():
    def lift(t):
        closed = (t["word_class"] == "closed") & (t["layer"] == "lstm2")
        return t.assign(chi=t["chi"] + (0.03 * closed).astype(np.float32))

    lifted = of(decide(change=lift), 7)
    assert lifted["outcome"].tolist() == ["yes", "yes"]
    assert (lifted["method"] == "mean").all()
    assert "matched words" in lifted["part"].iloc[0]


def test_small_gradients_of_frequent_words_fail_the_eighth():
    def shrink(t):
        hit = (t["layer"] == "lstm2") & (t["signal"] == "gradient")
        return t.assign(l1=t["l1"] - (0.5 * np.log(t["frequency"]) * hit).astype(np.float32))

    part = of(decide(change=shrink), 8).iloc[0]
    assert part["outcome"] == "no"
    assert part["value"] < -0.3


def test_too_few_epochs_leave_parts_unsure():
    short = decide(epochs=1)
    grown = of(short, 1)
    assert set(grown.loc[grown["part"].str.contains("change"), "outcome"]) == {"unsure"}
    assert set(of(short, 5)["outcome"]) == {"unsure"}
    assert of(short, 5)["value"].isna().all()
    with pytest.raises(InputError, match="no trained epoch"):
        findings(pd.DataFrame(), pd.DataFrame(), synthetic.epochs_table(1).head(1))


def test_seeds_must_agree():
    a = pd.DataFrame([{"finding": 1, "part": "p", "method": "m", "value": 1.0, "low": 0.5,
                       "high": 1.5, "outcome": "yes"}])  # fmt: skip
    b = a.assign(value=2.0, low=0.8, high=3.0)
    both = over_runs([a, b]).iloc[0]
    assert (both["value"], both["low"], both["high"]) == (1.5, 0.5, 3.0)
    assert (both["outcome"], both["seeds"]) == ("yes", 2)
    assert over_runs([a, b.assign(outcome="no")]).iloc[0]["outcome"] == "unsure"
    with pytest.raises(InputError, match="at least one"):
        over_runs([])
