"""Files that appear whole or not at all: temporary sibling, fsync, rename, fsync of the folder.

A process that is killed leaves its temporary sibling behind. Its name says whose it is, and the
next that is written in the same folder removes it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparsecore.errors import InputError, one_line

_TEMPORARY = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<process>\d{1,9})-[0-9a-f]{6}\.tmp")
_REMEDIES = {
    errno.ENOSPC: "make room there, then run the same command again",
    errno.EDQUOT: "make room there, then run the same command again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "make it writable, or set SPARSECORE_HOME to a folder that is",
    errno.EACCES: "make it writable, or set SPARSECORE_HOME to a folder that is",
}


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success it is synced and renamed to ``target``.

    If the body raises, the temporary file is removed and ``target`` is left as it was. A full disk
    or a read-only folder becomes one :class:`InputError`.
    """
    target = Path(target)
    temporary = _temporary(target)
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(target.parent)
            yield temporary
            _sync(temporary)
            os.replace(temporary, target)
            _sync(target.parent)
        except OSError as error:
            raise write_error(target, error) from error
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
    temporary = _temporary(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent)
        temporary.mkdir(mode=0o700)
    except OSError as error:
        raise write_error(target, error) from error
    try:
        try:
            yield temporary
            for path in [*temporary.rglob("*"), temporary]:
                _sync(path)
            if not target.exists():
                os.chmod(temporary, 0o755)
                _replace_unless_there(temporary, target)
                _sync(target.parent)
        except OSError as error:
            raise write_error(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_unless_there(temporary: Path, target: Path) -> None:
    """Of two processes that end at the same moment the second finds the folder of the first."""
    try:
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def remove_leftovers(folder: Path, every: bool = False) -> None:
    """Remove temporary siblings that killed processes left in ``folder``.

    That of a living process stays, and so does that of another machine with the same disk.

    Args:
        every: all of them, in the folders below as well. Only for who holds the folder's lock.
    """
    found = folder.rglob(".*.tmp") if every else folder.glob(".*.tmp")
    for path in list(found):
        made = _TEMPORARY.fullmatch(path.name)
        if made is None or not (every or _is_gone(made["machine"], int(made["process"]))):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def write_error(target: Path, error: OSError) -> InputError:
    """One line for what the disk refused: the path, the reason and what helps."""
    remedy = _REMEDIES.get(error.errno or 0)
    reason = error.strerror or str(error)
    return InputError(f"cannot write {target}: {reason}{f'; {remedy}' if remedy else ''}")


def _temporary(target: Path) -> Path:
    """A name that no other writer has, on any machine: they may share the disk."""
    owner = f"{_machine()}-{os.getpid()}"
    return target.with_name(f".{target.name}.{owner}-{secrets.token_hex(3)}.tmp")


def _machine() -> str:
    """Within which a process has its number to itself: two containers may have one host name."""
    try:
        numbers = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        numbers = 0
    return hashlib.sha256(f"{platform.node()} {numbers}".encode()).hexdigest()[:8]


def _is_gone(machine: str, process: int) -> bool:
    """Whether the process that made a temporary file is known to have ended."""
    if machine != _machine() or sys.platform == "win32":  # os.kill would end it there
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk."""
    folder = stat.S_ISDIR(path.stat().st_mode)
    if folder and sys.platform == "win32":  # has no such call
        return
    handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if not folder or error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks
            raise
    finally:
        os.close(handle)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    r"""Write ``text`` (UTF-8) atomically.

    Half a surrogate pair, which is how Python shows a byte of a file's name that is not UTF-8,
    becomes ``\udce9``, an escape that JSON reads back.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON, atomically.

    What UTF-8 cannot hold (file names may: any bytes) is written as JSON's own ``\\udc80``.
    """
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
