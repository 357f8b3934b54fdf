"""`sparsecore bench --quick`: every suite runs, every result is right, the table is complete."""

import json

import pandas as pd
import pytest

from sparsecore.bench import SUITES
from sparsecore.bench.case import REFERENCE
from sparsecore.bench.harness import COLUMNS
from sparsecore.bench.suites.growth import AXES
from sparsecore.cli import main

TWO = {"processes": "one process", "sweep": "in turn"}
LONG = {*TWO, "compiled"}  # its compiler takes long, too: test_compiled.py


def test_every_suite(tmp_path, capsys):
    names = [name for name in SUITES if name not in LONG]  # helpers take long to start
    options = ["--quick", "--out", str(tmp_path), "--no-progress"]
    assert main(["bench", "--suite", *names, *options]) == 0
    table = pd.read_parquet(tmp_path / "results.parquet")
    assert list(table.columns) == list(COLUMNS)
    assert list(table["suite"].unique()) == names
    assert set(table["gate"]) == {"equal", "other"}
    own = table[table["contestant"] == REFERENCE]
    assert not own["case"].duplicated().any() and set(own["case"]) == set(table["case"])
    texts = own["axis"] == "tokens of a text that is prepared"  # suite data holds it to its twin
    assert own.loc[~texts, "gate"].eq("equal").all() and own["ratio_to_reference"].eq(1).all()
    assert (table["low_ms"] <= table["median_ms"]).all()
    assert (table["median_ms"] <= table["high_ms"]).all()
    tensors = table[~table["suite"].isin(["data", "growth"])]
    assert tensors["peak_mib"].gt(0).all() and tensors["share_of_ceiling"].gt(0).all()
    curves = table[table["suite"] == "growth"]
    assert set(curves["axis"]) == set(AXES) and curves.groupby("axis")["size"].nunique().eq(2).all()

    machine = json.loads((tmp_path / "environment.json").read_text())
    assert machine["quick"] and machine["threads"] == 1
    assert machine["ceilings"]["gemm_flops"] > 0 and machine["ceilings"]["copy_bytes"] > 0

    printed = capsys.readouterr().out
    compared = own[own["axis"] == ""]
    assert all(f"\n{row.suite}: {row.case}\n" in printed for row in compared.itertuples())
    assert all(f"\n{axis}: ms with its power " in printed for axis in AXES)
    assert printed.endswith(f"results: {tmp_path}\n")


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "other"), TWO.items())
def test_two_processes(suite, other, tmp_path):
    options = ["--quick", "--out", str(tmp_path), "--no-progress"]
    assert main(["bench", "--suite", suite, *options]) == 0
    table = pd.read_parquet(tmp_path / "results.parquet").set_index("contestant")
    assert list(table.index) == [REFERENCE, other]
    assert (table["gate"] == "equal").all() and (table["clock"] == "wall").all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "ltsm"], "unknown suite 'ltsm' (did you mean 'lstm'?)"),
        (["--device", "cpuu"], "unknown device 'cpuu' (did you mean 'cpu'?)"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
        (["--processes", "0"], "--processes must be at least 1, got 0"),
        (["--quik"], "unrecognized arguments: --quik"),
    ],
)
def test_bad_options_are_one_line(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err
