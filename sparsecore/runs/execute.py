"""From an experiment's configuration to its finished run folder, computed at most once."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from sparsecore.errors import InputError, Stopped, TrainingError, check_installed, is_out_of_memory
from sparsecore.experiments import registry
from sparsecore.files import remove_leftovers, write_error, write_json, write_text
from sparsecore.runs.environment import describe_environment
from sparsecore.runs.store import run_of
from sparsecore.training.run_folder import DONE, Run, run_name

log = logging.getLogger(__name__)


class Experiment(Protocol):
    """What :func:`execute` asks of a configuration (a frozen dataclass)."""

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def batch_size(self) -> int:
        """How many columns, sentences or documents a step has; several processes share them."""
        ...

    @property
    def device(self) -> str:
        """Where to compute."""
        ...


def execute(config: Experiment, progress: bool = True, choose_threads: bool = False) -> Run:
    """Run the experiment, or return its run if it is finished already.

    The folder's name is a hash of everything the numbers depend on, the text included. A run that
    was killed goes on from its last checkpoint. A second process with the same configuration waits
    for the first and returns its run. Processes that torchrun started
    (:func:`~sparsecore.training.distributed.joined`) compute one run together, the first of them
    holding the lock and writing; their number is no part of the hash.

    Args:
        config: the experiment.
        progress: show bars.
        choose_threads: before a run on the CPU, set PyTorch's number of threads by a short probe
            (:func:`~sparsecore.training.threads.choose_threads`); a run that was begun keeps its
            number. ``environment.json`` records it either way. Several processes keep the threads
            that they have.

    Raises:
        InputError: bad input, before anything is written; or the disk is full or read-only.
        TrainingError: the run cannot go on: it diverged, the memory is used up, or one of several
            processes was lost.
        Stopped: a signal asked the command line to stop.
    """
    from sparsecore.training.distributed import (
        barrier,
        broadcast_object,
        check_processes,
        rank0_first,
        world,
    )
    from sparsecore.training.loop import train

    here = world()
    progress = progress and here.first
    if not here.alone:
        check_processes(config.batch_size, config.device)
    with out_of_memory_is_one_line(config):
        inputs = rank0_first(lambda: registry.prepare(config, progress))
        identity = registry.identity(config, inputs)
        run = run_of(config.name, identity)
        if broadcast_object(lambda: run.done):
            return run
        with locked(run) if here.first else contextlib.nullcontext(), said(run):
            if not broadcast_object(lambda: run.done):
                if choose_threads and here.alone and identity.get("device", "cpu") == "cpu":
                    _choose_threads(run.path / "environment.json")
                rank0_first(lambda: begin(run.path, config, describe_environment(identity, inputs)))
                train(registry.new_task(config, inputs, run.path), run.path, progress)
                barrier()
                broadcast_object(lambda: end(run.path))
    return run


@contextlib.contextmanager
def locked(run: Run) -> Iterator[None]:
    """The folder of a run, for this process alone; says so where it has to wait for another."""
    check_installed("experiments", "filelock")
    from filelock import FileLock, Timeout

    lock = FileLock(run.path / ".lock")
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning(
                "run %s is being computed by another process: waiting for it", run.path.name
            )
            lock.acquire()
    except OSError as error:
        raise write_error(run.path, error) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def said(run: Run) -> Iterator[None]:
    """Within, a signal that stops the command names the run."""
    try:
        yield
    except Stopped as stop:
        raise Stopped(stop.signal, run_name(run.path)) from None


@contextlib.contextmanager
def out_of_memory_is_one_line(config: Any) -> Iterator[None]:
    """What Python, NumPy and PyTorch raise then becomes one line that names a remedy."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if isinstance(error, TrainingError) or not is_out_of_memory(error):
            raise
        size = getattr(config, "batch_size", None)
        raise TrainingError(
            "out of memory; free some, and the same command goes on where it was, or take a "
            f"smaller batch_size (now {size}), which is another run"
        ) from error


def begin(folder: Path, config: Any, environment: dict[str, Any]) -> None:
    """Write what is run and where; other processes of the run see that it is there."""
    from sparsecore.training.distributed import world

    if world().first:
        remove_leftovers(folder, every=True)
        fields = config if isinstance(config, dict) else dataclasses.asdict(config)
        write_json(folder / "config.json", fields)
        write_json(folder / "environment.json", environment)
    elif not (folder / "config.json").is_file():
        raise InputError(
            f"process {world().rank} on {platform.node()} does not see the run folder {folder}: "
            "SPARSECORE_HOME must name a folder that all hosts share"
        )


def end(folder: Path) -> None:
    """Say that all of the run is there."""
    from sparsecore.training.checkpoint import remove_checkpoints

    write_text(folder / DONE, datetime.now(UTC).isoformat(timespec="seconds") + "\n")
    remove_checkpoints(folder)


def _choose_threads(environment: Path) -> None:
    """Set the number of threads, and say so in a line on standard error."""
    from sparsecore.training.threads import choose_threads

    try:
        recorded = json.loads(environment.read_text(encoding="utf-8"))["threads"]
    except (OSError, ValueError, KeyError):
        recorded = None
    if choice := choose_threads(recorded):
        sys.stderr.write(f"threads: {choice.reason}\n")
