"""The data sets that can be fetched by name, each into a folder of plain text files.

Three places a corpus can come from: the text that is embedded in the installed packages, a path of
your own, and these downloads. Nothing is ever downloaded unless :func:`fetch` is called.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from sparsecore.data.catalogue import SOURCES, DataSource, Remote
from sparsecore.data.download import download, extract, is_archive
from sparsecore.data.text_files import open_binary
from sparsecore.errors import InputError, near_match
from sparsecore.files import atomic_folder, local_path, read_json, sha256_file, write_json
from sparsecore.home import cache_dir

__all__ = ["SOURCES", "describe", "fetch", "find", "require", "resolve", "take"]

MANIFEST = "source.json"
UNPINNED = "no published sha256: pinned at first download"


def find(name: str) -> DataSource:
    """The data set called ``name``; :class:`InputError` with the near match if there is none."""
    if name not in SOURCES:
        raise InputError(f"unknown data set {name!r}{near_match(name, SOURCES)}")
    return SOURCES[name]


def resolve(name: str) -> Path | None:
    """The folder of a fetched data set; None if it has not been fetched, or not wholly.

    Raises :class:`InputError` for an unknown name.
    """
    source = find(name)
    folder = _folder(source)
    try:
        fetched = read_json(folder / MANIFEST, "fetch it again")["files"]
        sizes = {file["name"]: file["size"] for file in fetched}
    except (InputError, KeyError, TypeError):
        return None
    files = [file for file in source.files if file in sizes or not source.separable]
    complete = all(
        (folder / file).is_file() and (folder / file).stat().st_size == sizes.get(file)
        for file in files
    )
    return folder if files and complete else None


def require(name: str) -> Path:
    """The folder of a fetched data set; :class:`InputError` with the command that fetches it."""
    folder = resolve(name)
    if folder is None:
        raise InputError(f"{name} is not downloaded; `sparsecore data fetch {name}` does it")
    return folder


def fetch(name: str, progress: bool = True) -> Path:
    """Download ``name`` over https, check it, unpack it; the folder it is in.

    A data set that is there already is not downloaded again. Files get plain names: ``train.txt``,
    ``valid.txt``, ``test.txt`` for language models, ``train.conllu``, ``dev.conllu``,
    ``test.conllu`` for tagged text, ``DOMAIN/positive.review`` and ``DOMAIN/negative.review`` for
    reviews, GloVe's own for word vectors. ``source.json`` beside them records addresses, SHA-256 of
    every file, licence and citation.

    Every download is checked against its published SHA-256. Where none has been published, the
    hash of the first download is recorded, and any later download must have the same.

    Raises :class:`~sparsecore.errors.InputError`, one line, with nothing half-written: unknown
    name, no connection, wrong checksum, archive of the wrong form, full disk.
    """
    source = find(name)
    ready = resolve(name)
    if ready is not None:
        return ready
    folder, work = _folder(source), cache_dir("downloads", ".incoming", name)
    try:
        loads = []
        for remote in source.remotes:
            file = _file_name(remote)
            known = remote.sha256 or _pins().get(_pin_key(source, file))
            loads.append(download(remote, work / file, known, progress))
        if folder.exists():  # incomplete or changed by hand
            shutil.rmtree(folder)
        with atomic_folder(folder) as temporary:
            for path in loads:
                members = _members(source, path.name)
                if is_archive(path.name):
                    extract(path, members, temporary)
                else:
                    for target in members:
                        shutil.copyfile(path, temporary / target)
            downloads = [
                {"urls": list(remote.urls), "sha256": sha256_file(path)}
                for remote, path in zip(source.remotes, loads, strict=True)
            ]
            _write_manifest(source, temporary, downloads)
        for path in loads:
            _pin(source, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def take(name: str, copies: str | Path) -> Path:
    """Use copies of your own as the data set ``name``, where nothing can be downloaded.

    ``copies``: a folder with its files, under the names that they have here (``train.txt``) or
    with the publisher (``wiki.train.tokens``), plain or packed as .xz, .gz or .bz2. No checksum is
    known of single files: ``source.json`` records theirs, and that nothing was downloaded. Of word
    vectors one width is enough.

    Raises :class:`~sparsecore.errors.InputError`, with nothing written: unknown name, a file that
    is not there or damaged.
    """
    source, copies = find(name), local_path(copies, "folder of copies")
    found = {target: _copy_of(copies, target, member) for target, member in source.files.items()}
    missing = [target for target, path in found.items() if path is None]
    if missing and (not source.separable or len(missing) == len(found)):
        target = missing[0]
        names = " or ".join(_names_of_copy(target, source.files[target]))
        raise InputError(f"{copies} has no {names}, plain or as .xz, .gz, .bz2")
    folder = _folder(source)
    if folder.exists() and resolve(name) is None:  # incomplete or changed by hand
        shutil.rmtree(folder)
    if folder.exists():
        return folder
    with atomic_folder(folder) as temporary:
        for target, path in found.items():
            if path is None:
                continue
            (temporary / target).parent.mkdir(parents=True, exist_ok=True)
            with open_binary(path) as packed, (temporary / target).open("wb") as plain:
                shutil.copyfileobj(packed, plain)
        _write_manifest(source, temporary, [])
    return folder


def _copy_of(copies: Path, target: str, member: str) -> Path | None:
    for name in _names_of_copy(target, member):
        for packed in ("", ".xz", ".gz", ".bz2"):
            if (path := copies / f"{name}{packed}").is_file():
                return path
    return None


def _names_of_copy(target: str, member: str) -> list[str]:
    return list(dict.fromkeys((target, member, PurePosixPath(member).name)))


def describe(name: str) -> dict[str, str]:
    """Everything known of one data set, by what it is."""
    source = find(name)
    folder = resolve(name)
    facts = {
        "name": source.name,
        "title": source.title,
        "kind": source.kind,
        "download": "size unknown" if source.size is None else f"{source.size / 1e6:,.1f} MB",
        "licence": source.licence,
        "citation": source.citation,
        "homepage": source.homepage,
        "files": ", ".join(source.files),
        "folder": "not downloaded" if folder is None else str(folder),
    }
    for remote in source.remotes:
        file = _file_name(remote)
        facts[f"address of {file}"] = " or ".join(remote.urls)
        pin = _pins().get(_pin_key(source, file))
        known = f"{UNPINNED}{f' ({pin})' if pin else ''}"
        facts[f"sha256 of {file}"] = remote.sha256 or known
    return facts


def _folder(source: DataSource) -> Path:
    return cache_dir("downloads") / source.name


def _file_name(remote: Remote) -> str:
    return PurePosixPath(urlsplit(remote.urls[0]).path).name


def _members(source: DataSource, file: str) -> dict[str, str]:
    """The files to keep of one download: all of an archive's, or the one that is the download."""
    if is_archive(file):
        return source.files
    return {target: member for target, member in source.files.items() if member == file}


def _write_manifest(source: DataSource, folder: Path, downloads: list[dict[str, Any]]) -> None:
    files = [
        {"name": name, "size": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in source.files
        if (folder / name).exists()
    ]
    record = {
        "name": source.name,
        "title": source.title,
        "licence": source.licence,
        "citation": source.citation,
        "homepage": source.homepage,
        "downloads": downloads,
        "files": files,
    }
    write_json(folder / MANIFEST, record)


def _pins() -> dict[str, str]:
    """SHA-256 of first downloads that had no published one, by data set and file."""
    path = _pin_file()
    if not path.exists():
        return {}
    pins = read_json(path, "remove it to pin downloads anew")
    if not all(isinstance(pin, str) for pin in pins.values()):
        raise InputError(f"{path} is damaged (not text by text); remove it to pin downloads anew")
    return pins


def _pin(source: DataSource, path: Path) -> None:
    if any(_file_name(remote) == path.name and remote.sha256 for remote in source.remotes):
        return
    write_json(_pin_file(), _pins() | {_pin_key(source, path.name): sha256_file(path)})


def _pin_key(source: DataSource, file: str) -> str:
    return f"{source.name}/{file}"


def _pin_file() -> Path:
    return cache_dir("downloads") / "pinned.json"
