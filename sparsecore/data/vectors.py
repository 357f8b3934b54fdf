"""Fixed word vectors for the words of a corpus: GloVe text files, or PPMI vectors made here.

As Dodge et al. (2019, §3) use them: never trained, of length 1, random for words without one.
Row 0 of every table is the padding, zero; the word with id i has row i + 1; then ``<s>`` and
``</s>``, which begin and end a document.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.catalogue import SOURCES
from sparsecore.data.conllu import bounded_lines
from sparsecore.data.locate import EMBEDDED, content_hash
from sparsecore.errors import InputError, near_match
from sparsecore.files import atomic_folder, local_path, read_json, reading, write_json
from sparsecore.home import REMAKE, cache_dir

VERSION = 1  # raise when the same sources would give other vectors
UNKNOWN_RANGE = 0.25  # words without a vector: U(-0.25, 0.25), before they get length 1
SEED = 0  # of those
BOUNDARIES = ("<s>", "</s>")
DEFAULT_SIZE = 50
LARGEST = 1e15  # of a number; float32 holds the square
KIND = "word vectors"


@dataclass(frozen=True)
class Vectors:
    """A table of word vectors: padding, one row a word, ``<s>``, ``</s>``; float32."""

    name: str
    sha256: str
    table: NDArray[np.float32] = field(repr=False)
    info: dict[str, Any] = field(repr=False)

    @property
    def width(self) -> int:
        """E."""
        return self.table.shape[1]


def word_vectors(
    vectors: str, words: Sequence[str], size: int | None = None, progress: bool = True
) -> Vectors:
    """The vectors of ``words``, each of length 1.

    ``vectors`` is ``"embedded"`` (PPMI vectors of the embedded text, ``size`` wide), the registry's
    ``glove-6b`` (fetch it first; ``size`` is 50, 100, 200 or 300) or the path of a text file in
    GloVe's format, plain or compressed (``.xz``, ``.gz``, ``.zip``). Only the given words are kept
    while the file is read. A word without a vector, as the two boundaries are, gets a random one.

    Raises :class:`~sparsecore.errors.InputError` if there is no such file, its lines differ in
    width, or it has none of the words. Source: Dodge et al. 2019, §3 and appendix A.
    """
    if size is not None and size < 1:
        raise InputError(f"vector_size must be at least 1, not {size}")
    if vectors == EMBEDDED:
        from sparsecore.data.ppmi import ppmi_vectors

        known, known_words, content = ppmi_vectors(size or DEFAULT_SIZE, progress)
        name = f"PPMI vectors of the embedded text, {known.shape[1]} wide"
        row = {word: number for number, word in enumerate(known_words)}
        found = {n: known[row[word]] for n, word in enumerate(words) if word in row}
        return _table(name, content, found, len(words), known.shape[1])
    path = _file(vectors, size)
    content = content_hash(path)
    key = hashlib.sha256(json.dumps([content, list(words), VERSION]).encode()).hexdigest()
    folder = cache_dir("vectors") / key
    if not (folder / "info.json").is_file():
        found = read_vectors(path, words)
        made = _table(path.name, content, found, len(words), len(next(iter(found.values()))))
        with atomic_folder(folder) as temporary:
            np.save(temporary / "table.npy", made.table)
            write_json(temporary / "info.json", {"sha256": made.sha256, **made.info})
    info = read_json(folder / "info.json", REMAKE)
    with reading(folder, REMAKE):
        table = np.load(folder / "table.npy", allow_pickle=False)
        if table.shape != (len(words) + 3, info["width"]) or table.dtype != np.float32:
            raise ValueError(f"table.npy is {table.dtype} {table.shape}")
        if hashlib.sha256(table.tobytes()).hexdigest() != info["sha256"]:
            raise ValueError("table.npy has not the numbers that were written")
        return Vectors(path.name, info.pop("sha256"), table, info)


def read_vectors(path: Path, words: Sequence[str]) -> dict[int, NDArray[np.float32]]:
    """The vectors of those ``words`` that a GloVe text file has, by the word's number.

    A line is a word and its numbers, separated by blanks; a first line of two whole numbers (words
    and width, as word2vec writes it) is passed over. Where a word stands twice the first counts.
    """
    index = {word.encode(): number for number, word in enumerate(words)}
    found: dict[int, NDArray[np.float32]] = {}
    width, number = 0, 0
    with _lines(path) as lines:
        for number, line in enumerate(_guarded(lines, path), 1):
            word, _, rest = line.rstrip().partition(b" ")
            columns = rest.count(b" ") + 1 if rest else 0
            if number == 1 and columns == 1 and word.isdigit() and rest.isdigit():
                continue
            if not columns:
                if not line.strip():
                    continue
                raise InputError(f"{path}, line {number}: a word without numbers: {_shown(line)}")
            if width and columns != width:
                raise InputError(
                    f"{path}, line {number}: {columns} numbers where the lines before have {width}"
                )
            width = columns
            at = index.get(word)
            if at is not None and at not in found:
                found[at] = _numbers(rest, width, f"{path}, line {number}")
    if not number:
        raise InputError(f"{path} is empty")
    if not found:
        raise InputError(
            f"{path} has a vector for none of the {len(words)} words of the corpus "
            f"({', '.join(words[:3])}, …)"
        )
    return found


def _table(
    name: str, content: str, found: dict[int, NDArray[np.float32]], count: int, width: int
) -> Vectors:
    if not found:
        raise InputError(f"{name} has a vector for none of the {count} words of the corpus")
    table = np.zeros((count + 3, width), dtype=np.float32)
    generator = np.random.default_rng(SEED)
    table[1:] = generator.uniform(-UNKNOWN_RANGE, UNKNOWN_RANGE, (count + 2, width))
    for number, vector in found.items():
        table[number + 1] = vector
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    table /= np.where(norms > 0, norms, 1)
    sha256 = hashlib.sha256(table.tobytes()).hexdigest()
    info = {"vectors": name, "width": width, "known": len(found), "words": count}
    return Vectors(name, sha256, table, {**info, "content": content})


def _file(vectors: str, size: int | None) -> Path:
    from sparsecore.data.sources import require

    if vectors in SOURCES:
        files = [name for name in SOURCES[vectors].files if name.endswith(f".{size or 0}d.txt")]
        if SOURCES[vectors].kind != KIND:
            raise InputError(f"{vectors} holds {SOURCES[vectors].kind}, not {KIND}")
        if not files:
            widths = ", ".join(SOURCES[vectors].files)
            raise InputError(f"vector_size={size} is none of {vectors}'s: {widths}")
        return require(vectors) / files[0]
    path = local_path(vectors, "vectors")
    if path.is_file():
        return path
    if path.suffix or "/" in vectors:
        raise InputError(f"vectors path {vectors} does not exist")
    known = [EMBEDDED, *(name for name, entry in SOURCES.items() if entry.kind == KIND)]
    raise InputError(f"unknown vectors {vectors!r}{near_match(vectors, known)}")


@contextmanager
def _lines(path: Path) -> Iterator[IO[bytes]]:
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                if len(names) != 1:
                    raise InputError(f"{path} holds {len(names)} files; unpack the one you mean")
                with archive.open(names[0]) as lines:
                    yield lines
            return
        opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
        with cast("IO[bytes]", opener(path, "rb")) as raw:
            yield io.BufferedReader(cast(Any, raw), 1 << 20)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeError) as error:
        # of another version or method, encrypted, with a name that is no text
        raise InputError(f"{path} is damaged ({error})") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _guarded(lines: IO[bytes], path: Path) -> Iterator[bytes]:
    try:
        yield from bounded_lines(lines, path)
    except (lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise InputError(f"{path} is damaged or cut short ({error})") from error


def _numbers(text: bytes, width: int, where: str) -> NDArray[np.float32]:
    try:
        vector = np.array(text.split(), dtype=np.float32)
    except ValueError:
        raise InputError(f"{where}: not numbers: {_shown(text)}") from None
    if len(vector) != width:
        raise InputError(f"{where}: {len(vector)} numbers where single blanks make {width}")
    if not (np.abs(vector) < LARGEST).all():
        raise InputError(f"{where}: a number that is not finite, or not below {LARGEST:.0e}")
    return vector


def _shown(line: bytes) -> str:
    return repr(line[:40].decode("utf-8", "replace").strip())
