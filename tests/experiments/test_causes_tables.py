"""Tables of the causes study find what was planted in made-up runs, and say what was not run."""

import numpy as np
import pandas as pd
import pytest

from sparsecore.experiments.causes.findings import pairs
from sparsecore.experiments.causes.tables import tables_of
from sparsecore.experiments.causes.task import draw_conditions
from sparsecore.stats.judgement import NOT_TESTED, judge

SLOPE = 2e-3  # χ per nat of frequency
TYPES, WORDS = 200, 120


def made_up(slopes, seeds=3, noise=2e-4, seed=0):
    """Stacked tables of one update: χ is 0.08 + slope · log frequency + a constant of the word."""
    generator = np.random.default_rng(seed)
    found = {"types": [], "stream": [], "probe": [], "epochs": []}
    for arm, slope in slopes.items():
        for number in range(seeds):
            types = made_up_types(number)
            own = np.random.default_rng(number).normal(0, 3e-3, TYPES)[types["word_id"]]
            chi = 0.08 + slope * np.log(types["frequency"]) + own
            front = {"seed": number, "arm": arm, "run": f"{arm}-{number}"}
            for name in ("stream", "probe"):
                table = pd.DataFrame({"type": types["type"], "update": 10})
                table["chi"] = chi + generator.normal(0, noise, len(types))
                table["rows"] = chi + generator.normal(0, noise, len(types))
                table["shares"] = 0.08 + generator.normal(0, noise, len(types))
                table["surprisal"] = 8 + generator.normal(0, 1, len(types))
                found[name].append(table.assign(**front))
            found["types"].append(types.assign(**front))
            loss = {"update": 10, "train_loss": 5.0, "valid_loss": 4.0 + slope}
            found["epochs"].append(pd.DataFrame([{**front, **loss}]))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def made_up_types(seed):
    """As a run's ``types``: frequencies as the conditions make them, in expectation."""
    words = draw_conditions(5, TYPES, WORDS, seed)
    own = pd.DataFrame({"word_id": range(TYPES)}).merge(words, "left", "word_id")
    own = own.assign(type=own["word_id"], natural=200_000 // (own["word_id"] + 1))
    own["role"] = np.where(own["twin"] >= 0, "frequent", "only")
    ratio = np.exp(own["dose"].fillna(0.0))
    kept = np.where(own["role"] == "frequent", ratio / (1 + ratio), 1.0)
    kept = np.where(own["condition"].fillna("").str.startswith("thin"), 1 / ratio, kept)
    rare = own[own["twin"] >= 0].assign(role="rare")
    rare["type"] = rare["twin"]
    both = pd.concat([own.assign(kept=kept), rare.assign(kept=1 / (1 + ratio[rare.index]))])
    both["frequency"] = both["natural"] * both["kept"]
    both["word"] = "w" + both["word_id"].astype(str)
    both["condition"] = both["condition"].fillna("none")
    return both.fillna({"dose": 0.0, "twin": -1}).reset_index(drop=True)


@pytest.fixture(scope="module")
def summary():
    return tables_of(made_up({"sgd-5": SLOPE, "sgd-20": 0.0, "adam": -SLOPE}))


def last(summary, arm, measure, kind):
    table = summary["slopes"].set_index(["arm", "measure", "kind"])
    return table.loc[(arm, measure, kind)]


@pytest.mark.parametrize("measure", ["training", "held out"])
@pytest.mark.parametrize("kind", ["split", "thin", "words"])
@pytest.mark.parametrize(("arm", "planted"), [("sgd-5", SLOPE), ("sgd-20", 0.0), ("adam", -SLOPE)])
def test_planted_slopes_are_inside_their_intervals(summary, arm, planted, measure, kind):
    row = last(summary, arm, measure, kind)
    tolerance = 2e-4 if kind == "split" else 8e-4  # words that were thinned differ from others
    tolerance = 2.5e-3 if kind == "words" else tolerance  # confounded by what words are
    assert row["value"] == pytest.approx(planted, abs=tolerance)
    assert row["low"] < planted < row["high"] and row["seeds"] == 3


def test_doses_grow_with_the_ratio_and_equal_halves_do_not_differ(summary):
    doses = summary["doses"]
    own = doses[(doses["arm"] == "sgd-5") & (doses["measure"] == "held out")]
    value = own.set_index("condition")["value"]
    assert value["split-1"] == pytest.approx(0, abs=1e-4)
    assert value["split-4"] == pytest.approx(SLOPE * np.log(4), rel=0.1)
    assert value["split-19"] == pytest.approx(SLOPE * np.log(19), rel=0.1)
    assert value["thin-19"] == pytest.approx(SLOPE * np.log(19), abs=2.5e-3)


def test_findings_say_what_was_planted_and_what_was_not_run(summary):
    parts = summary["verdicts"]
    verdicts = {number: judge(group)[0] for number, group in parts.groupby("finding")}
    assert verdicts[1] == "holds" and verdicts[3] == "holds" and verdicts[8] == "holds"
    assert verdicts[4] == "fails"  # Adam was given the opposite
    assert verdicts[5] == verdicts[6] == verdicts[7] == NOT_TESTED
    assert sorted(verdicts) == list(range(1, 13))


def test_two_seeds_give_no_interval_and_no_verdict():
    two = tables_of(made_up({"sgd-5": SLOPE}, seeds=2))
    row = last(two, "sgd-5", "held out", "split")
    assert np.isnan(row["low"]) and row["value"] == pytest.approx(SLOPE, abs=2e-4)
    parts = two["verdicts"]
    assert judge(parts[parts["finding"] == 1]) == (NOT_TESTED, "2 seeds; an interval needs three")


def test_a_type_that_was_not_seen_leaves_its_word_out():
    tables = made_up({"sgd-5": SLOPE}, seeds=1)
    types = tables["types"]
    lost = types.loc[types["role"] == "rare", "type"].iloc[0]
    tables["probe"] = tables["probe"][tables["probe"]["type"] != lost]
    whole, fewer = (
        pairs(types.merge(tables[name], on="type").rename(columns={"seed_x": "seed"}))
        for name in ("stream", "probe")
    )
    assert len(fewer) == len(whole) - 1
