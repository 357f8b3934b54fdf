"""Many runs of one experiment: the study behind its figures, or a grid of values of your own.

Runs that are finished are found, not repeated, so a sweep that was stopped goes on where it was.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparsecore.errors import InputError, TrainingError, check_choice, near_match
from sparsecore.experiments.registry import experiment_class, part_of
from sparsecore.runs import tasks
from sparsecore.runs.cluster import Workers
from sparsecore.runs.execute import execute
from sparsecore.runs.store import run_named
from sparsecore.training.run_folder import Run

if TYPE_CHECKING:
    import pandas as pd


def study_of(experiment: str, preset: str, stage: str = "study", **overrides: Any) -> list[Any]:
    """The configurations behind an experiment's figures and tables.

    ``stage`` is ``"study"`` or ``"tune"``: the runs that choose hyper-parameters on the development
    set, for the experiments that have such. ``overrides``: fields of the configurations; None
    leaves the preset's. Raises InputError for an unknown experiment, preset, field or stage.
    """
    module = part_of(experiment, "config")
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
    known = [field.name for field in dataclasses.fields(config)]
    for name in values:
        check_choice("field", name, known)
    return [dataclasses.replace(config, **one) for one in combinations(values)]


def combinations(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Each combination of the values of these fields, the last field fastest.

    Raises:
        InputError: a value that is named twice: its run would stand twice in the tables.
    """
    for field, several in values.items():
        for index, value in enumerate(several):
            if value in several[:index]:
                raise InputError(f"the grid names {field}={value} twice; name each value once")
    return [dict(zip(values, one, strict=True)) for one in itertools.product(*values.values())]


def run_all(
    configs: Sequence[Any], workers: Workers | None = None, progress: bool = True
) -> list[Run]:
    """Run (or find) every configuration; the runs in the order given.

    ``workers`` None computes in this process, in turn. A run that fails does not stop the others;
    the first failure is raised in the end, and names how many there were.
    """
    runs, failures = sweep(configs, workers, progress)
    raise_first(failures, len(configs))
    return runs


def sweep(
    configs: Sequence[Any], workers: Workers | None = None, progress: bool = True
) -> tuple[list[Run], dict[str, Exception]]:
    """Run (or find) every configuration: the finished runs in the order given, and what failed.

    Failures are by the values that tell their configurations apart, such as ``"seed=3"``.
    """
    labels = labels_of(configs)
    items = {
        label: {"experiment": config.name, "fields": dataclasses.asdict(config)}
        for label, config in zip(labels, configs, strict=True)
    }
    pinned = {config.device for config in configs} <= {"auto", "cuda"}
    found = dict(tasks.outcomes(compute, items, workers, gpus=pinned, progress=progress))
    failures = {label: found[label] for label in items if isinstance(found[label], Exception)}
    done = [
        run_named(config.name, found[label])
        for label, config in zip(labels, configs, strict=True)
        if label not in failures
    ]
    return done, failures


def compute(value: dict[str, Any]) -> str:
    """Run (or find) the configuration of these plain values; the name of its folder."""
    config = experiment_class(value["experiment"])(**value["fields"])
    return execute(config, progress=False).path.name


def raise_first(failures: Mapping[str, Exception], total: int) -> None:
    """Raise the first of the failures, if there are any, with how many of ``total`` there were."""
    for label, first in failures.items():
        if not isinstance(first, InputError | TrainingError):
            raise first
        others = len(failures) - 1
        which = f"{label}: " if total > 1 else ""
        also = f" (and {others} more of {total} runs failed)" if others else ""
        raise type(first)(f"{which}{first}{also}")


def labels_of(configs: Sequence[Any]) -> list[str]:
    """For each configuration the fields that tell it from the others, and its seed."""
    if not configs:
        return []
    fields = swept_fields([dataclasses.asdict(config) for config in configs])
    return [" ".join(f"{name}={getattr(config, name)}" for name in fields) for config in configs]


def swept_fields(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fields in which configurations of one experiment differ; the seed in any case, last."""
    first, *others = configs
    differ = [
        name
        for name, value in first.items()
        if name != "seed" and any(config[name] != value for config in others)
    ]
    return [*differ, "seed"]


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run: the fields in which the runs differ, what it found in the end, its name.

    No column differs between equal runs.
    """
    import pandas as pd

    fields = swept_fields([run.config for run in runs])
    rows = []
    for run in runs:
        (last,) = run.results.to_dict("records")
        swept = {name: run.config[name] for name in fields}
        found = {name: value for name, value in last.items() if name not in swept}
        rows.append({**swept, **found, "run": run.path.name})
    return pd.DataFrame(rows)
