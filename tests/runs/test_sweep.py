"""Sweeps: the runs of a study or a grid, each computed once, failures told in the end."""

import dataclasses
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from sparsecore.cli import main
from sparsecore.errors import InputError
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.experiments.language.config import Language
from sparsecore.runs.cluster import Workers
from sparsecore.runs.options import parse_sweep
from sparsecore.runs.store import open_run
from sparsecore.runs.sweep import grid, run_all, runs_table, study_of, sweep
from tests.conftest import small_text

TINY = (
    "--threshold 2 --class-threshold 2 --hidden-size 8 --embedding-size 8 --batch-size 4 "
    "--epochs 1 --device cpu --max-tokens none --no-progress"
).split()


def test_a_grid_has_every_combination():
    configs = grid(Emergent(), {"hidden_size": [8, 16], "seed": [0, 1, 2]})
    assert [(c.hidden_size, c.seed) for c in configs] == [
        (8, 0), (8, 1), (8, 2), (16, 0), (16, 1), (16, 2)
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"unknown field 'sed' \(did you mean 'seed'\?\)"):
        grid(Emergent(), {"sed": [1]})


def test_options_become_configurations():
    chosen = parse_sweep(
        "emergent --preset small --epochs 3 --grid hidden-size=8,16 dropout=0,0.5 --seeds 2".split()
    )
    assert len(chosen.configs) == 8
    assert {c.epochs for c in chosen.configs} == {3}
    assert {c.dropout for c in chosen.configs} == {0.0, 0.5}
    assert {c.corpus for c in chosen.configs} == {"wikitext-2"}
    study = parse_sweep("emergent --preset small --epochs 3".split())
    assert [(c.seed, c.epochs) for c in study.configs] == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("emergnt", "unknown experiment 'emergnt'"),
        ("emergent --stage tune", "emergent has no tune"),
        ("emergent --grid hidden_size", "--grid wants FIELD=A,B,C, got 'hidden_size'"),
        ("emergent --grid hiden=1", "unknown option --hiden"),
        ("emergent --grid hidden_size=x", "Error parsing --hidden-size"),
        ("emergent --seeds 0", "--seeds must be at least 1"),
        ("emergent --seeds many", "invalid int value"),
        ("emergent --preset tiny", "unknown preset 'tiny'"),
        ("emergent --jobs 0", "jobs must be at least 1, got 0"),
        ("emergent --scheduler slrm", "unknown scheduler 'slrm' (did you mean 'slurm'?)"),
        ("emergent --grid seed=1,2,1", "the grid names seed=1 twice"),
        ("emergent --grid dropout=0.5,.50", "the grid names dropout=0.5 twice"),
        ("emergent --grid seed=1 seed=2", "--grid gives seed twice"),
        ("emergent --grid seed=1,2 --seeds 2", "--grid gives seed twice"),
        ("emergent --retries 2", "--retries needs workers that can be lost"),
    ],
)
def test_mistakes_are_one_line(options, message):
    with pytest.raises(InputError) as caught:
        parse_sweep(options.split())
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_studies_are_named():
    with pytest.raises(InputError, match=r"no studdy \(did you mean 'study'\?\)"):
        study_of("emergent", "quick", "studdy")


def test_a_sweep_prints_and_writes_its_tables(tmp_path, capsys):
    text = tmp_path / "mine.txt"
    text.write_text(small_text())
    command = ["sweep", "emergent", "--corpus", str(text), *TINY, "--seeds", "2"]
    written = ["--out", str(tmp_path / "out"), "--table", str(tmp_path / "runs.csv")]
    assert main([*command, *written]) == 0
    first = capsys.readouterr().out.splitlines()
    assert first[-1] == f"tables: {tmp_path / 'out'}"
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert provenance["seeds"] == [0, 1] and provenance["experiment"] == "emergent"
    table = pd.read_csv(tmp_path / "runs.csv")
    assert table["run"].tolist() == provenance["runs"] and table["seed"].tolist() == [0, 1]
    assert table["epoch"].tolist() == [1, 1]  # the last one
    for run, perplexity in zip(table["run"], table["valid_perplexity"], strict=True):
        assert open_run(run).epochs["valid_perplexity"].iloc[-1] == perplexity
    assert main(command) == 0  # found, not repeated
    assert capsys.readouterr().out.splitlines() == first[:-2]


def kill_a_worker(killed):
    """Kill the process that computes the longest of the runs once it has an epoch behind it."""
    while not killed:
        time.sleep(0.2)
        for process in psutil.Process().children(recursive=True):
            try:
                opened = [Path(file.path) for file in process.open_files()]
            except psutil.Error:
                continue
            for path in opened:
                begun = path.name == ".lock" and (path.parent / "epochs.parquet").exists()
                if begun and json.loads((path.parent / "config.json").read_text())["epochs"] > 1:
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(path.parent.name)


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system who holds a file")
@pytest.mark.slow
def test_a_sweep_whose_worker_is_killed_equals_the_runs_made_in_turn(tmp_path, monkeypatch, capsys):
    text = tmp_path / "short.txt"
    text.write_text(small_text(120))
    good = Language.preset(
        "quick", corpus=str(text), threshold=2, hidden_size=4, embedding_size=4,
        batch_size=4, epochs=1, finetune_epochs=1, device="cpu",
    )  # fmt: skip
    configs = grid(good, {"hidden_size": [4, 6], "dropout": [0.0, 0.2], "seed": [0, 1, 2]})
    long = dataclasses.replace(good, seed=9, epochs=30)
    bad = dataclasses.replace(good, corpus="nowhere.txt")
    every = [long, bad, *configs]
    homes = {"workers": tmp_path / "workers", "in turn": tmp_path / "in turn"}

    monkeypatch.setenv("SPARSECORE_HOME", str(homes["workers"]))
    killed: list[str] = []
    killer = threading.Thread(target=kill_a_worker, args=(killed,))
    killer.start()
    try:
        runs, failures = sweep(every, Workers("local", 2), progress=False)
    finally:
        killed.append("")
        killer.join()
    assert killed[0] == runs[0].path.name
    assert re.search(r"worker \S+ was lost while it computed .*epochs=30", capsys.readouterr().err)
    assert len(runs) == 13 and all(run.done for run in runs)
    (failure,) = failures.values()
    assert isinstance(failure, InputError) and "nowhere.txt" in str(failure)

    def stamps():
        return {path: path.stat().st_mtime_ns for path in homes["workers"].rglob("*.parquet")}

    before = stamps()
    assert run_all([long, *configs], progress=False) == runs  # found, not repeated
    assert stamps() == before

    monkeypatch.setenv("SPARSECORE_HOME", str(homes["in turn"]))
    twins = run_all([long, *configs], progress=False)
    assert runs_table(runs).to_csv() == runs_table(twins).to_csv()
    for run, twin in zip(runs, twins, strict=True):
        tables = {path.name for path in run.path.glob("*.parquet")} - {"timing.parquet"}
        assert "results.parquet" in tables
        for name in tables:
            assert (run.path / name).read_bytes() == (twin.path / name).read_bytes(), name


def test_a_failing_run_does_not_stop_the_others(tmp_path):
    text = tmp_path / "mine.txt"
    text.write_text(small_text())
    good = Emergent.preset(
        "quick", corpus=str(text), threshold=2, class_threshold=2, hidden_size=4,
        embedding_size=4, batch_size=4, epochs=1, device="cpu",
    )  # fmt: skip
    configs = grid(good, {"corpus": ["nowhere/1.txt", "nowhere/2.txt", str(text)]})
    with pytest.raises(InputError, match=r"nowhere/1\.txt.*and 1 more of 3 runs failed"):
        run_all(configs, progress=False)
    (finished,) = run_all(configs[2:], progress=False)
    assert finished.done
