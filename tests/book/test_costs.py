"""Speeds as they were measured, and what they say of larger texts."""

import json
from pathlib import Path

import pandas as pd
import pytest
from costs import extrapolated_hours, measured_speeds, passes

ROOT = Path(__file__).resolve().parents[2]


def write(root, minutes, quick):
    runs = root / "book" / "results" / "emergent" / "mine"
    runs.mkdir(parents=True)
    told = {
        "corpus": {"name": "mine", "types": 1200, "tokens": {"train": 6000}},
        "settings": {"epochs": 4},
        "minutes": minutes,
        "devices": ["some CPU"],
        "environment": {"threads": 1},
    }
    (runs / "provenance.json").write_text(json.dumps(told))
    bench = root / "benchmarks" / "results" / "gpu"
    bench.mkdir(parents=True)
    rows = [("lm", "sparsecore", 9e5), ("lm", "plain", 1e6), ("lstm", "sparsecore", 5.0)]
    table = pd.DataFrame(rows, columns=["suite", "contestant", "per_second"])
    table.assign(case="V 5", threads=2, rounds=7).to_parquet(bench / "results.parquet")
    (bench / "environment.json").write_text(json.dumps({"device_name": "GPU", "quick": quick}))


def test_a_speed_is_all_passes_over_the_median_time(tmp_path):
    write(tmp_path, [10.0, None, 2.0, 5.0], quick=False)
    run, benchmark = measured_speeds(tmp_path).to_dict("records")
    assert run == {
        "source": "run", "name": "mine, 1,200 words", "device_name": "some CPU", "threads": 1,
        "runs": 3, "tokens_per_second": 6000 * 5 / 300,
    }  # fmt: skip
    assert benchmark["tokens_per_second"] == 9e5 and benchmark["device_name"] == "GPU"


def test_quick_benchmarks_and_runs_without_times_tell_nothing(tmp_path):
    write(tmp_path, [None], quick=True)
    assert measured_speeds(tmp_path).empty


def test_the_committed_measurements_foretell_their_own_runs():
    speeds = measured_speeds(ROOT).set_index("name")["tokens_per_second"]
    path = ROOT / "book" / "results" / "emergent" / "enwiki" / "provenance.json"
    told = json.loads(path.read_text())
    (name,) = [name for name in speeds.index if name.startswith("enwiki,")]
    hours = extrapolated_hours(
        told["corpus"]["tokens"]["train"], passes(told["settings"]), speeds[name]
    )
    assert hours == pytest.approx(told["minutes"][0] / 60)
    assert any(name.startswith("V ") for name in speeds.index)
