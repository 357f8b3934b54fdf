"""The one exception that reaches a user: a single clear line."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable


class TrainingError(RuntimeError):
    """A run that cannot go on (divergence, say): one line; the command line exits with code 1."""


class InputError(ValueError):
    """Bad input: one line that names what was wrong and what would be right.

    The command line prints it as ``error: …`` and exits with code 2; in Python it is an ordinary
    ``ValueError``; in a notebook it is shown without the stack.
    """

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return [f"{type(self).__name__}: {self}"]


class Stopped(KeyboardInterrupt):
    """A signal asked this process to stop: the command line exits with 128 + its number.

    Attributes:
        signal: SIGINT or SIGTERM.
        run: the run that was stopped, ``experiment/hash``; empty if none was begun.
    """

    def __init__(self, number: int, run: str = "") -> None:
        super().__init__(number, run)
        self.signal, self.run = signal.Signals(number), run

    def __str__(self) -> str:
        what = f"goes on with run {self.run}" if self.run else "begins again"
        return f"stopped by {self.signal.name}; the same command {what}"


def near_match(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the closest known name, else the list of known names.

    >>> near_match("sed", ["seed", "epochs"])
    " (did you mean 'seed'?)"
    >>> near_match("qqq", ["seed", "epochs"])
    ' (known: epochs, seed)'
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (known: {', '.join(known)})"
