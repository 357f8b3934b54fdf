"""Tasks on the workers of a cluster: lost workers, failures, where they listen, who may compute."""

import importlib.machinery
import importlib.util
import os
import re
import signal
import sys
import time
import types
from pathlib import Path

import psutil
import pytest

from sparsecore.errors import InputError, TrainingError
from sparsecore.home import home
from sparsecore.runs import cluster
from sparsecore.runs.cluster import Workers
from sparsecore.runs.tasks import TOKENS, VERSION, check_worker, outcomes


def task(item):
    """On a worker: what the item says."""
    if item["do"] == "fail":
        raise TrainingError("the loss is nan")
    if item["do"] == "break":
        return 1 // 0  # pyrefly: ignore[division-by-zero]
    if item["do"] == "die":
        mark = Path(item["mark"])
        mark.write_text(mark.read_text() + "x" if mark.exists() else "x")
        if len(mark.read_text()) <= item["times"]:
            time.sleep(0.3)  # so that it is known who computes the task
            os.kill(os.getpid(), signal.SIGKILL)
    names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "MALLOC_TRIM_THRESHOLD_")
    return {"listens": listens(os.getpid()), **{name: os.environ.get(name) for name in names}}


def listens(pid):
    """The addresses on which a process accepts connections."""
    found = psutil.Process(pid).net_connections(kind="inet")
    return {c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN}


def test_lost_workers_and_failures_cost_nobody_else(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "visible_gpus", lambda: ["3", "7"])
    monkeypatch.delenv("OMP_NUM_THREADS")
    before = dict(os.environ)
    items = {
        "dies once": {"do": "die", "times": 1, "mark": str(tmp_path / "once")},
        "dies always": {"do": "die", "times": 9, "mark": str(tmp_path / "always")},
        "fails": {"do": "fail"},
        "breaks": {"do": "break"},
        **{f"fine {number}": {"do": "say"} for number in range(3)},
    }
    found, here = {}, set()
    for label, outcome in outcomes(task, items, Workers("local", 2, retries=1), True, False):
        found[label] = outcome
        here |= listens(os.getpid())
    assert set(found) == set(items)
    assert isinstance(found["fails"], TrainingError) and str(found["fails"]) == "the loss is nan"
    assert isinstance(found["dies always"], TrainingError)
    assert "worker was lost each time" in str(found["dies always"])
    assert isinstance(found["breaks"], ZeroDivisionError)
    # a value that was not fetched yet when its worker went is computed again
    assert (tmp_path / "once").read_text() in ("xx", "xxx")
    assert (tmp_path / "always").read_text() == "xx"  # one retry

    fine = [found[label] for label in items if label.startswith("fine")] + [found["dies once"]]
    assert here == {"127.0.0.1"}
    assert all(one["listens"] == {"127.0.0.1"} for one in fine)
    assert {one["CUDA_VISIBLE_DEVICES"] for one in fine} <= {"3", "7"}
    assert {one["OMP_NUM_THREADS"] for one in fine} == {"1"}
    assert {one["MALLOC_TRIM_THRESHOLD_"] for one in fine} == {None}

    lines = capsys.readouterr().err.splitlines()
    lost = [re.fullmatch(r"worker tcp://127.0.0.1:\d+ was lost while it computed (.+)", line)
            for line in lines]  # fmt: skip
    assert all(lost), lines
    named = [match[1] for match in lost if match]
    assert named.count("dies always") == 2 and "dies once" in named
    assert dict(os.environ) == before
    assert list((home() / TOKENS).iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler": "lokal"}, r"unknown scheduler 'lokal' \(did you mean 'local'\?\)"),
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
        ({"retries": -1}, "retries must be at least 0, got -1"),
        ({"scheduler": "tcp://h:1", "jobs": 2}, "leave out jobs and retries"),
        ({"scheduler": "slurm", "jobs": 2}, r"pip install 'sparse-by-nature\[slurm\]'"),
    ],
)
def test_impossible_workers_are_one_line(options, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=message):
        Workers(**options)


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.2)
    with pytest.raises(InputError, match="no Dask scheduler answers at tcp:"):
        list(outcomes(task, {"a": {"do": "say"}}, Workers("tcp://127.0.0.1:1"), False, False))


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ({"version": "0.0.1"}, "has sparsecore 0.0.1, this is"),
        ({"token": False}, "does not see the folder .*: set SPARSECORE_HOME .*there it is /there"),
        ({"threads": 4}, "computes 4 tasks at a time.*--nthreads 1"),
    ],
)
def test_a_worker_that_cannot_compute_for_us_is_refused(seen, message):
    right = {"version": VERSION, "token": True, "home": "/there", "threads": 1}
    check_worker("tcp://h:1", right)
    with pytest.raises(InputError, match=f"worker tcp://h:1 {message}"):
        check_worker("tcp://h:1", {**right, **seen})


def pretend_slurm(monkeypatch, asked, threads):
    """A module dask_jobqueue whose jobs are threads of this process."""
    from distributed import LocalCluster

    class Pretended(LocalCluster):
        def __init__(self, cores, processes, silence_logs, scheduler_options):
            asked.update(cores=cores, processes=processes, scheduler=scheduler_options)
            super().__init__(
                n_workers=0, threads_per_worker=threads, processes=False, dashboard_address=None
            )

        def adapt(self, minimum_jobs, maximum_jobs):
            asked["jobs"] = (minimum_jobs, maximum_jobs)
            self.scale(minimum_jobs)

    module: types.ModuleType = types.ModuleType("dask_jobqueue")
    module.__spec__ = importlib.machinery.ModuleSpec("dask_jobqueue", None)
    module.SLURMCluster = Pretended
    monkeypatch.setitem(sys.modules, "dask_jobqueue", module)


def test_slurm_jobs_compute_one_task_at_a_time(monkeypatch):
    asked = {}
    pretend_slurm(monkeypatch, asked, threads=1)
    with pytest.raises(InputError, match="needs the number of jobs"):
        Workers("slurm")
    items = {"a": {"do": "say"}, "b": {"do": "fail"}}
    found = dict(outcomes(task, items, Workers("slurm", 2), False, False))
    assert isinstance(found["a"], dict) and isinstance(found["b"], TrainingError)
    assert (asked["cores"], asked["processes"], asked["jobs"]) == (1, 1, (2, 2))
    assert asked["scheduler"] == {"dashboard": False, "dashboard_address": "127.0.0.1:0"}


def test_a_worker_that_comes_later_is_asked_with_its_first_task(monkeypatch):
    pretend_slurm(monkeypatch, {}, threads=2)
    with pytest.raises(InputError, match="computes 2 tasks at a time"):
        list(outcomes(task, {"a": {"do": "say"}}, Workers("slurm", 1), False, False))
