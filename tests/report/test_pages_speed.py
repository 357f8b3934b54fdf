"""The page on speed, from a folder that the command itself has written."""

import math
import re

import pytest

from sparsecore.cli import main
from sparsecore.errors import InputError
from sparsecore.report.pages import speed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "mine"
    suites = ["--suite", "rational", "growth", "--quick", "--no-progress"]
    assert main(["bench", *suites, "--out", str(path)]) == 0
    return path


def cells(table):
    rows = re.findall(r"<tr.*?</tr>", table.data, re.DOTALL)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]


def test_the_machine_is_named_and_what_was_not_measured(folder):
    page = speed.open_page(str(folder))
    said = speed.about(page).data
    assert page.machine["device_name"] in said and "GFLOP/s" in said
    assert "GPU: not measured" in said
    page.table.loc[0, "device"] = "cuda"
    assert "not measured" not in speed.about(page).data


def test_tables_hold_what_was_measured(folder):
    page = speed.open_page(str(folder))
    head, row = cells(speed.peers_table(page.suite("rational")))
    assert head == ["case", "ms", "MiB", "of the machine's peak", "× loop", "× in place", "× scan",
                    "× projection"]  # fmt: skip
    own = page.suite("rational").iloc[0]
    assert float(row[1]) == pytest.approx(own["median_ms"], rel=0.01)
    grown = cells(speed.growth_table(page.suite("growth")))
    assert len(grown) == 1 + page.suite("growth")["axis"].nunique()
    assert "where 1 is proportional" in speed.growth_sentence(page.suite("growth")).data
    assert grown[0][0] == "what grows" and all(re.match(r"−?\d", row[3]) for row in grown[1:])


def test_what_was_not_measured_leaves_no_table(folder, tmp_path):
    table = speed.open_page(str(folder)).table
    (tmp_path / "environment.json").write_bytes((folder / "environment.json").read_bytes())
    older = table[table["suite"] == "rational"].drop(columns=["axis", "size"])
    older.to_parquet(tmp_path / "results.parquet")
    page = speed.open_page(str(tmp_path))
    assert speed.growth_table(page.suite("growth")) is None
    assert speed.growth_sentence(page.suite("growth")) is None
    assert speed.peers_table(page.suite("lm")) is None
    assert speed.extremes_sentence(page.suite("lm")) is None
    told = speed.extremes_sentence(page.suite("rational")).data
    assert told.startswith("Times range from ×")
    assert speed.peers_table(page.suite("rational")) is not None


def test_what_could_not_run_is_named_and_in_no_table(folder):
    page = speed.open_page(str(folder))
    assert speed.absent_sentence(page) is None
    row = page.table[page.table["contestant"] == "scan"].index
    lost = ["median_ms", "low_ms", "high_ms", "ratio_to_reference", "ratio_low", "ratio_high"]
    page.table.loc[row, lost] = math.nan
    page.table.loc[row, ["gate", "reason"]] = ["absent", "it needs a CUDA device"]
    said = speed.absent_sentence(page).data
    assert said == "Not measured on this machine: *scan* (it needs a CUDA device)."
    assert "× scan" not in cells(speed.peers_table(page.suite("rational")))[0]


def test_a_paragraph_on_what_older_results_lack_needs_rows(folder):
    page = speed.open_page(str(folder))
    assert speed.where_measured(page.suite("output"), "said") is None
    assert speed.where_measured(page.suite("rational"), "said").data == "said"


def test_an_unknown_folder_is_named():
    with pytest.raises(InputError, match=r"'cpu-1tread' \(did you mean 'cpu-1thread'"):
        speed.open_page("cpu-1tread")
