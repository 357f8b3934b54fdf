"""An ordered parallel map over helper processes that are plain Python programs.

The helpers are started as ``python -c …`` and talk through pipes, so neither a script without an
``if __name__ == "__main__"`` guard nor a parent with threads (as PyTorch starts them) is a problem.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from sparsecore.errors import TrainingError


def default_workers() -> int:
    """The number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parallel_map(
    function: Callable[..., Any], items: Iterable[Any], workers: int | None = None
) -> Iterator[Any]:
    """``function(item)`` for every item, in order, over ``workers`` processes (default: all cores).

    ``function`` must be a module-level function. Items are drawn lazily, at most two a worker
    ahead of the consumer; a single item is computed in this process, as is everything with
    ``workers=1``. An exception in a helper is raised here.
    """
    workers = default_workers() if workers is None else workers
    source = iter(items)
    head = list(islice(source, 2))
    if workers < 2 or len(head) < 2:
        yield from map(function, head)
        yield from map(function, source)
        return
    with _Helpers(function, workers) as helpers:
        pending: deque[Future[Any]] = deque(helpers.submit(item) for item in head)
        for item in source:
            pending.append(helpers.submit(item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class _Helpers:
    """``workers`` processes, each served by one thread."""

    def __init__(self, function: Callable[..., Any], workers: int) -> None:
        name = f"{function.__module__}:{function.__qualname__}"
        code = f"from sparsecore.data.pool import _serve; _serve({name!r})"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        self._free: queue.Queue[subprocess.Popen[bytes]] = queue.Queue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._threads = ThreadPoolExecutor(workers)
        try:
            for _ in range(workers):
                process = subprocess.Popen(
                    [sys.executable, "-c", code],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment,
                )
                self._all.append(process)
                self._free.put(process)
        except BaseException:  # a signal, say: those that are there must not stay
            self.__exit__()
            raise

    def submit(self, item: Any) -> Future[Any]:
        return self._threads.submit(self._call, item)

    def _call(self, item: Any) -> Any:
        process = self._free.get()
        try:
            assert process.stdin is not None and process.stdout is not None
            pickle.dump(item, process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            good, value = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise TrainingError(
                f"a helper process ended unexpectedly (exit code {process.poll()}); "
                "it may have run out of memory"
            ) from error
        finally:
            self._free.put(process)
        if not good:
            raise value
        return value

    def __enter__(self) -> _Helpers:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._all:
            process.kill()
        for process in self._all:
            process.wait()
        self._threads.shutdown(wait=True)
        for process in self._all:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


def _serve(name: str) -> None:
    """The helper's loop: items on standard input, ``(good, value)`` on standard output."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent ends its helpers
    module, _, attribute = name.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    read, write = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while True:
        try:
            item = pickle.load(read)
        except (EOFError, pickle.UnpicklingError):  # the parent is done, or was stopped on the way
            return
        try:
            answer = (True, function(item))
        except Exception as error:  # handed to the parent, which raises it
            answer = (False, error)
        try:
            pickle.dump(answer, write, pickle.HIGHEST_PROTOCOL)
            write.flush()
        except BrokenPipeError:  # the parent was killed
            os._exit(1)  # without the flush at exit, which would fail again, aloud
