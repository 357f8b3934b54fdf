"""Where sparsecore keeps what it makes: ``$SPARSECORE_HOME`` or ``~/.cache/sparsecore``."""

from __future__ import annotations

import os
from pathlib import Path

from sparsecore.errors import InputError

REMAKE = "delete its folder, and it is made again"  # of a damaged cache

RECOMPUTE = "delete the folder of the run and compute it anew"  # of a damaged run


def home() -> Path:
    """The root folder of caches and runs; not created by this call."""
    if given := os.environ.get("SPARSECORE_HOME"):
        return Path(given)
    try:
        return Path.home() / ".cache" / "sparsecore"
    except RuntimeError as error:  # HOME is not set, and the user has no entry that says it
        raise InputError(
            "this user has no home directory; set SPARSECORE_HOME to a writable folder"
        ) from error


def check_current_folder() -> None:
    """Refuse to work in a folder that was deleted: PyTorch could not even be loaded there.

    Raises:
        InputError: there is no current folder.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise InputError("the current folder was deleted; change into another (cd)") from error


def unusable_variable(error: BaseException) -> str | None:
    """What to say of a file that cannot be used because of where an environment variable points.

    Libraries keep caches where variables of their own say (TORCHINDUCTOR_CACHE_DIR, …). None where
    the error has no file, or no variable names its folder.
    """
    if not isinstance(error, OSError) or not isinstance(error.filename, str):
        return None
    path = Path(error.filename)
    names = {
        name: value
        for name, value in os.environ.items()
        if os.path.isabs(value) and name not in ("HOME", "PWD", "OLDPWD")
        if path.is_relative_to(value)
    }
    if not names:
        return None
    name = max(names, key=lambda one: len(names[one]))
    return f"cannot use {name}={names[name]!r}: {error.strerror}"


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
