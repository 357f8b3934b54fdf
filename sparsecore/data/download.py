"""Download over https and unpack safely: checked bytes or nothing."""

from __future__ import annotations

import contextlib
import errno
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from sparsecore.data.text_files import BOMB
from sparsecore.errors import InputError, check_installed

_TOO_LARGE = f"unpacks to more than {BOMB} times its size; nothing was kept"
SCHEMES = frozenset({"https"})


@dataclass(frozen=True)
class Remote:
    """One file to download: mirrors of the same bytes, tried in turn, and their SHA-256."""

    urls: tuple[str, ...]
    sha256: str | None = None
    size: int | None = None  # bytes

    @property
    def file(self) -> str:
        """The name of the download."""
        return PurePosixPath(urlsplit(self.urls[0]).path).name


def download(remote: Remote, path: Path, sha256: str | None, progress: bool = True) -> Path:
    """Put the bytes of ``remote`` at ``path``, from the first of its mirrors that gives them.

    Nothing is left behind unless their SHA-256 is ``sha256`` (None: not checked). A file that is
    there already and has that checksum is kept.

    Raises :class:`~sparsecore.errors.InputError`, one line, if no mirror can be reached, the
    checksum is wrong, an address or redirection is not https, or the disk is full.
    """
    check_installed("experiments", "pooch", "requests")
    import pooch
    import requests

    for url in remote.urls:
        _check_scheme(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    _check_space(path.parent, remote)
    pooch.get_logger().setLevel("WARNING")
    fetcher: Any = pooch.HTTPDownloader(
        progressbar=progress,
        chunk_size=1 << 16,
        headers={"User-Agent": "sparsecore (research data download)"},
        hooks={"response": _check_redirect},
        timeout=30,
    )
    known = f"sha256:{sha256}" if sha256 else None
    problems = []
    for url in remote.urls:
        try:
            pooch.retrieve(url, known, path.name, path.parent, downloader=fetcher)
            return path
        except requests.RequestException as error:
            problems.append(f"{urlsplit(url).hostname}: {_reason(error)}")
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            problems.append(f"{urlsplit(url).hostname}: wrong sha256, expected {sha256}")
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    raise InputError(f"cannot download {path.name} ({'; '.join(problems)}); nothing was kept")


def extract(archive: Path, members: dict[str, str], folder: Path) -> None:
    """Copy ``members`` (name in ``folder`` -> name in ``archive``) out of a zip or tar archive.

    Only the named members are read, and written under names of our own; an archive that holds a
    name which would leave its folder (absolute, or with ``..``) is refused as a whole, as is one
    that unpacks to more than :data:`BOMB` times its size.

    Raises:
        InputError: an archive of another form, damaged, unsafe, or without one of the members.
    """
    room = BOMB * archive.stat().st_size + (1 << 20)
    try:
        with _opened(archive, room) as (names, open_member):
            known = _check_names(names, archive)
            for target, member in members.items():
                if member not in known:
                    raise InputError(f"{archive.name} has no {member}; nothing was kept")
                source = open_member(known[member])
                if source is None:
                    raise InputError(f"{member} in {archive.name} is not a plain file")
                with source:
                    room = _copy(source, folder / target, room, archive)
    except InputError:
        raise
    except (OSError, *_UNSOUND) as error:
        number = getattr(error, "errno", None)
        if number is None or number == errno.EINVAL:  # EINVAL: a place before the file begins
            raise InputError(f"{archive.name} is not a sound zip or tar archive") from error
        raise InputError(f"cannot unpack {archive}: {os.strerror(number)}") from error


# of a member that is cut short, of another method, encrypted, with a name that is no text, …
_UNSOUND = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    LookupError,
    RuntimeError,
    ValueError,
    OverflowError,
)


@contextlib.contextmanager
def _opened(
    archive: Path, room: int
) -> Iterator[tuple[Iterable[str], Callable[[str], IO[bytes] | None]]]:
    """The names in an archive, and what opens a plain file of it (None where it is a link, say)."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            yield packed.namelist(), packed.open
    else:
        with tarfile.open(archive) as packed:
            entries = {entry.name: entry for entry in _entries(packed, room, archive)}
            plain = {name: entry for name, entry in entries.items() if entry.isreg()}
            yield entries, lambda name: packed.extractfile(plain[name]) if name in plain else None


def is_archive(name: str) -> bool:
    """Whether a file of this name is to be unpacked."""
    return name.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz"))


def _check_names(names: Iterable[str], archive: Path) -> dict[str, str]:
    """The names as they are, by their tidy form (``./a`` is ``a``), if all of them are safe."""
    tidy = {}
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in str(path).split("/")[0]:
            raise InputError(f"{archive.name} holds an unsafe name, {name!r}; nothing was unpacked")
        tidy[str(path)] = name
    return tidy


def _entries(packed: tarfile.TarFile, room: int, archive: Path) -> Iterator[tarfile.TarInfo]:
    """The entries of a tar archive, as long as what they claim to hold is within reason."""
    for entry in packed:
        room -= max(entry.size, 0)
        if room < 0:
            raise InputError(f"{archive.name} {_TOO_LARGE}")
        yield entry


def _copy(source: IO[bytes], target: Path, room: int, archive: Path) -> int:
    """Write a member; how many bytes may still be unpacked after it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as handle:
        while True:
            block = source.read(min(1 << 20, room + 1))
            if not block:
                return room
            room -= len(block)
            if room < 0:
                raise InputError(f"{archive.name} {_TOO_LARGE}")
            handle.write(block)


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES:
        raise InputError(f"{url} is not an https address; downloads are made over https only")


def _check_redirect(response: Any, *_: Any, **__: Any) -> None:
    if response.is_redirect:
        _check_scheme(urljoin(response.url, response.headers["location"]))


def _check_space(folder: Path, remote: Remote) -> None:
    free = shutil.disk_usage(folder).free
    if remote.size is not None and remote.size > free:
        raise InputError(
            f"{remote.size / 1e6:,.0f} MB are to be downloaded and {folder} has "
            f"{free / 1e6:,.0f} MB free; make room or set SPARSECORE_HOME to another disk"
        )


def _reason(error: Exception) -> str:
    import requests

    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no valid https certificate"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return "no connection"
