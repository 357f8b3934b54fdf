"""Standard streams that the caller has closed, or that are full."""

from __future__ import annotations

import os
import sys
from typing import IO


def open_closed_streams() -> None:
    """Standard streams that the caller has closed (``>&-``) lead nowhere.

    Else the next file that is opened, such as a table of the run, would get their number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = os.O_WRONLY if number else os.O_RDONLY
            os.dup2(os.open(os.devnull, mode), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def tell(message: str) -> None:
    """Print to standard error; where that is full, the exit code says it alone."""
    try:
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()
    except OSError:
        drop_output(sys.stderr)


def drop_output(stream: IO[str]) -> None:
    """What is still to be printed leads nowhere: the interpreter writes it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
