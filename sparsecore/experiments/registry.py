"""The experiments, one line each; all else about one follows from its name.

``experiments/<name>/`` has

    config.py    a frozen dataclass, named as the folder is (``Tagging``), ``study`` and perhaps
                 ``tune``: data, presets and checks, nothing that prepares or runs
    task.py      ``prepare(config, progress)`` reads the inputs; ``Task`` trains
                 (:mod:`sparsecore.training.loop`)
    tables.py    ``tables_of(tables)``: the small tables of a study, from those of its runs on top
                 of one another; where these are too large, ``tables_of_runs(runs)`` instead
    findings.py  the rules that decide what the tables say: ``verdict_parts(tables)``; rules that
                 need more than these tables are ``decide(…)``, which ``tables.py`` calls for a
                 table ``verdicts``

``emergent`` has what its rules look at in ``evidence.py``; ``sentiment`` trains in phases, each of
them in ``fit.py``, and a finished model is read by ``trained.py``.

``crossing`` and ``transformer`` stand beside them and are not registered: they train nothing, but
judge runs of the others and a pretrained model. Modules are imported when they are needed: a list
of experiments costs nothing.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from sparsecore.errors import check_choice
from sparsecore.training.configuration import identity_of

EXPERIMENTS = {
    "emergent": "how concentrated are an LSTM's activations and gradients, word by word",
    "tagging": "parts of speech from word embeddings that are short, or sparse, from the start",
    "language": "an AWD-LSTM language model, dense, or wider and sparse with as many parameters",
    "reciting": "how much of a text models learn by heart, dense or sparse from the start",
    "sentiment": "good review or bad: automata whose states a group lasso keeps or removes",
    "causes": "what makes a gradient sparse? one cause at a time, frequency by random assignment",
}


def check_name(name: str) -> str:
    """The name of an experiment; InputError, with the nearest one, if there is none such."""
    check_choice("experiment", name, EXPERIMENTS)
    return name


def part_of(name: str, part: str) -> ModuleType:
    """A module of an experiment: ``config``, ``task``, ``tables`` or ``findings``."""
    return importlib.import_module(f"sparsecore.experiments.{check_name(name)}.{part}")


def experiment_class(name: str) -> Any:
    """The configuration class of an experiment.

    Raises:
        InputError: unknown experiment, with the nearest name.
    """
    return getattr(part_of(name, "config"), name.title().replace("_", ""))


def prepare(config: Any, progress: bool = True) -> Any:
    """Check what a configuration names (device, files) and read its inputs; they are cached.

    Returns:
        What the experiment's task takes, with ``name``, ``sha256`` and ``info`` of the text.

    Raises:
        InputError: bad input, before any work.
    """
    return part_of(config.name, "task").prepare(config, progress)


def identity(config: Any, inputs: Any) -> dict[str, Any]:
    """What a run's numbers depend on; its hash names the run folder."""
    found = identity_of(config, getattr(inputs, "content", inputs.sha256))
    for name in getattr(config, "left_out", ()):
        del found[name]
    return found


def new_task(config: Any, inputs: Any, folder: Path) -> Any:
    """What :func:`sparsecore.training.loop.train` trains."""
    return part_of(config.name, "task").Task(config, inputs, folder)
