"""Ratios over runs: appended, never changed; noise and what left it."""

import math

import pandas as pd
import pytest

from sparsecore.bench.run import changes_as_text
from sparsecore.errors import InputError
from sparsecore.report.pages import speed
from sparsecore.runs import bench_history as history

MACHINE = {"device_name": "a CPU", "device": "cpu", "threads": 1, "torch": "2.13.0", "mhz": 2400.0}


def table(ratios, spread=0.01, rounds=9):
    """A table as the benchmark makes it, of ``{contestant: ratio}`` and this library itself."""
    rows = [
        {
            "suite": "lm", "case": "V 9", "contestant": name, "device": "cpu", "threads": 1,
            "rounds": rounds, "ratio_to_reference": ratio, "ratio_low": ratio * (1 - spread),
            "ratio_high": ratio * (1 + spread),
        }
        for name, ratio in {"sparsecore": 1.0, **ratios}.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def add(path, day, ratios, commit="abc", **machine):
    now = {**MACHINE, **machine, "started": f"2026-11-{day:02d}T10:00:00+00:00", "commit": commit}
    history.append(path, table(ratios), now)


@pytest.fixture
def path(tmp_path):
    """Three runs, two of them with equal times but for two per cent, then a slower library."""
    path = tmp_path / "history.csv"
    add(path, 1, {"plain": 2.0, "by hand": 4.0, "refused": math.nan}, "aaa")
    add(path, 2, {"plain": 2.0, "by hand": 4.08}, "bbb")
    add(path, 3, {"plain": 1.0, "by hand": 2.04}, "ccc+")
    return path


def test_rows_are_appended_and_those_before_stay(path):
    before = path.read_bytes()
    add(path, 4, {"plain": 1.0})
    assert path.read_bytes().startswith(before)
    rows = history.read(path)
    assert list(rows.columns) == history.COLUMNS and len(rows) == 7
    assert rows["commit"].tolist() == ["aaa"] * 2 + ["bbb"] * 2 + ["ccc+"] * 2 + ["abc"]
    assert set(rows["contestant"]) == {"plain", "by hand"}  # neither ours nor what was not timed
    assert rows.loc[0, ["ratio", "low", "high"]].tolist() == [2.0, 1.98, 2.02]


def test_only_runs_on_the_same_machine_are_compared(path):
    add(path, 4, {"plain": 9.0}, device_name="another CPU")
    rows = history.like(history.read(path), MACHINE)
    assert rows["date"].str[8:10].unique().tolist() == ["01", "02", "03"]


def test_noise_over_rounds_and_of_contestants_that_are_not_ours(path):
    (row,) = history.noise(history.read(path)).to_dict("records")
    assert row["suite"] == "lm" and row["rounds"] == pytest.approx(0.01, rel=0.02)
    assert row["runs"] == pytest.approx(0.01, rel=0.02)  # 2 per cent once, then none
    one = history.noise(history.read(path).iloc[:2])
    assert one["rounds"].notna().all() and one["runs"].isna().all()


def test_a_slower_library_is_seen_and_noise_is_not(path):
    rows = history.read(path)
    found = history.changes(rows)
    assert found["contestant"].tolist() == ["plain", "by hand"]
    assert found["change"].tolist() == pytest.approx([0.5, 0.5])
    assert found[["commit_before", "commit"]].drop_duplicates().values.tolist() == [["bbb", "ccc+"]]
    said = changes_as_text(rows)
    assert "× 0.50  lm: V 9: plain: 2 [1.98, 2.02] at bbb, now 1 [0.99, 1.01]" in said
    assert changes_as_text(rows.iloc[:2]) == ""
    again = pd.concat([rows, rows.iloc[4:].assign(date="2026-11-05T10:00:00+00:00", ratio=1.004)])
    assert history.changes(again).empty


def test_the_page_shows_each_run_with_its_intervals(path):
    rows = history.read(path)
    markup = speed.history_table(rows).data
    for text in (
        "2026-11-01 aaa",
        "2026-11-03 ccc+",
        "2.00 [1.98,\N{NO-BREAK SPACE}2.02]",
        "4.08 [4.04,\N{NO-BREAK SPACE}4.12]",
    ):
        assert text in markup
    assert "lm ± 1.0 % and 1.0 %" in speed.noise_sentence(rows).data
    assert "*plain* at *V 9* (2 to 1)" in speed.changes_sentence(rows).data
    for told in (speed.history_table, speed.noise_sentence, speed.changes_sentence):
        assert told(rows.iloc[:0]) is None


def test_what_is_no_history_is_one_line(tmp_path):
    assert history.read(tmp_path / "none.csv").empty
    (tmp_path / "history.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"history\.csv is no history of sparsecore bench"):
        history.read(tmp_path / "history.csv")
