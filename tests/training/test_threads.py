"""The choice of the number of threads: what decides it, and that it is kept; never how fast."""

import dataclasses
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from sparsecore.experiments import registry
from sparsecore.runs.execute import execute
from sparsecore.training import loop, threads


@dataclasses.dataclass(frozen=True)
class Tiny:
    """An experiment that computes nothing."""

    name: ClassVar[str] = "tiny"
    device: str = "cpu"


@pytest.fixture
def tiny(monkeypatch):
    inputs = SimpleNamespace(name="none", sha256="0", info={})
    monkeypatch.setattr(registry, "prepare", lambda config, progress: inputs)
    monkeypatch.setattr(registry, "identity", lambda config, inputs: dataclasses.asdict(config))
    monkeypatch.setattr(registry, "new_task", lambda config, inputs, folder: None)
    monkeypatch.setattr(loop, "train", lambda task, folder, progress: None)
    return Tiny()


@pytest.fixture
def two_threads(monkeypatch):
    """PyTorch may use two threads and the user has said nothing."""
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("one", "every", "chosen"), [(1.0, 0.5, 2), (1.0, 0.95, 1), (1.0, 40.0, 1)]
)
def test_all_threads_only_where_they_gain(one, every, chosen, two_threads, monkeypatch):
    monkeypatch.setattr(threads, "probe", lambda available: (one, every))
    choice = threads.choose_threads()
    assert choice.threads == torch.get_num_threads() == chosen
    assert choice.reason.startswith(f"{chosen} of 2 (a probe took 1000.0 ms with 1, ")


def test_the_probe_measures_both():
    used = []
    one, both = threads.probe(2, lambda: used.append(torch.get_num_threads()))
    torch.set_num_threads(1)
    assert one > 0 and both > 0
    assert used == [1, 2] * (len(used) // 2) and len(used) > 2


def test_one_slow_call_ends_the_probe(monkeypatch):
    """All threads at once on busy cores: the first call says it."""
    monkeypatch.setattr(threads, "BUDGET", -1.0)
    used = []
    threads.probe(2, lambda: used.append(torch.get_num_threads()))
    torch.set_num_threads(1)
    assert used == [1, 2]


def test_the_user_decides(two_threads, monkeypatch):
    monkeypatch.setattr(threads, "probe", lambda available: pytest.fail("probed"))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads.choose_threads() is None
    monkeypatch.delenv("OMP_NUM_THREADS")
    torch.set_num_threads(1)
    assert threads.choose_threads() is None and torch.get_num_threads() == 1


def test_a_run_says_its_number_records_it_and_keeps_it(tiny, two_threads, monkeypatch, capsys):
    monkeypatch.setattr(threads, "probe", lambda available: (1.0, 1.0))
    run = execute(tiny, choose_threads=True)
    assert capsys.readouterr().err.startswith("threads: 1 of 2 (a probe took ")
    assert run.environment["threads"] == 1

    torch.set_num_threads(2)
    monkeypatch.setattr(threads, "probe", lambda available: pytest.fail("probed"))
    execute(tiny, choose_threads=True)  # finished: nothing to choose
    assert capsys.readouterr().err == "" and torch.get_num_threads() == 2

    (run.path / "DONE").unlink()  # as if it had been killed
    execute(tiny, choose_threads=True)
    assert capsys.readouterr().err == "threads: 1 of 2, as this run was begun\n"
    assert run.environment["threads"] == torch.get_num_threads() == 1


def test_nothing_is_chosen_unasked(tiny, two_threads, monkeypatch):
    monkeypatch.setattr(threads, "probe", lambda available: pytest.fail("probed"))
    execute(tiny)
    assert torch.get_num_threads() == 2
