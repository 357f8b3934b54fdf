"""The ``embedded`` corpus: English sentences from the documentation of the installed packages.

Every Python environment holds some million words of technical English, written by people: the
documentation strings of the standard library and of the installed packages. They are read from the
source files (never imported), cleaned to plain sentences, and each is kept once. The corpus thus
depends on the packages that are installed; its content hash says which text a result comes from.
"""

from __future__ import annotations

import os
import platform
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from sparsecore.data.cache import cached
from sparsecore.data.docstrings import documentation_strings, paragraphs
from sparsecore.data.pool import parallel_map
from sparsecore.data.prose import sentences
from sparsecore.errors import InputError
from sparsecore.files import write_json

VERSION = 3  # raise when the same packages would give other sentences
LARGEST = 1 << 20  # larger source files are data
BATCH = 1 << 20  # bytes of source handed to a process at once

_SKIPPED = frozenset(
    "tests test testing _testing __pycache__ node_modules site-packages dist-packages "
    "lib2to3 idlelib sparsecore".split()
)
_SKIPPED_FILES = ("test_", "conftest", "license")
_KEY = re.compile(r"[^a-z]+")
_Module = tuple[str, list[tuple[str, list[str]]]]


def harvest(progress: bool = True) -> Path:
    """The folder of the harvested text, made now or kept from before for the same packages.

    ``text.txt``: a module a document, separated by blank lines; a sentence a line.
    ``paragraphs.parquet``: module, kind (which part of a documentation string: ``description``,
    ``parameter``, ``returned``, ``raised``), text. ``info.json``: packages and counts.
    """
    folders = site_folders()
    packages = installed(folders)
    return cached(
        "embedded",
        [packages, platform.python_version(), VERSION],
        lambda folder: _write(folder, folders, packages, progress),
        lambda folder: folder,
    )


def site_folders() -> list[Path]:
    """The folders of the standard library and of the installed packages."""
    names = ("stdlib", "purelib", "platlib")
    paths = {Path(sysconfig.get_path(name)).resolve() for name in names}
    return sorted(path for path in paths if path.is_dir())


def installed(folders: list[Path]) -> list[str]:
    """``name-version`` of every installed distribution, sorted."""
    return sorted(
        path.stem
        for folder in folders
        for path in folder.glob("*-info")
        if path.suffix in (".dist-info", ".egg-info") and not path.name.startswith("sparsecore-")
    )


def read_modules(files: list[tuple[str, str]]) -> list[_Module]:
    """For each ``(module, path)``: its paragraphs as ``(kind, sentences)``, empty ones left out."""
    result: list[_Module] = []
    for module, path in files:
        source = Path(path).read_text(encoding="utf-8", errors="replace")
        found = [
            (part.kind, kept)
            for text in documentation_strings(source)
            for part in paragraphs(text)
            if (kept := sentences(part.text, part.kind != "description"))
        ]
        if found:
            result.append((module, found))
    return result


def source_files(folders: list[Path]) -> list[tuple[str, str, int]]:
    """``(module, path, size)`` of the Python files to read, in an order that is always the same."""
    files = []
    for folder in folders:
        for parent, names, leaves in os.walk(folder):
            names[:] = sorted(name for name in names if name not in _SKIPPED)
            for leaf in sorted(leaves):
                path = Path(parent, leaf)
                if not leaf.endswith(".py") or leaf.startswith(_SKIPPED_FILES):
                    continue
                size = path.stat().st_size
                if 200 < size <= LARGEST:
                    module = ".".join(path.relative_to(folder).with_suffix("").parts)
                    files.append((module, str(path), size))
    return sorted(files)


def _batches(files: list[tuple[str, str, int]]) -> Iterator[list[tuple[str, str]]]:
    batch: list[tuple[str, str]] = []
    size = 0
    for module, path, length in files:
        batch.append((module, path))
        size += length
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write(folder: Path, folders: list[Path], packages: list[str], progress: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tqdm.auto import tqdm

    batches = list(_batches(source_files(folders)))
    seen: set[str] = set()
    rows: list[tuple[str, str, str]] = []
    documents: list[str] = []
    bar = tqdm(
        parallel_map(read_modules, batches),
        total=len(batches),
        desc="reading documentation",
        disable=not progress,
        delay=0.5,
    )
    for modules in bar:
        for module, found in modules:
            fresh = [
                (module, kind, new)
                for kind, lines in found
                if (new := [line for line in lines if _first_time(line, seen)])
            ]
            if fresh:
                rows.extend((module, kind, " ".join(lines)) for module, kind, lines in fresh)
                documents.append("\n".join(line for _, _, lines in fresh for line in lines))
    if len(documents) < 3:
        raise InputError(
            "the embedded corpus needs installed packages with documentation; "
            f"{', '.join(map(str, folders))} has {len(documents)} documented modules"
        )
    (folder / "text.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    module, kind, text = zip(*rows, strict=True)
    table = pa.table({"module": module, "kind": kind, "text": text})
    pq.write_table(table, folder / "paragraphs.parquet")
    info = {
        "python": platform.python_version(),
        "packages": packages,
        "modules": len(documents),
        "paragraphs": len(rows),
        "sentences": len(seen),
        "version": VERSION,
    }
    write_json(folder / "info.json", info)


def _first_time(sentence: str, seen: set[str]) -> bool:
    """Whether no sentence with the same letters was met before."""
    key = _KEY.sub(" ", sentence.lower())
    if key in seen:
        return False
    seen.add(key)
    return True
