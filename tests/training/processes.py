"""Processes as torchrun starts them, but forked from one server that has everything imported."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from sparsecore.experiments.registry import part_of

FORK = multiprocessing.get_context("fork")  # for what is quick and would import much
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.training.warm", "tests.training.processes"])


def get_ready() -> None:
    """Start the server, which imports for some seconds while the test goes on."""
    multiprocessing.forkserver.ensure_running()


def launch(
    size: int,
    target: Callable[..., None],
    *args: Any,
    timeout: float = 120,
    context: Any = CONTEXT,
) -> list[int]:
    """Run ``target(*args)`` in a group of ``size`` processes; their exit codes, by rank."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # torchrun's
    group = [
        context.Process(target=_enter, args=(rank, size, store.port, target, args))
        for rank in range(size)
    ]
    for process in group:
        process.start()
    for process in group:
        process.join(timeout)
    codes = [process.exitcode for process in group]
    for process in group:
        process.kill()
    if None in codes:
        pytest.fail(f"a process hangs; exit codes: {codes}")
    return [code for code in codes if code is not None]


def _enter(rank: int, size: int, port: int, target: Callable[..., None], args: Any) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "OMP_NUM_THREADS": "1",
    }
    import torch

    torch.set_num_threads(1)
    target(*args)


def run_all(configs: Sequence[Any], home: Path, steps: dict[str, int] | None = None) -> None:
    """Run each configuration; with ``steps``, until it made so many and is interrupted."""
    os.environ["SPARSECORE_HOME"] = str(home)
    from sparsecore.runs.execute import execute
    from sparsecore.training.distributed import joined

    with joined():
        for config in configs:
            if steps is None:
                execute(config, progress=False)
            else:
                run_until(config, steps[config.name])


def run_until(config: Any, steps: int) -> None:
    """Run it, with a checkpoint after every step, until it is interrupted before the step named."""
    from sparsecore.runs.execute import execute

    with pytest.MonkeyPatch.context() as patch:
        before_step(patch, config.name, steps, interrupt)
        with pytest.raises(KeyboardInterrupt):
            execute(config, progress=False)


def interrupt() -> None:
    raise KeyboardInterrupt


def before_step(
    patch: pytest.MonkeyPatch, experiment: str, steps: int, call: Callable[[], None]
) -> None:
    """Call ``call()`` once ``steps`` steps of the experiment are made, each with a checkpoint."""
    task = part_of(experiment, "task").Task
    patch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "0")
    original, done = task.step, []

    def step(self: Any, *args: Any) -> Any:
        if len(done) == steps:
            call()
        done.append(None)
        return original(self, *args)

    patch.setattr(task, "step", step)


def command(arguments: list[str], home: Path, lost: tuple[int, int] | None = None) -> None:
    """The command line; what each process says goes to files in ``home``.

    ``lost``: the rank of a process that is killed, and after how many steps.
    """
    rank = int(os.environ["RANK"])
    os.environ["SPARSECORE_HOME"] = str(home)
    sys.stdout = open(home / f"out{rank}", "w")  # noqa: SIM115
    sys.stderr = open(home / f"err{rank}", "w")  # noqa: SIM115
    from sparsecore.cli import main

    with pytest.MonkeyPatch.context() as patch:
        if lost is not None:
            call = die if rank == lost[0] else lambda: None
            before_step(patch, arguments[1], lost[1], call)
        code = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def die() -> None:
    os.kill(os.getpid(), 9)
