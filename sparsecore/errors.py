"""The one exception that reaches a user: a single clear line."""

from __future__ import annotations

import difflib
import errno
import importlib.util
import operator
import os
import signal
from collections.abc import Collection, Iterable
from typing import Any

DISTRIBUTION = "sparse-by-nature"  # "sparsecore" on the package index is another project
LONGEST = 1000  # signs of a message


class TrainingError(RuntimeError):
    """A run that cannot go on (divergence, say): one line; the command line exits with code 1."""


class InputError(ValueError):
    """Bad input: one line that names what was wrong and what would be right.

    The command line prints it as ``error: …`` and exits with code 2; in Python it is an ordinary
    ``ValueError``; in a notebook it is shown without the stack. Whatever the message quotes from a
    file or an option, it stays a single line of printable signs and of bounded length.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))

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


def one_line(text: str) -> str:
    r"""``text`` without line breaks, escapes for what a terminal acts on, of bounded length.

    >>> one_line("two\nlines"), one_line("\x1b[2J")
    ('two lines', '\\x1b[2J')
    """
    text = " ".join(text[: 4 * LONGEST].split())
    text = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def first_line(text: str | None) -> str:
    r"""The first line of a docstring, which ``python -OO`` leaves out.

    >>> first_line("Run it.\n\nAt once."), first_line(None)
    ('Run it.', '')
    """
    return (text or "\n").splitlines()[0]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy or PyTorch raised it for want of memory, of the machine or a GPU."""
    said = ("out of memory", "allocate memory", "bad_alloc", "ALLOC_FAILED")
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError | OSError) and any(words in str(error) for words in said)


def failed_import(error: BaseException) -> str | None:
    """What to say of an error in the import of another author's package; None for other errors.

    Such as one that cannot make sense of a variable of its own in the environment.
    """
    own = __name__.partition(".")[0]
    place, package, before = error.__traceback__, None, own
    while place is not None:
        name = str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if name == own:
            package = None
        elif place.tb_frame.f_code.co_name == "<module>" and (before == own or package):
            package = name
        before, place = name, place.tb_next
    if package is None:
        return None
    prefix = f"{package.upper()}_"
    names = [name for name in os.environ if name.startswith(prefix)] or [f"{prefix}…"]
    return one_line(f"{package} cannot be loaded; is {' or '.join(names)} right? {error}")


def install_hint(extra: str) -> str:
    """How to install what an extra of this distribution brings.

    >>> install_hint("cpu")
    "pip install 'sparse-by-nature[cpu]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def check_installed(extra: str, *packages: str) -> None:
    """Refuse to go on without what an extra brings, in one line.

    Raises:
        InputError: naming the first package that is not there.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise InputError(f"this needs {package}: {install_hint(extra)}")


def whole_number(value: Any, name: str, least: int = 0) -> int:
    """``value`` as an int, be it one of Python, NumPy or PyTorch; neither 2.0 nor True is one.

    Raises:
        InputError: another kind of value, or one below ``least``; ``name`` is what it should be.

    >>> whole_number(3, "seed")
    3
    """
    try:
        number = operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # Python and NumPy; PyTorch
        number = least - 1
    if number < least or "bool" in str(getattr(value, "dtype", type(value))):
        raise InputError(f"{name} must be a whole number of {least} or more, not {value!r:.60}")
    return number


def integer(value: Any, name: str, least: int | None = None) -> int:
    """``value`` as an int, be it one of Python, NumPy or PyTorch; 2.0 is none.

    Raises:
        InputError: another kind of value, or one below ``least``; ``name`` is the argument's.

    >>> integer(3, "num_blocks")
    3
    """
    try:
        number = operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # Python and NumPy; PyTorch
        raise InputError(f"{name} must be a whole number, got {value!r:.60}") from None
    if least is not None and number < least:
        raise InputError(f"{name} must be at least {least}, got {number}")
    return number


def check_choice(what: str, given: Any, known: Collection[str]) -> None:
    """Refuse what is not among the known names.

    Raises:
        InputError: with the nearest name.

    >>> check_choice("suite", "rationall", ["lstm", "rational"])
    Traceback (most recent call last):
    sparsecore.errors.InputError: unknown suite 'rationall' (did you mean 'rational'?)
    """
    if given not in known:
        raise InputError(f"unknown {what} {given!r}{near_match(given, known)}")


def near_match(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the closest known name, else the list of known names.

    >>> near_match("sed", ["seed", "epochs"])
    " (did you mean 'seed'?)"
    >>> near_match("qqq", ["seed", "epochs"])
    ' (known: epochs, seed)'
    """
    known = sorted(known)
    close = difflib.get_close_matches(str(name)[:100], known, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (known: {', '.join(known)})"
