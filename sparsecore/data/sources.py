"""The data sets that can be fetched by name, each into a folder of plain text files.

``catalogue.toml`` lists them: addresses, checksums, licences. Three places a corpus can come from:
the text that is embedded in the installed packages, a path of your own, and these downloads.
Nothing is ever downloaded unless :func:`fetch` is called.
"""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sparsecore.data.download import Remote, download, extract, is_archive
from sparsecore.data.text_files import open_binary
from sparsecore.errors import InputError, check_choice
from sparsecore.files import atomic_folder, local_path, read_json, sha256_file, write_json
from sparsecore.home import cache_dir

MANIFEST = "source.json"
UNPINNED = "no published sha256: pinned at first download"


@dataclass(frozen=True)
class DataSource:
    """A data set: what to download and which files of it to keep under which names."""

    name: str
    title: str
    kind: str  # "language model" | "parts of speech" | "word vectors" | "sentiment"
    remotes: tuple[Remote, ...]
    files: dict[str, str]  # name in our folder -> member of the archive, or name of the download
    licence: str
    citation: str
    homepage: str

    @property
    def size(self) -> str:
        """What is to be downloaded, in words."""
        sizes = [remote.size for remote in self.remotes if remote.size is not None]
        return f"{sum(sizes) / 1e6:,.1f} MB" if len(sizes) == len(self.remotes) else "size unknown"

    @property
    def separable(self) -> bool:
        """Whether each file is of use without the others, as each width of word vectors is."""
        return self.kind == "word vectors"

    @property
    def pinned(self) -> bool:
        """Whether every download has a published checksum."""
        return all(remote.sha256 for remote in self.remotes)


def _source(name: str, entry: dict[str, Any]) -> DataSource:
    remotes = [Remote(**(remote | {"urls": tuple(remote["urls"])})) for remote in entry["remotes"]]
    return DataSource(**(entry | {"name": name, "remotes": tuple(remotes)}))


_CATALOGUE = Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8")

SOURCES = {name: _source(name, entry) for name, entry in tomllib.loads(_CATALOGUE).items()}
"""Every downloadable data set by name."""


def find(name: str) -> DataSource:
    """The data set called ``name``; :class:`InputError` with the near match if there is none."""
    check_choice("data set", name, SOURCES)
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
    if (ready := resolve(name)) is not None:
        return ready
    folder, work = _folder(source), cache_dir("downloads", ".incoming", name)
    try:
        loads = []
        for remote in source.remotes:
            known = remote.sha256 or _pins().get(_pin_key(source, remote))
            loads.append(download(remote, work / remote.file, known, progress))
        hashes = [sha256_file(path) for path in loads]
        if folder.exists():  # incomplete or changed by hand
            shutil.rmtree(folder)
        with atomic_folder(folder) as temporary:
            for path in loads:
                if is_archive(path.name):
                    extract(path, source.files, temporary)
                    continue
                for target, member in source.files.items():
                    if member == path.name:
                        shutil.copyfile(path, temporary / target)
            downloads = [
                {"urls": list(remote.urls), "sha256": sha256}
                for remote, sha256 in zip(source.remotes, hashes, strict=True)
            ]
            _write_manifest(source, temporary, downloads)
        if not source.pinned:
            known = zip(source.remotes, hashes, strict=True)
            pins = {_pin_key(source, remote): sha for remote, sha in known if not remote.sha256}
            write_json(_pin_file(), _pins() | pins)
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
        "download": source.size,
        "licence": source.licence,
        "citation": source.citation,
        "homepage": source.homepage,
        "files": ", ".join(source.files),
        "folder": "not downloaded" if folder is None else str(folder),
    }
    for remote in source.remotes:
        facts[f"address of {remote.file}"] = " or ".join(remote.urls)
        pin = _pins().get(_pin_key(source, remote))
        known = f"{UNPINNED}{f' ({pin})' if pin else ''}"
        facts[f"sha256 of {remote.file}"] = remote.sha256 or known
    return facts


def _folder(source: DataSource) -> Path:
    return cache_dir("downloads") / source.name


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


def _pin_key(source: DataSource, remote: Remote) -> str:
    return f"{source.name}/{remote.file}"


def _pin_file() -> Path:
    return cache_dir("downloads") / "pinned.json"
