"""How many threads PyTorch computes with: measured once at the start, not guessed.

Two threads are not always better than one: on a machine whose cores are busy, each parallel region
waits for the slower thread, and a recurrent network is thousands of small regions.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

BUDGET = 0.1  # seconds of measuring
ROUNDS = 50
MARGIN = 1.1  # more threads must be faster by as much
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Choice:
    """The number of threads that was set, and the sentence that says why."""

    threads: int
    reason: str


def choose_threads(recorded: int | None = None) -> Choice | None:
    """Set PyTorch's number of threads to 1 or to all it has, whichever is faster here.

    One thread unless all of them are faster by 10 % or more, in a probe of less than 0.3 s: small
    products as an LSTM makes them, and a large one with its softmax.

    Args:
        recorded: the number with which a run was begun, to be used again: sums of another order
            would change its last digits.

    Returns:
        None, with nothing changed, where the user has decided (OMP_NUM_THREADS or MKL_NUM_THREADS,
        or one thread set in PyTorch) or there is only one.
    """
    available = torch.get_num_threads()
    if available == 1 or any(os.environ.get(name) for name in VARIABLES):
        return None
    if recorded is not None and 1 <= recorded <= available:
        torch.set_num_threads(recorded)
        return Choice(recorded, f"{recorded} of {available}, as this run was begun")
    one, every = probe(available)
    threads = available if one > MARGIN * every else 1
    torch.set_num_threads(threads)
    return Choice(
        threads,
        f"{threads} of {available} (a probe took {one * 1e3:.1f} ms with 1, "
        f"{every * 1e3:.1f} ms with {available}; OMP_NUM_THREADS overrides)",
    )


def probe(available: int, work: Callable[[], object] | None = None) -> tuple[float, float]:
    """Median seconds of a piece of work with 1 thread and with ``available``, taking turns.

    Where the cores are busy a single call with all threads may use up the budget: then it decides.
    """
    work = work or _work()
    times: dict[int, list[float]] = {1: [], available: []}
    end = time.perf_counter() + BUDGET
    for turn in range(1 + ROUNDS):
        for threads, found in times.items():
            torch.set_num_threads(threads)
            start = time.perf_counter()
            work()
            found.append(time.perf_counter() - start)
        late = time.perf_counter() > end
        if turn == 0 and not late:  # they were the first calls
            for found in times.values():
                found.clear()
        if late:
            break
    return statistics.median(times[1]), statistics.median(times[available])


def _work() -> Callable[[], object]:
    """A step of an LSTM and a piece of the output layer."""
    h, weight = torch.zeros(40, 200), torch.zeros(200, 800)
    rows, words = torch.zeros(50, 200), torch.zeros(200, 1000)

    @torch.no_grad()
    def work() -> None:
        torch.sigmoid(h @ weight)
        torch.softmax(rows @ words, -1)

    return work
