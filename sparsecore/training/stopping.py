"""Ctrl-C and SIGTERM between two steps: save, then stop.

Only the command line takes the signals over (:func:`signals_stop`). In a notebook, a thread or a
program with handlers of its own nothing changes: an interrupted run goes on from its last
checkpoint.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from sparsecore.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_requested: int | None = None  # the signal that waits for the end of a step
_deferring = False  # the main thread's code calls `raise_if_stopped` soon


@contextlib.contextmanager
def signals_stop() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise :class:`~sparsecore.errors.Stopped` in the main thread.

    Inside :func:`defer_signals` they wait for the end of a step, and a checkpoint. A second signal
    ends the process at once, as if there was no handler. Handlers are put back in the end. A signal
    that is ignored (as a shell has it for what runs in the background) stays so, and in another
    thread, which can have no handlers, nothing is done.
    """
    global _requested
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _handle) for number in heard}
    try:
        yield
    finally:
        _requested = None
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def defer_signals() -> Iterator[None]:
    """Around a loop of steps that asks :func:`stop_requested` after each."""
    global _deferring
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outside, _deferring = _deferring, True
    try:
        yield
    finally:
        _deferring = outside


def stop_requested() -> bool:
    """Whether a signal waits for a checkpoint."""
    return _requested is not None


def raise_if_stopped(run: str) -> None:
    """Raise :class:`~sparsecore.errors.Stopped` if a signal waits; ``run`` was just saved."""
    if _requested is not None:
        raise Stopped(_requested, run)


def _handle(number: int, _frame: FrameType | None) -> None:
    global _requested
    # torchrun repeats a signal that a terminal sends, and ends its processes itself
    then = signal.SIG_IGN if "TORCHELASTIC_RUN_ID" in os.environ else signal.SIG_DFL
    for other in SIGNALS:
        if signal.getsignal(other) == _handle:
            signal.signal(other, then)
    if not _deferring:
        raise Stopped(number)
    _requested = number
