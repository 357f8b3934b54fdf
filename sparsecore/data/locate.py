"""Where a corpus lies: in the installed packages, at a path, or in a fetched download."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparsecore.data.cache import settings_hash
from sparsecore.data.sources import SOURCES, require
from sparsecore.data.splits import bare_name, find_splits
from sparsecore.errors import InputError, near_match
from sparsecore.files import local_path, read_json, reading, sha256_file, write_json
from sparsecore.home import REMAKE, cache_dir

EMBEDDED = "embedded"
TEXT = "language model"  # the kind of data set that is running text
RACY = 2_000_000_000  # ns: a file changed since then may change again without another time
log = logging.getLogger("sparsecore.data")


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from, with its files: ``all``, or ``train``, ``valid``, ``test``.

    Where a part has several files, each has a name of its own below it: ``train/x.conllu``.
    """

    name: str
    files: dict[str, Path]
    description: str
    licence: str = "unknown"
    form: str | None = None  # of the text; detected if None

    def content(self) -> dict[str, str]:
        """SHA-256 of each file."""
        return {part: content_hash(path) for part, path in self.files.items()}


def text_files(path: Path) -> dict[str, Path]:
    """One file, to be split by document, or the train, valid and test file of a folder."""
    return {"all": path} if path.is_file() else find_splits(path)


def find_source(
    corpus: str,
    progress: bool = True,
    kind: str = TEXT,
    files: Callable[[Path], dict[str, Path]] = text_files,
) -> Source:
    """The files of ``corpus``: a name wins over a path (write ``./ptb`` for a folder called so).

    Args:
        kind: of the registry's data sets, those that will do.
        files: the files of a path, by the part that they are.

    Raises:
        InputError: it is neither a known name nor a path, names a download that was not fetched or
            holds something else, or ``files`` finds none.
    """
    if not isinstance(corpus, str | os.PathLike) or not str(corpus).strip():
        raise InputError(f"corpus must be a name or a path, not {corpus!r}")
    corpus = os.fspath(corpus)
    if corpus == EMBEDDED:
        return _embedded(progress)
    if corpus in SOURCES:
        entry = SOURCES[corpus]
        if entry.kind != kind:
            known = ", ".join(names_of(kind))
            raise InputError(f"{corpus} holds {entry.kind}, not {kind}; corpora are {known}")
        return Source(corpus, files(require(corpus)), entry.title, entry.licence)
    path = local_path(corpus, "corpus")
    if path.is_dir():
        name = path.resolve().name
        return Source(name, files(path), f"local folder {name}")
    if path.is_file():
        name = bare_name(path.name).removesuffix(".txt")
        return Source(name, files(path), f"local file {path.name}")
    if path.exists():
        raise InputError(f"corpus {corpus} is neither a file nor a folder")
    if os.sep in corpus or path.suffix:
        raise InputError(f"corpus path {corpus} does not exist")
    raise InputError(f"unknown corpus {corpus!r}{near_match(corpus, names_of(kind))}")


def names_of(kind: str) -> list[str]:
    """``embedded`` and the names of the registry's data sets of a kind."""
    return [EMBEDDED, *(name for name, entry in SOURCES.items() if entry.kind == kind)]


def say_dropped(name: str, dropped: Mapping[str, int]) -> None:
    """One line of the log that says what a reader left out, if anything."""
    parts = [f"{count:,} {what}" for what, count in dropped.items() if count]
    if parts:
        log.warning("%s: left out %s", name, ", ".join(parts))


def content_hash(path: Path) -> str:
    """SHA-256 of a file, remembered as long as it is the same file and was not written to.

    Its inode and the system's own time of change say so, which no program can set back (as ``rsync
    -t`` and ``tar`` do with the time of modification). Within two seconds of a change they prove
    nothing, and the hash is not kept.
    """
    path = path.resolve()
    try:
        memo = cache_dir("hashes") / f"{settings_hash(os.fsdecode(path))[:32]}.json"
        stamp = _stamp(path)
        known = _remembered(memo)
        if known.get("stamp") == stamp:
            return known["sha256"]
        digest = sha256_file(path)
    except OSError as error:
        raise InputError(f"cannot read corpus file {path}: {error.strerror}") from error
    if time.time_ns() - stamp[-1] > RACY and stamp == _stamp(path):
        with contextlib.suppress(InputError):  # a home that cannot be written can still be read
            write_json(memo, {"stamp": stamp, "sha256": digest})
    return digest


def _stamp(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def _remembered(memo: Path) -> dict[str, Any]:
    try:
        known = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and "sha256" in known else {}


def _embedded(progress: bool) -> Source:
    from sparsecore.data.embedded import harvest

    folder = harvest(progress)
    info = read_json(folder / "info.json", REMAKE)
    with reading(folder, REMAKE):
        python, packages = info["python"], len(info["packages"])
    return Source(
        EMBEDDED,
        {"all": folder / "text.txt"},
        f"documentation strings of Python {python} and {packages} installed packages",
        licence="that of each package",
        form="sentences",
    )
