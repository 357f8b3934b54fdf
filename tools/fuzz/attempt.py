"""One input, judged: a reader may succeed, or refuse with one clear line. All else is a finding."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from sparsecore.errors import InputError, one_line
from tools.fuzz.hostile import MARK
from tools.fuzz.mutate import Files

SHM = "/dev/shm"  # what is written there is not waited for
LONGEST_LINE = 1200  # characters of a message
WAITING = 6  # times the seconds of work that may pass on the clock
MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one input may cost: seconds of this process, and MiB above what it held before."""

    seconds: float = 10.0
    mib: int = 400


@dataclass(frozen=True)
class Verdict:
    """``read``, ``refused`` or what went wrong, in a line and at length; its cost."""

    outcome: str
    told: str
    seconds: float
    mib: float

    @property
    def is_finding(self) -> bool:
        """Neither read nor properly refused."""
        return self.outcome not in ("read", "refused")


class TimeUp(BaseException):
    """Not an Exception, so that no reader takes it for one of its own."""


def attempt(
    read: Callable[[Path], object],
    files: Files,
    limits: Limits = Limits(),
    refusals: tuple[type[BaseException], ...] = (),
) -> Verdict:
    """Write the files to a folder of their own, read it, and judge what happened.

    ``SPARSECORE_HOME`` is ``home`` in that folder, whether the sample has files there or not.
    ``refusals``: exceptions that are as good as :class:`InputError` here.
    """
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=SHM if os.access(SHM, os.W_OK) else None))
    home = root / "input" / "home"
    try:
        write(files, root / "input")
        home.mkdir(parents=True, exist_ok=True)
        (root / "at").mkdir()
        variables = mock.patch.dict(os.environ, SPARSECORE_HOME=str(home))
        with contextlib.chdir(root / "at"), variables:
            return _judged(read, root, limits, refusals)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def write(files: Files, folder: Path) -> None:
    """Put the files of a sample into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _judged(
    read: Callable[[Path], object],
    root: Path,
    limits: Limits,
    refusals: tuple[type[BaseException], ...],
) -> Verdict:
    with contextlib.suppress(OSError):  # forget the largest size so far, where the system can
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    held = _status("VmRSS")
    outcome, told = "read", ""
    started = time.process_time()
    with open(root / "said", "w+b") as said:
        try:
            with _silenced(said.fileno()), _alarm(limits.seconds), warnings.catch_warnings():
                warnings.simplefilter("error")
                read(root / "input")
        except InputError as error:
            outcome, told = "refused", str(error)
        except refusals as error:
            outcome, told = "refused", one_line(str(error) or type(error).__name__)
        except TimeUp:
            outcome, told = f"more than {limits.seconds:.0f} seconds", traceback.format_exc()
        except Exception as error:
            outcome, told = type(error).__name__, traceback.format_exc()
        seconds = time.process_time() - started
        mib = (_status("VmHWM") - held) / MIB
        said.seek(0)
        heard = said.read(2000).decode("utf-8", "replace")
    problem = _broken_promise(root, outcome, told, heard)
    if problem:
        outcome, told = problem, told or heard
    elif mib > limits.mib and outcome in ("read", "refused"):
        outcome, told = f"more than {limits.mib} MiB", f"{mib:.0f} MiB; {outcome}: {told}"
    return Verdict(outcome, told, seconds, mib)


def _broken_promise(root: Path, outcome: str, told: str, heard: str) -> str:
    """What was left behind or said that should not be; empty if nothing."""
    if list(root.rglob(MARK)):
        return "a pickle was loaded"
    if outcome in ("read", "refused"):
        if any(": left out " not in line for line in heard.splitlines()):  # that is promised
            return "said something"
        if any((root / "at").iterdir()):
            return "a file left in the working folder"
        if any(".tmp" in path.name for path in (root / "input").rglob(".*")):
            return "a half-written file left"
    if outcome == "refused":
        if not told.strip() or not told.isprintable():
            return "not one printable line"
        if len(told) > LONGEST_LINE:
            return "a line without end"
    return ""


@contextlib.contextmanager
def _silenced(target: int) -> Iterator[None]:
    """Standard output and error, of C code too, into a file."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(1), os.dup(2)]
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        with (
            open(os.dup(target), "w", encoding="utf-8", errors="backslashreplace") as heard,
            contextlib.redirect_stdout(heard),
            contextlib.redirect_stderr(heard),
        ):
            yield
    finally:
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TimeUp

    timers = (
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),  # of this process, however busy the machine
        (signal.SIGALRM, signal.ITIMER_REAL, WAITING * seconds),  # of one that waits
    )
    before = [signal.signal(number, ring) for number, _, _ in timers]
    for _, timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def _status(name: str) -> int:
    """A size of this process, in bytes; 0 where the system does not tell."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith(f"{name}:")), "x 0")
    return int(line.split()[1]) << 10
