"""Several processes: one table over all rounds, whose intervals hold what each of them found."""

import json
import math
import os

import pandas as pd
import pytest

from sparsecore.bench.harness import ROUNDS, summary
from sparsecore.bench.repeated import in_processes, pooled
from sparsecore.cli import main
from sparsecore.errors import TrainingError
from sparsecore.runs import bench_history


def row(ratios, contestant="plain", gate="equal", ms=10.0, **more):
    rounds = ([ms] * len(ratios), list(ratios))
    return {
        "suite": "lm", "case": "V 9", "contestant": contestant, "gate": gate, "gate_error": 0.0,
        "peak_mib": 3.0, "share_of_ceiling": 0.5, "per_second": 100.0, ROUNDS: rounds,
        **summary([rounds]), **more,
    }  # fmt: skip


def test_one_process_has_the_quartiles_of_its_rounds():
    found = summary([([1.0, 2.0, 3.0], [1.0, 1.1, 1.4])])
    quartiles = [found[name] for name in ("ratio_low", "ratio_to_reference", "ratio_high")]
    assert quartiles == pytest.approx([1.05, 1.1, 1.25])
    assert (found["rounds"], found["processes"]) == (3, 1) and math.isnan(found["ratio_noise"])


def test_the_interval_holds_every_process_and_their_noise_is_stated():
    runs = [[row([2.0] * 5)], [row([2.02] * 5, ms=20.0)], [row([2.4])]]
    (one,) = pooled(runs)
    assert one["ratio_to_reference"] == 2.02 and one["rounds"] == 11 and one["processes"] == 3
    assert (one["ratio_low"], one["ratio_high"]) == (2.0, 2.4)  # the quartiles end at 2.02
    assert one["ratio_noise"] == pytest.approx(0.2 / 2.02)
    assert one["median_ms"] == 10.0 and one["per_second"] == 100.0 and one["peak_mib"] == 3.0


def test_who_is_refused_once_has_no_times():
    wrong = row([], gate="refused", gate_error=0.1)
    runs = [[row([1.0]), row([3.0], "other")], [wrong, row([], "other", "absent")]]
    plain, other = pooled(runs)
    assert plain["gate"] == "refused" and math.isnan(plain["ratio_to_reference"])
    assert other["gate"] == "absent" and other["rounds"] == 0


def test_a_process_that_ends_is_one_line():
    with pytest.raises(TrainingError, match=r"process 1 of 2 has ended"):
        in_processes(leave, 2)


def leave(threads):
    os._exit(threads)


@pytest.mark.slow
def test_the_command_in_two_processes(tmp_path, capsys):
    options = ["--suite", "embedding", "--seconds", "0", "--processes", "2", "--no-progress"]
    assert main(["bench", *options, "--quick", "--out", str(tmp_path / "run")]) == 0
    table = pd.read_parquet(tmp_path / "run" / "results.parquet")
    assert (table["processes"] == 2).all() and (table["rounds"] == 6).all()
    assert table["ratio_noise"].notna().all()
    assert (table["ratio_low"] <= table["ratio_to_reference"]).all()
    assert "± processes" in capsys.readouterr().out
    machine = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert machine["processes"] == 2
    bench_history.append(tmp_path / bench_history.NAME, table, machine)
    kept = bench_history.read(tmp_path / bench_history.NAME)
    assert set(kept["rounds"]) == {6} and len(kept) == (table["contestant"] != "sparsecore").sum()
