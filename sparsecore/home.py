"""Where sparsecore keeps what it makes: ``$SPARSECORE_HOME`` or ``~/.cache/sparsecore``."""

from __future__ import annotations

import os
from pathlib import Path

from sparsecore.errors import InputError

REMAKE = "delete its folder, and it is made again"  # of a damaged cache

RECOMPUTE = "delete the folder of the run and compute it anew"  # of a damaged run


def home() -> Path:
    """The root folder of caches and runs; not created by this call."""
    return Path(os.environ.get("SPARSECORE_HOME") or Path.home() / ".cache" / "sparsecore")


def _folder(*parts: str) -> Path:
    path = home().joinpath(*parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot create {path}: {error.strerror}; set SPARSECORE_HOME to a writable folder"
        ) from error
    return path


def cache_dir(*parts: str) -> Path:
    """A folder for what can be made again (corpora, downloads, tags), created if missing."""
    return _folder("cache", *parts)


def bench_dir(*parts: str) -> Path:
    """The folder of measured speeds, created if missing."""
    return _folder("bench", *parts)


def runs_dir(*parts: str) -> Path:
    """The folder of run folders, created if missing."""
    return _folder("runs", *parts)
