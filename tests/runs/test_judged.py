"""The rules on the committed tables, and rounds of runs that are put together."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.experiments.language import findings as language
from sparsecore.experiments.reciting import findings as reciting
from sparsecore.experiments.sentiment import findings as sentiment
from sparsecore.experiments.tagging import findings as tagging
from sparsecore.runs.judged import parts_of, study_seeds, with_rounds
from sparsecore.runs.reference import read_provenance, read_summary
from sparsecore.stats.judgement import MET, NOT_TESTED, judge

RESULTS = Path(__file__).parents[2] / "book" / "results"
FOLDERS = {
    "tagging": "ud-english-ewt",
    "language": "ptb",
    "reciting": "ptb",
    "sentiment": "reviews",
}


def committed(experiment):
    folder = RESULTS / experiment / FOLDERS[experiment]
    tables, provenance = read_summary(folder), read_provenance(folder)
    assert tables is not None and provenance is not None
    return tables, provenance


def verdict(parts, finding):
    return judge(parts[parts["finding"] == finding])


# tagging


def test_thirty_new_seeds_alone_decide_the_second_finding_of_tagging():
    tables, _ = committed("tagging")
    assert verdict(tagging.verdict_parts(tables), 2)[0] == NOT_TESTED
    parts = tagging.verdict_parts({"runs": second_round(tables["runs"])})
    essential = parts[(parts["finding"] == 2) & (parts["kind"] == "essential")]
    assert essential["seeds"].tolist() == [30]
    assert verdict(parts, 2) == ("holds", "")
    shown = parts[(parts["finding"] == 2) & (parts["kind"] == "shown")]
    assert shown["seeds"].tolist() == [34]


def second_round(runs):
    """The first round, and 30 seeds whose accuracies are those of its first seed, give or take."""
    pair = runs[(runs["seed"] == 0) & (runs["order"] == "up") & runs["density"].isin([0.15, 1.0])]
    pair = pair[pair["embedding_dim"] == 20]
    new = [pair.assign(seed=seed, test_accuracy=0.86 + 0.001 * (seed % 5)) for seed in range(4, 34)]
    return pd.concat([runs, *new], ignore_index=True)


def test_rounds_are_put_together_and_named(tmp_path):
    tables, provenance = committed("tagging")
    folder = RESULTS / "tagging" / FOLDERS["tagging"]
    runs = second_round(tables["runs"])
    new = {"runs": runs[runs["seed"] >= 4]}
    told = {**provenance, "seeds": list(range(4, 34)), "runs": ["x"] * 60}
    both, described = with_rounds(new, told, [(folder, tables, provenance)])
    assert verdict(both["verdicts"], 2)[0] == "holds"
    assert verdict(both["verdicts"], 3)[0] == "holds"  # from the first round alone
    assert both["runs"] is new["runs"]
    assert described["rounds"] == [
        {"tables": "ud-english-ewt", "seeds": [0, 1, 2, 3, 99], "runs": 91}
    ]
    assert study_seeds(described) == list(range(34))


def test_rounds_of_other_settings_or_experiments_are_refused(tmp_path):
    tables, provenance = committed("tagging")
    folder = RESULTS / "tagging" / FOLDERS["tagging"]
    other = json.loads(json.dumps(provenance))
    other["settings"]["epochs"] = 3
    with pytest.raises(InputError, match="is of another settings"):
        with_rounds(tables, other, [(folder, tables, provenance)])
    with pytest.raises(InputError, match="rounds of sentiment cannot be put together"):
        with_rounds(*committed("sentiment"), [])


# language


def test_a_language_model_with_a_parameter_a_token_has_not_tested_overfitting():
    tables, _ = committed("language")
    found, reason = verdict(language.verdict_parts(tables), 3)
    assert found == NOT_TESTED and reason.startswith("0.89 parameters a token")


def test_a_larger_gap_of_the_sparse_models_holds_where_the_dense_one_overfits():
    tables, _ = committed("language")
    runs = tables["runs"].assign(train_tokens=40_000)
    sparse = (runs["model"] == "sparse").astype(float)
    runs["train_perplexity_finetuned"] = runs["valid_perplexity_finetuned"] / (2 + sparse)
    runs["train_perplexity"] = runs["valid_perplexity"] / (1.5 + sparse / 4)
    parts = language.verdict_parts({"runs": runs})
    assert verdict(parts, 3) == ("holds", "")
    little = runs.assign(train_perplexity_finetuned=runs["valid_perplexity_finetuned"] / 1.1)
    assert "overfits by" in verdict(language.verdict_parts({"runs": little}), 3)[1]


def test_runs_of_one_model_alone_have_no_parts_and_no_error():
    tables, _ = committed("language")
    for _, runs in tables["runs"].groupby("model"):
        assert language.verdict_parts({"runs": runs}).empty


# reciting


def recited(full=1.0, dense=0.99, rnn=0.995, both=0.993, third=(0.8, 0.75, 0.9), stuck=0):
    """Five seeds of the seven rows; ``stuck`` of the sparse RNN stay on the plateau."""
    rows = [(1, reciting.DENSE, full), (2, reciting.DENSE, dense), (2, reciting.RNN, rnn)]
    rows += [(2, reciting.BOTH, both)]
    rows += [
        (3, f, a) for f, a in zip((reciting.DENSE, reciting.RNN, reciting.BOTH), third, strict=True)
    ]
    tokens, sizes = 3500, {1: 65_000, 2: 18_500, 3: 9_200}
    table = [
        {
            "family": family,
            "part": part,
            "seed": seed,
            "accuracy": 0.06
            if family == reciting.RNN and part == 2 and seed < stuck
            else min(1.0, accuracy + 0.0002 * (seed - 2)),
            "parameters": sizes[part],
            "tokens": tokens,
            "commonest": 0.055,
        }
        for part, family, accuracy in rows
        for seed in range(5)
    ]
    return {"runs": pd.DataFrame(table)}


def test_the_order_of_table_4_is_found_within_the_scale():
    parts = reciting.verdict_parts(recited())
    assert [verdict(parts, n)[0] for n in (1, 2, 3)] == ["holds"] * 3
    other = recited(dense=0.995, rnn=0.99, both=0.985, third=(0.8, 0.9, 0.7))
    parts_of_other = reciting.verdict_parts(other)
    assert [verdict(parts_of_other, n)[0] for n in (1, 2, 3)] == ["fails"] * 3
    known = parts.dropna(subset="low")
    assert (known["low"] >= -100).all() and (known["high"] <= 100).all()


def test_runs_that_never_left_the_plateau_are_counted_apart():
    tables = recited(stuck=2)
    assert len(reciting.trained(tables["runs"])) == 7 * 5 - 2
    assert verdict(reciting.verdict_parts(tables), 1)[0] == "holds"
    found, reason = verdict(reciting.verdict_parts(recited(stuck=3)), 1)
    assert found == NOT_TESTED and reason.startswith("2 seeds of one of the two models left")


def test_a_tie_at_the_ceiling_and_a_full_model_that_cannot_recite_test_nothing():
    tied = recited(dense=0.9995, rnn=0.9996)
    assert "tie at the ceiling" in verdict(reciting.verdict_parts(tied), 1)[1]
    short = recited(full=0.9)
    assert verdict(reciting.verdict_parts(short), 3)[1].startswith("the full dense model recites")


# sentiment


def test_unequal_training_has_not_tested_the_tradeoff():
    tables, _ = committed("sentiment")
    parts = sentiment.verdict_parts(tables)
    assert verdict(parts, 1) == (
        NOT_TESTED,
        "unequal training: learned models 37 epochs, baselines 19",
    )
    mean = parts[parts["kind"] == "essential"].iloc[0]
    assert mean["low"] < 0 < mean["value"]  # with both variances the interval holds 0


def test_training_is_compared_between_the_models_that_a_finding_compares():
    """Long training of models that a finding leaves out makes its sides no less equal."""
    tables, _ = committed("sentiment")
    runs = tables["runs"].assign(epochs=20)
    small = runs["goal"] == runs.loc[runs["goal"].notna(), "goal"].min()
    runs.loc[small, "epochs"] = 200  # not the goal nearest to the unigram baseline
    parts = sentiment.verdict_parts({**tables, "runs": runs})
    essential = parts[parts["kind"] == "essential"].set_index("finding")["condition"]
    assert essential[1].startswith("unequal training") and essential[2] == MET


def test_structures_trained_from_scratch_are_shown_as_a_control():
    tables = read_summary(RESULTS / "sentiment" / "reviews-titles")
    assert tables is not None
    control = "the same structures trained from scratch minus baseline"
    row = tables["verdicts"].set_index("part").loc[control]
    runs = tables["runs"].assign(run=lambda rows: rows.index)
    learned = runs["family"] == "regularised"
    runs.loc[learned, "test_accuracy"] = runs.loc[learned, "scratch_test_accuracy"]
    accuracy = dict(enumerate(runs["test_accuracy"].tolist()))
    by_seed: dict[int, list[float]] = {}
    for of_category in sentiment.gains_at_equal_size(runs).values():
        for seed, weights in of_category.items():
            gain = sum(weight * accuracy[int(run)] for run, weight in weights.items())
            by_seed.setdefault(seed, []).append(gain)
    gains = [np.mean(each) for each in by_seed.values()]
    assert row["value"] == pytest.approx(np.mean(gains), abs=1e-5) and row["kind"] == "shown"
    assert row["low"] < row["high"] < 0


def test_all_categories_but_one_is_four_of_five():
    tables, _ = committed("sentiment")
    equal = {**tables, "runs": tables["runs"].assign(epochs=20)}
    first = equal["findings"].copy()
    lift = {"kitchen": -5.0, "dvd": 4.0, "books": 4.0, "mix": 4.0, "categories": 4.0}
    for category, by in lift.items():
        rows = (first["finding"] == 1) & first["part"].str.endswith(category)
        first.loc[rows, ["value", "low", "high"]] += by
    parts = sentiment.verdict_parts({**equal, "findings": first})
    assert verdict(parts, 1) == ("holds", "")


def test_the_existence_of_a_model_is_asked_of_the_best_on_the_development_set():
    tables, _ = committed("sentiment")
    runs = tables["runs"].copy()
    few = runs.index[(runs["family"] == "regularised") & (runs["wfsas"] <= 3)]
    assert len(few) == 3
    runs.loc[few, "dev_accuracy"] = [90.0, 95.0, 85.0]
    runs.loc[few, "test_accuracy"] = [99.0, 60.0, 99.0]
    parts = sentiment.verdict_parts({**tables, "runs": runs})
    assert verdict(parts, 3)[0] == "fails"  # the chosen one is far below, the others do not count
    none = runs.assign(wfsas=runs["wfsas"].clip(lower=4))
    assert verdict(sentiment.verdict_parts({**tables, "runs": none}), 3)[0] == "fails"


def test_a_folder_that_has_verdicts_is_taken_at_its_word(tmp_path):
    shutil.copytree(RESULTS / "language" / "ptb", tmp_path / "ptb")
    tables, _ = committed("language")
    kept = {**tables, "verdicts": language.verdict_parts(tables).assign(outcome="no")}
    found = parts_of("language", kept)
    assert found is not None and set(found["outcome"]) == {"no"}
    assert parts_of("causes", {}) is None and parts_of("no_such_experiment", {}) is None


def test_a_dependency_that_rules_lack_is_not_read_as_no_rule(monkeypatch):
    def lacking(name):
        raise ModuleNotFoundError(f"No module named 'statistics2', for {name}", name="statistics2")

    monkeypatch.setattr(importlib, "import_module", lacking)
    with pytest.raises(ModuleNotFoundError, match="statistics2"):
        parts_of("language", {})
