"""Many runs of one experiment: the study behind its figures, or a grid of values of your own.

Runs that are finished are found, not repeated, so a sweep that was stopped goes on where it was.
"""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

from sparsecore.errors import InputError, TrainingError, near_match
from sparsecore.runs.execute import execute
from sparsecore.runs.options import CLASSES, experiment_class
from sparsecore.runs.store import Run


def study_of(experiment: str, preset: str, stage: str = "study", **overrides: Any) -> list[Any]:
    """The configurations behind an experiment's figures and tables.

    ``stage`` is ``"study"`` or ``"tune"``: the runs that choose hyper-parameters on the development
    set, for the experiments that have such. ``overrides``: fields of the configurations; None
    leaves the preset's. Raises InputError for an unknown experiment, preset, field or stage.
    """
    experiment_class(experiment)
    module = importlib.import_module(CLASSES[experiment].partition(":")[0])
    stages = [name for name in ("study", "tune") if hasattr(module, name)]
    if stage not in stages:
        known = ", ".join(stages) or "none"
        raise InputError(
            f"{experiment} has no {stage}{near_match(stage, stages)}; its studies: {known}"
        )
    given = {name: value for name, value in overrides.items() if value is not None}
    return list(getattr(module, stage)(preset, **given))


def grid(config: Any, values: Mapping[str, Sequence[Any]]) -> list[Any]:
    """``config`` with each combination of the values of these fields, the last field fastest."""
    import dataclasses

    known = [field.name for field in dataclasses.fields(config)]
    for name in values:
        if name not in known:
            raise InputError(f"unknown field {name!r}{near_match(name, known)}")
    combinations = itertools.product(*values.values())
    return [dataclasses.replace(config, **dict(zip(values, c, strict=True))) for c in combinations]


def run_all(configs: Sequence[Any], jobs: int = 1, progress: bool = True) -> list[Run]:
    """Run (or find) every configuration, ``jobs`` at a time; the runs in the order given.

    With several jobs each is a process of its own with one thread. A run that fails does not stop
    the others; the first failure is raised in the end, and names how many there were.
    """
    from tqdm.auto import tqdm

    if jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}")
    runs: dict[int, Run] = {}
    failures: list[Exception] = []
    with tqdm(total=len(configs), desc="runs", unit="run", disable=not progress) as bar:
        for index, outcome in (_in_turn if jobs == 1 else _side_by_side)(configs, jobs):
            try:
                runs[index] = outcome()
            except (InputError, TrainingError) as error:
                failures.append(error)
            bar.update()
    if failures:
        others = len(failures) - 1
        also = f" (and {others} more of {len(configs)} runs failed)" if others else ""
        raise type(failures[0])(f"{failures[0]}{also}")
    return [runs[index] for index in range(len(configs))]


Outcome = tuple[int, Callable[[], Run]]


def _in_turn(configs: Sequence[Any], _jobs: int) -> Iterator[Outcome]:
    for index, config in enumerate(configs):
        yield index, lambda config=config: execute(config, progress=False)


def _side_by_side(configs: Sequence[Any], jobs: int) -> Iterator[Outcome]:
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread) as pool:
        waiting: dict[Future[Run], int] = {
            pool.submit(execute, config, False): index for index, config in enumerate(configs)
        }
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result
        finally:
            pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
