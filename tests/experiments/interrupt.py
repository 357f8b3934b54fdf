"""Runs that are interrupted within an epoch and go on, and the undisturbed ones beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from sparsecore.experiments.registry import part_of
from sparsecore.runs.execute import execute
from sparsecore.runs.store import list_runs
from sparsecore.training.run_folder import Run
from tests.conftest import small_text


def slow(values: Iterable[Any]) -> list[Any]:
    """The values as parameters of tests that only `make test-slow` runs."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def undisturbed(config_of: Callable[[Path], Any], folder: Path) -> Run:
    """A finished run of a small text, with a home of its own in ``folder``."""
    (folder / "small.txt").write_text(small_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(folder))
        return execute(config_of(folder / "small.txt"), progress=False)


def contents(run: Run) -> dict[str, bytes]:
    """Every file whose content must not depend on interruptions."""
    names = ("results.parquet", "epochs.parquet", "weights.safetensors")
    return {name: (run.path / name).read_bytes() for name in names}


def stop(config: Any, monkeypatch: pytest.MonkeyPatch, steps: int) -> list[None]:
    """Stop a run after so many steps; an entry for each step that was begun, then and later."""
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "0")
    task = part_of(config.name, "task").Task
    original, begun = task.step, []

    def interrupted(self: Any, batch: Any) -> Any:
        begun.append(None)
        if len(begun) == steps + 1:
            raise KeyboardInterrupt
        return original(self, batch)

    monkeypatch.setattr(task, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(config, progress=False)
    torch.manual_seed(99)  # a fresh process would not have this one's random state
    return begun


def interrupt(config: Any, monkeypatch: pytest.MonkeyPatch, steps: int) -> tuple[Run, int]:
    """Stop a run after so many steps, and let it go on; the run, and how many steps were begun."""
    before = {run.path for run in list_runs()}
    begun = stop(config, monkeypatch, steps)
    assert not any(run.done for run in list_runs() if run.path not in before)
    return execute(config, progress=False), len(begun)
