"""Where the text of a corpus lies: the installed packages, a path, or a fetched download."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from sparsecore.data.catalogue import SOURCES
from sparsecore.data.readers import find_splits
from sparsecore.errors import InputError, near_match
from sparsecore.files import local_path, read_json, reading, sha256_file, write_json
from sparsecore.home import REMAKE, cache_dir

EMBEDDED = "embedded"


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from: one file, split by document, or one file for each split."""

    name: str
    files: dict[str, Path]  # {"all": …} or {"train": …, "valid": …, "test": …}
    description: str
    licence: str = "unknown"
    form: str | None = None  # of the files; detected if None


def find_source(corpus: str, progress: bool = True) -> Source:
    """The files of ``corpus``: a name wins over a path (write ``./ptb`` for a folder called so).

    Raises :class:`InputError` if it is neither a known name nor a path, or names a download that
    was not fetched.
    """
    if not isinstance(corpus, str | os.PathLike) or not str(corpus).strip():
        raise InputError(f"corpus must be a name or a path, not {corpus!r}")
    corpus = os.fspath(corpus)
    if corpus == EMBEDDED:
        return _embedded(progress)
    if corpus in SOURCES:
        return _fetched(corpus)
    path = local_path(corpus, "corpus")
    if path.is_dir():
        name = path.resolve().name
        return Source(name, find_splits(path), f"local folder {name}")
    if path.is_file():
        name = path.name.removesuffix(".xz").removesuffix(".gz").removesuffix(".txt")
        return Source(name, {"all": path}, f"local file {path.name}")
    if path.exists():
        raise InputError(f"corpus {corpus} is neither a file nor a folder")
    if os.sep in corpus or path.suffix:
        raise InputError(f"corpus path {corpus} does not exist")
    raise InputError(f"unknown corpus {corpus!r}{near_match(corpus, _names())}")


def content_hash(path: Path) -> str:
    """SHA-256 of a file, remembered as long as its path, size and time of change stay the same."""
    path = path.resolve()
    try:
        state = path.stat()
        key = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
        memo = cache_dir("hashes") / f"{key}.json"
        stamp = [state.st_size, state.st_mtime_ns]
        known = _remembered(memo)
        if known.get("stamp") == stamp:
            return known["sha256"]
        digest = sha256_file(path)
    except OSError as error:
        raise InputError(f"cannot read corpus file {path}: {error.strerror}") from error
    write_json(memo, {"stamp": stamp, "sha256": digest})
    return digest


def _remembered(memo: Path) -> dict[str, str]:
    try:
        known = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and "sha256" in known else {}


def _names() -> list[str]:
    return [EMBEDDED, *(name for name, entry in SOURCES.items() if entry.kind == "language model")]


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


def _fetched(name: str) -> Source:
    from sparsecore.data.sources import require

    entry = SOURCES[name]
    if entry.kind != "language model":
        known = ", ".join(_names())
        raise InputError(f"{name} holds {entry.kind}, not running text; corpora are {known}")
    return Source(name, find_splits(require(name)), entry.title, entry.licence)
