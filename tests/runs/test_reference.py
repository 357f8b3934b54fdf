"""Tables of several seeds: small, the same each time; runs that do not belong together."""

import json

import numpy as np
import pandas as pd
import pytest

from sparsecore.errors import InputError
from sparsecore.runs.reference import (
    describe,
    read_csv,
    read_provenance,
    read_summary,
    summarise,
    summary_of,
    tables_of,
    write_tables,
)
from sparsecore.stats.correlation import frequency_correlation
from sparsecore.training.run_folder import Run
from tests import synthetic


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [Run(synthetic.write_run(folder / f"s{s}", seed=s, count=300)) for s in (0, 1)]


@pytest.fixture(scope="module")
def tables(runs):
    return tables_of(runs, n_boot=10)


def test_written_tables_are_read_back_and_are_the_same_each_time(runs, tables, tmp_path):
    for name in ("a", "b"):
        summarise(runs, tmp_path / name, n_boot=10)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert "provenance.json" in files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    read = read_summary(tmp_path / "a")
    assert read is not None
    assert set(read) == set(tables)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(read[name], table, check_dtype=False)


def test_correlations_are_those_of_the_runs(runs, tables):
    found = tables["correlations"]
    assert set(found["seed"]) == {0, 1}
    part = runs[1].statistics([4], "lstm2", "gradient", "target")
    expected = frequency_correlation(part, ["epoch"], ["pearson_log"], n_boot=0)["rho"][0]
    chosen = found.query(
        "seed == 1 and epoch == 4 and layer == 'lstm2' and signal == 'gradient'"
        " and role == 'target' and method == 'pearson_log' and value == 'chi'"
    )
    assert len(chosen) == 1
    assert chosen["rho"].iloc[0] == pytest.approx(expected, abs=6e-5)


def test_words_and_exposure_are_means_over_seeds(runs, tables):
    words = tables["words"]
    assert words["frequency"].is_monotonic_decreasing
    assert not words["word"].isin(["<unk>", "<eos>"]).any()
    word = words["word"][10]
    each = [
        run.statistics([4], "lstm2", "gradient", "target").set_index("word")["chi"][word]
        for run in runs
    ]
    column = "chi_lstm2_gradient_target"
    assert words[column][10] == pytest.approx(np.mean(each), abs=6e-5)
    exposure = tables["exposure"].set_index(["word", "epoch"])["chi"]
    assert exposure[word, 4] == pytest.approx(np.mean(each), abs=6e-5)


def test_classes_have_matched_samples_of_equal_size(tables):
    last = tables["classes"].query("epoch == 4 and method == 'pearson' and seed == 0")
    sizes = last.set_index("group")["words"]
    assert sizes["matched open"] == sizes["matched closed"] <= 120
    frequency = last.set_index("group")["mean_frequency"]
    assert frequency["matched open"] == pytest.approx(frequency["matched closed"], rel=0.05)
    differences = tables["differences"].query("epoch == 4 and seed == 0").set_index("sample")
    assert differences["difference"]["all"] == pytest.approx(
        last.set_index("group")["chi"]["closed"] - last.set_index("group")["chi"]["open"], abs=2e-4
    )
    assert {"adjusted", "adjusted_low", "adjusted_high"} <= set(differences.columns)


def test_a_readers_run_is_summarised_once(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path))
    first = summary_of(runs[:1], n_boot=5)
    monkeypatch.setattr("sparsecore.runs.reference.summarise", None)
    again = summary_of(runs[:1], n_boot=5)
    assert set(first) == set(again)
    pd.testing.assert_frame_equal(first["correlations"], again["correlations"])


def test_a_reference_is_small(tmp_path):
    run = Run(synthetic.write_run(tmp_path / "run", count=10_000, epochs=2))
    summarise([run], tmp_path / "out", n_boot=5)
    size = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert size < 600_000


def test_provenance_names_the_runs_and_no_path(runs, tmp_path):
    found = describe(runs)
    assert found["seeds"] == [0, 1]
    assert found["settings"]["threshold"] == 6
    text = json.dumps(found)
    assert str(runs[0].path.parent) not in text
    assert read_provenance(tmp_path) is None
    assert read_summary(tmp_path / "nothing") is None


def test_runs_that_do_not_belong_together_are_refused(runs, tmp_path):
    other = Run(synthetic.write_run(tmp_path / "other", seed=2, epochs=2, count=60))
    unfinished = Run(synthetic.write_run(tmp_path / "unfinished", seed=3, count=60))
    (unfinished.path / "DONE").unlink()
    out = tmp_path / "out"
    for chosen, message in (
        ([], "at least one finished run"),
        ([runs[0], unfinished], "run unfinished is not finished"),
        ([runs[0], runs[0]], "seed 0 is there more than once"),
        ([runs[0], other], "differ in epochs: 4 and 2"),
    ):
        with pytest.raises(InputError, match=message):
            summarise(chosen, out)
    assert not out.exists()


def test_a_missing_table_is_named(runs, tmp_path):
    summarise(runs[:1], tmp_path / "out", n_boot=5)
    (tmp_path / "out" / "classes.csv").unlink()
    with pytest.raises(InputError, match=r"no classes\.csv"):
        read_summary(tmp_path / "out")


@pytest.mark.parametrize(
    "words",
    [
        ["good", "nan", "null", "n/a"],
        ["NA", "None", "", None],
        ["true", "False"],
        ["1e5", "007", "1_000"],
        [" lead", 'quo"te', "com,ma", "line\nbreak"],
    ],
)
def test_words_of_tables_come_back_as_they_were(tmp_path, words):
    table = pd.DataFrame({"phrase": words, "count": range(len(words))})
    write_tables({"patterns": table}, {}, tmp_path)
    back = read_summary(tmp_path)["patterns"]
    assert [None if pd.isna(word) else word for word in back["phrase"]] == words
    assert back["count"].tolist() == table["count"].tolist()


@pytest.mark.parametrize("names", ["a,b,a", "l" + 60_000 * ",1"])
def test_columns_of_one_name_are_refused_at_once(tmp_path, names):
    (tmp_path / "a.csv").write_text(f"{names}\n")
    with pytest.raises(ValueError, match=r"two of its [0-9,]+ columns have the same name"):
        read_csv(tmp_path / "a.csv")


def test_words_in_a_csv_of_before_are_words(tmp_path):
    (tmp_path / "a.csv").write_text("phrase,value\nnan,1.5\nnull,\n")
    table = read_csv(tmp_path / "a.csv")
    assert table["phrase"].tolist() == ["nan", "null"] and pd.isna(table["value"][1])
