"""The workers of a Dask cluster: processes of this machine, SLURM jobs, or what runs elsewhere.

A worker is a process with one thread that computes one task at a time.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparsecore.data.pool import default_workers
from sparsecore.errors import InputError, check_installed, near_match

if TYPE_CHECKING:
    from distributed import Client

LOCAL, SLURM = "local", "slurm"
LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 10
RETRIES = 3


@dataclass(frozen=True)
class Workers:
    """Which workers compute.

    Attributes:
        scheduler: ``local`` (this machine, reachable from nowhere else), ``slurm`` (a job each), or
            the address of a Dask scheduler that runs already, such as ``tcp://host:8786``.
        jobs: how many workers; None: one a GPU, or one a core where there is none. A scheduler
            that runs already has its own.
        retries: how often a task is given to another worker after its worker was lost; None: 3,
            and what a scheduler that runs already is set to.

    Raises:
        InputError: an unknown scheduler, a number out of range, or one that does not go with it.
    """

    scheduler: str = LOCAL
    jobs: int | None = None
    retries: int | None = None

    def __post_init__(self) -> None:
        if self.scheduler not in (LOCAL, SLURM) and "://" not in self.scheduler:
            known = near_match(self.scheduler, (LOCAL, SLURM))
            raise InputError(
                f"unknown scheduler {self.scheduler!r}{known}; or an address: tcp://HOST:8786"
            )
        if self.jobs is not None and self.jobs < 1:
            raise InputError(f"jobs must be at least 1, got {self.jobs}")
        if self.retries is not None and self.retries < 0:
            raise InputError(f"retries must be at least 0, got {self.retries}")
        if "://" in self.scheduler and (self.jobs, self.retries) != (None, None):
            raise InputError(
                f"the scheduler {self.scheduler} has workers and retries of its own: leave out "
                "jobs and retries (it reads DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES)"
            )
        if self.scheduler == SLURM:
            check_installed("slurm", "dask_jobqueue")
            if self.jobs is None:
                raise InputError("scheduler 'slurm' needs the number of jobs: --jobs N")


@contextlib.contextmanager
def connected(workers: Workers, tasks: int, gpus: bool) -> Iterator[Client]:
    """A client of the workers; workers that were started for it end with it."""
    check_installed("cluster", "dask", "distributed")
    import dask
    import distributed

    settings = {
        "distributed.scheduler.worker-saturation": 1.0,  # what waits, waits at the scheduler
        "distributed.scheduler.allowed-failures": (
            RETRIES if workers.retries is None else workers.retries
        ),
        "distributed.worker.daemon": False,  # a run may have helpers
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,  # slower
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(_own_environment())
        stack.enter_context(dask.config.set(settings))
        if workers.scheduler == LOCAL:
            address = stack.enter_context(_local_cluster(workers.jobs, tasks, gpus))
        elif workers.scheduler == SLURM:
            address = stack.enter_context(_slurm_cluster(workers.jobs))
        else:
            address = workers.scheduler
        try:
            client = stack.enter_context(distributed.Client(address, timeout=CONNECT_SECONDS))
        except (OSError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at {address} ({error}); start one: dask scheduler"
            ) from None
        if "://" in workers.scheduler and not client.nthreads():
            raise InputError(
                f"the scheduler {address} has no workers; start one a core or GPU: "
                f"dask worker {address} --nthreads 1"
            )
        yield client


def _local_cluster(jobs: int | None, tasks: int, gpus: bool) -> Any:
    """Workers of this machine that listen on the loopback alone.

    As ``distributed.LocalCluster`` makes them, but each with a GPU of its own where there are any.
    """
    from distributed import Nanny, Scheduler, SpecCluster

    devices = visible_gpus() if gpus else []
    jobs = min(jobs or len(devices) or default_workers(), tasks)
    listen = {"host": LOOPBACK, "dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    options = {**listen, "nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL}
    environments = [
        {"CUDA_VISIBLE_DEVICES": devices[index % len(devices)]} if devices else {}
        for index in range(jobs)
    ]
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": {**listen, "port": 0}},
        workers={
            index: {"cls": Nanny, "options": {**options, "env": environment}}
            for index, environment in enumerate(environments)
        },
        silence_logs=logging.CRITICAL,
    )


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",") if named else [str(n) for n in range(torch.cuda.device_count())]
    return names[: torch.cuda.device_count()]


def _slurm_cluster(jobs: int | None) -> Any:
    """A SLURM job a worker, all else as Dask's configuration says; jobs that end are replaced."""
    import dask
    from dask_jobqueue import SLURMCluster

    options = dask.config.get("jobqueue.slurm.scheduler-options", None) or {}
    try:
        cluster = SLURMCluster(
            cores=1,
            processes=1,
            silence_logs=logging.CRITICAL,
            scheduler_options={
                **options,
                "dashboard": False,
                "dashboard_address": f"{LOOPBACK}:0",
            },
        )
    except ValueError as error:
        raise InputError(
            f"SLURM: {' '.join(str(error).split())}; say it in ~/.config/dask/jobqueue.yaml, or "
            "DASK_JOBQUEUE__SLURM__MEMORY=4GB"
        ) from None
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what Dask says of lost workers: the bar says it."""
    names = ("distributed", "distributed.client", "tornado", "tornado.application")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _own_environment() -> Iterator[None]:
    """Dask sets variables for its workers in this process; they are taken back."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
