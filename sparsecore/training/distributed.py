"""Several processes, one run: ``torchrun --nproc-per-node N -m sparsecore run EXPERIMENT …``.

torchrun starts the processes, torch.distributed carries what they tell one another: gloo between
CPUs, NCCL between GPUs. Each process holds the whole model and takes its share of every batch
(:mod:`sparsecore.training.sharding`); all of them draw the same random numbers, see the same losses
and take the same decisions. The first one prepares data, writes the run folder and speaks.

Without torchrun there is one process, and every function here gives back what it was given.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import re
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from sparsecore.errors import InputError, Stopped, TrainingError
from sparsecore.training import stopping
from sparsecore.training.device import resolve_device

Result = TypeVar("Result")

PATIENCE = timedelta(minutes=10)  # for a late process; `broadcast_object` waits for longer
MOST_PROCESSES = 100_000
POLL = 0.05  # seconds between two looks for what the first process says
ENDED = "sparsecore/ended"
LOST = (
    "stopped, for a process of this run was lost; the same command, with as many processes as you "
    "like, goes on from the last checkpoint"
)
UNMET = (
    "the processes of this run could not meet at {MASTER_ADDR}:{MASTER_PORT}; if another run has "
    "the port, use torchrun --standalone"
)


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
        store: a small dictionary that all of them see; torchrun keeps it, so it outlives them.
    """

    rank: int = 0
    size: int = 1
    store: dist.Store | None = None

    @property
    def first(self) -> bool:
        """Whether this process prepares data, writes and speaks."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1


_world = World()
_numbers = itertools.count()


def world() -> World:
    """The processes that this one belongs to."""
    return _world


@contextlib.contextmanager
def joined() -> Iterator[World]:
    """Inside, this process belongs to the group that torchrun's environment variables describe.

    What others than the first one print is dropped. Of an error that several processes meet, or
    that one of them met and the others noticed, only one speaks: the first to come raises it, the
    others leave silently with the same exit code.

    Raises:
        InputError: a variable of torchrun is not what it has to be.
        TrainingError: the processes cannot meet, or one of them was lost.
    """
    global _world
    check_variables()
    with lost_processes(UNMET.format(**os.environ)):
        store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
        # torchrun's store outlives the processes: what they said before a restart is another's
        store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
        group = dist.PrefixStore("group", store)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=group, rank=rank, world_size=size, timeout=PATIENCE)
    _world = World(rank, size, store)
    quiet = contextlib.nullcontext() if _world.first else contextlib.redirect_stdout(io.StringIO())
    try:
        with quiet:
            yield _world
        with lost_processes():
            dist.destroy_process_group()
    except (InputError, TrainingError, KeyboardInterrupt) as error:
        if threading.current_thread() is threading.main_thread():  # torchrun would cut it short
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        first, code = _end(_world, _exit_code(error))
        if first:
            raise
        raise SystemExit(code) from None
    finally:
        _world = World()


def check_variables() -> None:
    """Refuse a torchrun environment that was set by hand, and wrongly.

    Raises:
        InputError: names the variable, its value and what would be right.
    """
    size = _variable("WORLD_SIZE", 1, MOST_PROCESSES)
    _variable("RANK", 0, size - 1)
    local = _variable("LOCAL_WORLD_SIZE", 1, size, default="1")
    _variable("LOCAL_RANK", 0, local - 1, default="0")
    _variable("MASTER_PORT", 1, 65535)
    address = os.environ.get("MASTER_ADDR", "not set")
    if not re.fullmatch(r"[\w.:%-]+", address):  # else it is looked up for minutes
        raise InputError(f"MASTER_ADDR={address!r} is not the name of a host, as torchrun sets it")


def _variable(name: str, least: int, most: int, default: str = "not set") -> int:
    text = os.environ.get(name, default)
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise InputError(
            f"{name}={text!r} is not a whole number from {least} to {most}, as torchrun sets it"
        )
    return int(text)


def _exit_code(error: BaseException) -> int:
    """As the command line has it."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + (error.signal if isinstance(error, Stopped) else signal.SIGINT)
    return 2 if isinstance(error, InputError) else 1


def _end(world: World, code: int) -> tuple[bool, int]:
    """Whether this process is the first to end in an error, and the exit code of the first."""
    assert world.store is not None
    try:
        found = world.store.compare_set(ENDED, "", f"{world.rank} {code}").decode()
    except RuntimeError:  # the store is gone with its host
        return True, code
    rank, first_code = map(int, found.split())
    return rank == world.rank, first_code


@contextlib.contextmanager
def lost_processes(message: str = LOST) -> Iterator[None]:
    """What torch.distributed raises where a process is gone, as one :class:`TrainingError`."""
    try:
        yield
    except TrainingError:
        raise
    except RuntimeError as error:
        raise TrainingError(message) from error


def broadcast_object(call: Callable[[], Result]) -> Result:
    """What ``call()`` gives the first process (a plain value), for all; it may take hours.

    Raises:
        TrainingError: the first process is gone.
    """
    if _world.store is None:
        return call()
    key = f"sparsecore/broadcast/{next(_numbers)}"
    if _world.first:
        value = call()
        with lost_processes():
            _world.store.set(key, json.dumps(value))
        return value
    with lost_processes():
        while not _world.store.check([key]):
            if _world.store.check([ENDED]) or stopping.stop_requested():
                raise TrainingError(LOST)
            time.sleep(POLL)
        return json.loads(_world.store.get(key))


def rank0_first(call: Callable[[], Result]) -> Result:
    """``call()`` by the first process, and then, when all is prepared, by the others."""
    if _world.first:
        result = call()
        broadcast_object(lambda: None)
        return result
    broadcast_object(lambda: None)
    return call()


def broadcast(answer: bool) -> bool:
    """The first process's answer, for all: quick, and all must ask at the same place."""
    if _world.alone:
        return answer
    said = torch.tensor([answer], dtype=torch.uint8)
    with lost_processes():
        dist.broadcast(said, 0)
    return bool(said)


def barrier() -> None:
    """Wait until every process is here."""
    if not _world.alone:
        all_reduce_(torch.zeros(1))


def all_reduce(value: Tensor) -> Tensor:
    """The sum of every process's tensor; exact for integers."""
    return value if _world.alone else all_reduce_(value.detach().clone())


def all_reduce_(value: Tensor) -> Tensor:
    """:func:`all_reduce` in place."""
    if not _world.alone:
        with lost_processes():
            dist.all_reduce(value)
    return value


def check_in_sync(tensors: Iterable[Tensor], device: torch.device) -> None:
    """Hold the bits of float32 tensors, and the random generators, against the other processes'.

    Raises:
        TrainingError: they differ: the machines do not compute alike.
    """
    if _world.alone:
        return
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state())
    sums = [x.detach().view(torch.int32).sum().cpu() for x in tensors]
    drawn = [torch.tensor(zlib.crc32(state.numpy().tobytes())) for state in states]
    marks = torch.stack([*sums, *drawn])
    least, most = -marks, marks.clone()
    with lost_processes():
        dist.all_reduce(least, dist.ReduceOp.MAX)
        dist.all_reduce(most, dist.ReduceOp.MAX)
    if not torch.equal(-least, most):
        raise TrainingError(
            "the processes have come apart: their weights or random numbers differ, so their "
            "machines do not compute alike; use machines of one kind, or fewer processes"
        )


def check_processes(batch_size: int, device: str) -> None:
    """Refuse more processes than a batch has columns, or than this machine has GPUs; take one.

    Raises:
        InputError: naming what would be right.
    """
    if batch_size < _world.size:
        raise InputError(
            f"batch_size={batch_size} is too small for {_world.size} processes, of which each "
            f"takes a part of every batch: use at most {batch_size}, or a larger batch_size"
        )
    chosen = resolve_device(device)
    if chosen.type != "cuda":
        return
    local, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if here > gpus or chosen.index is not None:
        raise InputError(
            f"device {device!r} for {here} processes on a machine with {gpus} "
            f"{'GPU' if gpus == 1 else 'GPUs'}: each process takes one; use --device cuda and "
            f"--nproc-per-node {gpus}, or --device cpu"
        )
    torch.cuda.set_device(local)
