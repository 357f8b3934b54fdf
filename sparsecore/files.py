"""Files that appear whole or not at all: temporary sibling, fsync, rename."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparsecore.errors import InputError, one_line


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success it is synced and renamed to ``target``.

    If the body raises, the temporary file is removed and ``target`` is left as it was. A full disk
    or a read-only folder becomes one :class:`InputError`.
    """
    target = Path(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with open(temporary, "rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, target)
        except OSError as error:
            raise _write_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; on success it takes the place of ``target``.

    A folder that appeared at ``target`` meanwhile (another process made the same thing) is kept
    and the new one is dropped: both hold the same content by construction.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _write_error(target, error) from error
    try:
        try:
            yield temporary
            for path in temporary.rglob("*"):
                if path.is_file():
                    with open(path, "rb+") as handle:
                        os.fsync(handle.fileno())
            if not target.exists():
                os.chmod(temporary, 0o755)
                os.replace(temporary, target)
        except OSError as error:
            raise _write_error(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_error(target: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {target}: {error.strerror or error}")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    r"""Write ``text`` (UTF-8) atomically.

    Half a surrogate pair, which is how Python shows a byte of a file's name that is not UTF-8,
    becomes ``\udce9``, an escape that JSON reads back.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def local_path(given: str | os.PathLike[str], what: str) -> Path:
    """The path that somebody gave, whether it exists or not, with ``~`` as their home.

    Raises:
        InputError: it cannot be the name of a file here; ``what`` says what it should be of.
    """
    try:
        path = Path(given).expanduser()
        path.exists()  # the system's own word on it
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        shown = os.fspath(given)[:80]
        raise InputError(f"{what} {shown!r} cannot be read: {reason}") from error
    return path


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], remedy: str) -> Iterator[None]:
    """Around the reading of what this library wrote: whatever a parser says of it, it is damaged.

    Raises:
        InputError: the body failed; ``remedy`` says what to do. Input errors of the body pass.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # parsers raise what they like
        reason = (
            "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({_say(error)})"
        )
        raise InputError(f"{path} {reason}; {remedy}") from error


def _say(error: Exception) -> str:
    """What an exception says, shortly; a missing key by itself says too little."""
    text = one_line(str(error))[:120]
    return f"no {text}" if isinstance(error, KeyError) else text or type(error).__name__


def read_json(path: str | os.PathLike[str], remedy: str) -> dict[str, Any]:
    """A JSON object that :func:`write_json` wrote.

    Raises:
        InputError: the file is missing or damaged, or holds something else.
    """
    with reading(path, remedy):
        value = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError(f"a JSON object is expected, not {type(value).__name__}")
        return value


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
