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

_asked: int | None = None  # the signal that waits for the end of a step
_in_steps = False  # the main thread's code comes to `stop_if_asked` soon


@contextlib.contextmanager
def signals_stop() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise :class:`~sparsecore.errors.Stopped` in the main thread.

    Among steps (:func:`steps`) they wait for the end of one, and a checkpoint. A second signal
    ends the process at once, as if there was no handler. Handlers are put back in the end. A signal
    that is ignored (as a shell has it for what runs in the background) stays so, and in another
    thread, which can have no handlers, nothing is done.
    """
    global _asked
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _handle) for number in heard}
    try:
        yield
    finally:
        _asked = None
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def steps() -> Iterator[None]:
    """Around a loop of steps that asks :func:`asked` after each."""
    global _in_steps
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outside, _in_steps = _in_steps, True
    try:
        yield
    finally:
        _in_steps = outside


def asked() -> bool:
    """Whether a signal waits for a checkpoint."""
    return _asked is not None


def stop_if_asked(run: str) -> None:
    """Raise :class:`~sparsecore.errors.Stopped` if a signal waits; ``run`` was just saved."""
    if _asked is not None:
        raise Stopped(_asked, run)


def _handle(number: int, _frame: FrameType | None) -> None:
    global _asked
    # torchrun repeats a signal that a terminal sends, and ends its processes itself
    then = signal.SIG_IGN if "TORCHELASTIC_RUN_ID" in os.environ else signal.SIG_DFL
    for other in SIGNALS:
        if signal.getsignal(other) == _handle:
            signal.signal(other, then)
    if not _in_steps:
        raise Stopped(number)
    _asked = number
