"""A run that is interrupted within an epoch and goes on, as it would in a process of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch

from sparsecore.experiments.registry import part_of
from sparsecore.runs.execute import execute
from sparsecore.runs.store import Run, list_runs


def slow(values: Iterable[Any]) -> list[Any]:
    """The values as parameters of tests that only `make test-slow` runs."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def interrupt(config: Any, monkeypatch: pytest.MonkeyPatch, steps: int) -> tuple[Run, int]:
    """Stop a run after so many steps, and let it go on; the run, and how many steps were begun."""
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "0")
    task = part_of(config.name, "task").Task
    original, begun = task.step, []

    def interrupted(self: Any, batch: Any) -> Any:
        begun.append(None)
        if len(begun) == steps + 1:
            raise KeyboardInterrupt
        return original(self, batch)

    monkeypatch.setattr(task, "step", interrupted)
    before = {run.path for run in list_runs()}
    with pytest.raises(KeyboardInterrupt):
        execute(config, progress=False)
    assert not any(run.done for run in list_runs() if run.path not in before)
    torch.manual_seed(99)  # a fresh process would not have this one's random state
    return execute(config, progress=False), len(begun)
