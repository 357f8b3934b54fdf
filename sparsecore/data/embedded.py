"""The ``embedded`` corpus: English sentences from the documentation of installed packages.

Every Python environment with PyTorch holds half a million words of technical English, written by
people: the documentation strings of the standard library and of a few large packages. They are read
from the source files (never imported), cleaned to plain sentences, and each is kept once. The
corpus thus depends on the versions of these; its content hash says which text a result comes from.
"""

from __future__ import annotations

import os
import platform
import re
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from sparsecore.data.cache import cached
from sparsecore.data.docstrings import documentation_strings, paragraphs
from sparsecore.data.pool import parallel_map
from sparsecore.data.prose import sentences
from sparsecore.errors import InputError
from sparsecore.files import write_json

PACKAGES = ("networkx", "numpy", "pandas", "scipy", "sympy")  # beside the standard library
VERSION = 4  # raise when the same packages would give other sentences
LARGEST = 1 << 20  # larger source files are data
BATCH = 1 << 20  # bytes of source handed to a process at once

_SKIPPED = frozenset(
    "tests test testing _testing __pycache__ site-packages dist-packages lib2to3 idlelib".split()
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
    folders = package_folders()
    packages = versions(folders)
    return cached(
        "embedded",
        [packages, platform.python_version(), VERSION],
        lambda folder: _write(folder, folders, packages, progress),
        lambda folder: folder,
    )


def package_folders() -> dict[str, Path]:
    """Where each of :data:`PACKAGES` lies, if installed; under ``""`` the standard library."""
    sites = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
    found = {"": Path(sysconfig.get_path("stdlib")).resolve()}
    found |= {name: site / name for name in PACKAGES for site in sites if (site / name).is_dir()}
    return found


def versions(folders: Mapping[str, Path]) -> list[str]:
    """``name-version`` of each of these packages, sorted."""
    return sorted(
        {
            path.stem
            for name, folder in folders.items()
            for path in folder.parent.glob(f"{name}-*-info")
            if name and path.suffix in (".dist-info", ".egg-info")
        }
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


def source_files(folders: Mapping[str, Path]) -> list[tuple[str, str, int]]:
    """``(module, path, size)`` of the Python files to read, in an order that is always the same."""
    files = []
    for package, folder in folders.items():
        for parent, names, leaves in os.walk(folder):
            names[:] = sorted(name for name in names if name not in _SKIPPED)
            for leaf in sorted(leaves):
                path = Path(parent, leaf)
                if not leaf.endswith(".py") or leaf.startswith(_SKIPPED_FILES):
                    continue
                size = path.stat().st_size
                if 200 < size <= LARGEST:
                    inside = path.relative_to(folder).with_suffix("").parts
                    module = ".".join((package, *inside) if package else inside)
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


def _write(folder: Path, folders: Mapping[str, Path], packages: list[str], progress: bool) -> None:
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
            f"{', '.join(map(str, folders.values()))} has {len(documents)} documented modules"
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
