"""`make gpu`: what was found so far is there at any moment, and the same command goes on."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest

from sparsecore import cli
from sparsecore.report.pages import speed
from sparsecore.runs.reference import read_summary
from tools import gpu
from tools.gpu import Step, read_rows, run_steps, steps

PYTHON = sys.executable
TESTS = {f"tests/{folder}" for folder in gpu.TESTS}


def write(path, text="done"):
    return [PYTHON, "-c", f"open({str(path)!r}, 'a').write({text!r})"]


def test_each_step_leaves_a_row_and_a_failure_stops_no_other(tmp_path):
    chosen = [
        Step("bad", [PYTHON, "-c", "raise SystemExit('no such kernel')"]),
        Step("slow", [PYTHON, "-c", "import time; time.sleep(60)"], 1.0),
        Step("good", write(tmp_path / "good.txt")),
    ]
    run_steps(chosen, tmp_path, minutes=5)
    found = [(row["step"], row["outcome"]) for row in read_rows(tmp_path)]
    assert found == [("bad", "failed (exit code 1)"), ("slow", "cut off"), ("good", "finished")]
    assert "no such kernel" in (tmp_path / "logs" / "bad.txt").read_text()
    run_steps(chosen, tmp_path, minutes=5)
    assert (tmp_path / "good.txt").read_text() == "done"  # once
    assert len(read_rows(tmp_path)) == 5  # the two others were tried again


def running(log):
    """The processes whose ids are in a log and which have not ended."""
    ids = [int(line) for line in log.read_text().split()] if log.is_file() else []
    alive = [psutil.Process(one) for one in ids if psutil.pid_exists(one)]
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_killed_within_a_step_it_keeps_the_steps_before(tmp_path):
    sleeper = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    code = f"""
from pathlib import Path
from tools.gpu import Step, run_steps
steps = [Step("first", {write(tmp_path / "first.txt")!r}),
         Step("second", [{PYTHON!r}, "-c", {sleeper!r}])]
run_steps(steps, Path({str(tmp_path)!r}), 5)
"""
    process = subprocess.Popen([PYTHON, "-c", code], env={**os.environ, "PYTHONPATH": "."})
    log = tmp_path / "logs" / "second.txt"
    while not running(log) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 30
    while running(log):  # a step ends with the command
        assert time.monotonic() < until, "the step outlives the command"
        time.sleep(0.05)
    assert [row["step"] for row in read_rows(tmp_path)] == ["first"]
    run_steps([Step("first", write(tmp_path / "first.txt"))], tmp_path, minutes=5)
    assert (tmp_path / "first.txt").read_text() == "done"


def test_on_a_gpu_every_suite_is_measured_and_training_gets_the_rest(tmp_path):
    chosen = {step.name: step for step in steps(tmp_path, rehearse=False, training=["--seed", "3"])}
    assert {f"bench/{suite}" for suite in gpu.SUITES} < set(chosen)
    assert list(chosen)[-3:] == ["emergent", "tables", "bench/compiled"]
    assert chosen["emergent"].seconds is None and chosen["bench/compiled"].seconds is None
    assert chosen["emergent"].command[-2:] == ["--seed", "3"]
    assert all("cuda" in chosen[name].command for name in set(chosen) - {*TESTS, "tables"})
    assert sum(step.seconds or 0 for step in chosen.values()) < 9 * 60
    assert chosen["replay-off/lm"].environment == {"SPARSECORE_CUDA_GRAPHS": "0"}
    assert chosen["chunks-256/lm"].environment == {"SPARSECORE_CHUNK_ROWS": "256"}


def test_every_folder_with_tests_for_a_gpu_is_a_step_of_its_own():
    root = gpu.ROOT / "tests"
    marked = {
        path.relative_to(root).parts[0]
        for path in root.glob("*/*.py")
        if "mark.gpu" in path.read_text(encoding="utf-8") and path.parent.name != "tools"
    }
    assert marked == set(gpu.TESTS)


def test_the_rehearsal_s_steps_leave_folders_for_the_book_and_the_benchmarks(
    tmp_path, text_file, monkeypatch
):
    """Its commands as they are, in this process; what starts pytest is left out."""
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(gpu, "run_step", in_this_process)
    training = ["--corpus", str(text_file), "--batch-size", "2"]
    chosen = [step for step in steps(tmp_path, True, training) if step.name not in TESTS]
    run_steps(chosen, tmp_path, minutes=20)
    found = [(row["step"], row["outcome"]) for row in read_rows(tmp_path)]
    names = ["bench/lstm", "replay-off/lstm", "chunks-256/lstm", "emergent", "tables"]
    assert found == [(name, "finished") for name in names]
    assert set(speed.open_page(str(tmp_path / "bench" / "all")).table["suite"]) == {"lstm"}
    assert len(pd.read_parquet(tmp_path / "emergent" / "epochs.parquet")) == 2
    tables = read_summary(tmp_path / "tables" / "emergent")
    assert set(tables["verdicts"]["finding"]) and tables["correlations"]["rho"].notna().any()


def in_this_process(step, out, seconds):
    main = {"sparsecore": cli.main, "tools.gpu": gpu.main}[step.command[2]]
    return "finished" if main(step.command[3:]) == 0 else "failed"


@pytest.mark.slow
def test_rehearsed_from_beginning_to_end_it_leaves_every_table(tmp_path):
    assert gpu.main(["--rehearse", "--out", str(tmp_path), "--minutes", "20"]) == 0
    assert {row["outcome"] for row in read_rows(tmp_path)} == {"finished"}
    assert len(pd.read_csv(tmp_path / "tests.csv")) > 0
    assert len(pd.read_parquet(tmp_path / "bench" / "all" / "results.parquet")) > 0
    assert read_summary(tmp_path / "tables" / "emergent") is not None
    assert len(pd.read_parquet(tmp_path / "emergent" / "epochs.parquet")) == 2
