"""The tables and findings of a tagging study, on made-up results."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sparsecore.experiments.tagging.config import DROPOUTS, SETTING, TUNING_SEED, settings_of
from sparsecore.experiments.tagging.findings import verdict_parts
from sparsecore.experiments.tagging.tables import tables_of
from sparsecore.stats.judgement import judge

NOISE = (0.0, 0.001, -0.001, 0.0005)


def accuracy_of(dim, density, order):
    """As the paper has it: dense falls with its size, sparse hardly, the wrong order far."""
    if density == 1:
        return 0.96 - 0.01 * np.log(20 / dim)
    return {"up": 0.958, "none": 0.94, "down": 0.90}[order]


def made_up(accuracy=accuracy_of, noise=NOISE, preset="paper", tuning=True):
    """``results`` and ``frequencies`` as the runs of a study give them."""
    results, frequencies = [], []
    for setting in settings_of(preset):
        seeds = [*enumerate(noise), *([(TUNING_SEED, 0.03)] if tuning else [])]
        for seed, more in seeds:
            front = {"seed": seed, **dict(zip(SETTING, setting, strict=True))}
            front |= dict.fromkeys(DROPOUTS, 0.1 if seed == TUNING_SEED else 0.2)
            value = accuracy(*setting) + more
            size = round(1000 * setting[0] * setting[1])
            row = {"test_accuracy": value, "dev_accuracy": value - 0.01, "run": "x"}
            results.append(
                {**front, **row, "embedding_parameters": size, "parameters": size + 3309}
            )
            for seen, words, right in (("never", 10, 5), ("once", 40, 30 + (seed == 1))):
                frequencies.append({**front, "seen": seen, "words": words, "correct": right})
    return {"results": pd.DataFrame(results), "frequencies": pd.DataFrame(frequencies)}


def verdicts(parts):
    return {n: judge(group)[0] for n, group in parts.groupby("finding")}


def test_the_paper_s_numbers_make_all_findings_hold():
    tables = tables_of(made_up())
    parts = verdict_parts(tables)
    assert verdicts(parts) == {1: "holds", 2: "holds", 3: "holds", 4: "holds"}
    assert parts["finding"].tolist() == [1, 1, 1, 1, 2, 3, 3, 4, 4]
    assert set(parts["seeds"]) == {4} and set(parts["method"]) == {"mean"}
    by_part: Any = parts.set_index("part")
    sparse = by_part.loc["sparse minus dense, size 2"]
    assert sparse["value"] == pytest.approx(95.8 - (96 - np.log(10)))
    assert sparse["low"] < sparse["value"] < sparse["high"]
    assert by_part.loc["density 0.15 minus 1", "value"] == pytest.approx(-0.2)
    assert by_part.loc["up minus none, density 0.25", "value"] == pytest.approx(1.8)
    assert by_part.loc["none minus down, density 0.1", "value"] == pytest.approx(4.0)


def test_the_opposite_makes_them_fail():
    def opposite(dim, density, order):
        return 0.96 if density == 1 else {"up": 0.90, "none": 0.93, "down": 0.95}[order]

    parts = verdict_parts(tables_of(made_up(opposite)))
    assert verdicts(parts) == {1: "fails", 2: "fails", 3: "fails", 4: "fails"}


def test_no_difference_is_undecided_and_a_small_loss_is_still_little():
    parts = verdict_parts(tables_of(made_up(lambda *_: 0.9)))
    assert verdicts(parts) == {1: "undecided", 2: "holds", 3: "undecided", 4: "undecided"}
    one = verdict_parts(tables_of(made_up(noise=(0.0,))))
    assert set(one["outcome"]) == {"unsure"} and one["low"].isna().all()


def test_tuning_runs_count_for_the_tuning_table_alone():
    tables = tables_of(made_up())
    without = tables_of(made_up(tuning=False))
    assert len(tables["tuning"]) == len(settings_of("paper")) and "tuning" not in without
    for name in ("accuracy", "runs", "frequencies", "tradeoff"):
        pd.testing.assert_frame_equal(tables[name], without[name])


def test_accuracy_table():
    accuracy = tables_of(made_up())["accuracy"]
    assert len(accuracy) == len(settings_of("paper")) and set(accuracy["seeds"]) == {4}
    full = accuracy.iloc[0]
    assert (full["family"], full["size"], full["embedding_parameters"]) == ("dense", 20, 20_000)
    assert full["accuracy"] == pytest.approx(96 + 100 * np.mean(NOISE))
    assert full["sd"] == pytest.approx(100 * np.std(NOISE, ddof=1))
    assert full["word_dropout"] == 0.2


def test_both_families_end_in_the_full_embedding():
    points = tables_of(made_up())["tradeoff"]
    ends = points.groupby("family").last()
    assert set(ends["size"]) == {20} and ends["accuracy"].nunique() == 1
    sizes = points.groupby("family")["size"].apply(list)
    assert sizes["dense"] == sizes["sparse"] == [2, 3, 4, 5, 8, 10, 15, 20]


def test_frequencies_are_summed_over_seeds():
    table = tables_of(made_up())["frequencies"]
    once = table[table["seen"] == "once"].iloc[0]
    assert (once["words"], once["correct"]) == (160, 121)
    assert once["accuracy"] == pytest.approx(100 * 121 / 160)


def test_a_partial_study_has_the_parts_it_can_have():
    runs = tables_of(made_up(tuning=False))["runs"]
    only_dense = verdict_parts({"runs": runs[runs["density"] == 1]})
    assert only_dense.empty and "outcome" in only_dense.columns
    up = verdict_parts({"runs": runs[runs["order"] == "up"]})
    assert set(up["finding"]) == {1, 2}
