"""Fixed word vectors for the words of a corpus: GloVe text files, or PPMI vectors made here.

As Dodge et al. (2019, §3) use them: never trained, of length 1, random for words without one.
Row 0 of every table is the padding, zero; the word with id i has row i + 1; then ``<s>`` and
``</s>``, which begin and end a document.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.cache import cached
from sparsecore.data.locate import EMBEDDED, content_hash, names_of
from sparsecore.data.ppmi import ppmi_vectors
from sparsecore.data.sources import SOURCES, require
from sparsecore.data.text_files import read_lines, read_number
from sparsecore.errors import InputError, near_match
from sparsecore.files import local_path, read_json, write_json
from sparsecore.home import REMAKE

VERSION = 3  # raise when the same sources would give other vectors
UNKNOWN_RANGE = 0.25  # words without a vector: U(-0.25, 0.25), before they get length 1
SEED = 0  # of those
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
        known, known_words, content = ppmi_vectors(size or DEFAULT_SIZE, progress)
        name = f"PPMI vectors of the embedded text, {known.shape[1]} wide"
        row = {word: number for number, word in enumerate(known_words)}
        found = {n: known[row[word]] for n, word in enumerate(words) if word in row}
        return _table(name, content, found, len(words), known.shape[1])
    path = _file(vectors, size)
    content = content_hash(path)

    def make(folder: Path) -> None:
        found = read_vectors(path, words)
        made = _table(path.name, content, found, len(words), len(next(iter(found.values()))))
        np.save(folder / "table.npy", made.table)
        write_json(folder / "info.json", {"sha256": made.sha256, **made.info})

    def load(folder: Path) -> Vectors:
        info = read_json(folder / "info.json", REMAKE)
        table = np.load(folder / "table.npy", allow_pickle=False)
        if table.shape != (len(words) + 3, info["width"]) or table.dtype != np.float32:
            raise ValueError(f"table.npy is {table.dtype} {table.shape}")
        if hashlib.sha256(table.tobytes()).hexdigest() != info["sha256"]:
            raise ValueError("table.npy has not the numbers that were written")
        return Vectors(path.name, info.pop("sha256"), table, info)

    return cached("vectors", [content, list(words), VERSION], make, load)


def read_vectors(path: Path, words: Sequence[str]) -> dict[int, NDArray[np.float32]]:
    """The vectors of those ``words`` that a text file of vectors has, by the word's number.

    A line is a word and its numbers, separated by blanks or tabs; a first line of two whole numbers
    (words and width, as word2vec writes it) gives the width, else the first line does. A word may
    hold blanks, as some of GloVe 840B do: the numbers are the last of the line. Where a word stands
    twice the first counts. Letters with marks are found however either side composes them.
    """
    as_they_are = {word: number for number, word in enumerate(words)}
    index = {**{_composed(word): number for word, number in as_they_are.items()}, **as_they_are}
    found: dict[int, NDArray[np.float32]] = {}
    width, number = 0, 0
    for number, line in enumerate(read_lines(path, "surrogateescape"), 1):
        line = line.replace("\t", " ").rstrip(" ")
        word, _, rest = line.partition(" ")
        columns = rest.count(" ") + 1 if rest else 0
        where = f"{path}, line {number}"
        if number == 1 and columns == 1 and _is_count(word) and _is_count(rest):
            width = int(rest)
            continue
        if not columns:
            if not word:
                continue
            raise InputError(f"{where}: a word without numbers: {_shown(line)}")
        width = width or _first_width(rest)
        if columns != width:
            word, rest = _split_end(line, width, where)
        at = index.get(word, index.get(_composed(word)))
        if at is not None and at not in found:
            found[at] = _numbers(rest, width, where)
    if not number:
        raise InputError(f"{path} is empty")
    if not found:
        raise InputError(
            f"{path} has a vector for none of the {len(words)} words of the corpus "
            f"({', '.join(words[:3])}, …)"
        )
    return found


def _composed(word: str) -> str:
    return word if word.isascii() else unicodedata.normalize("NFC", word)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _first_width(rest: str) -> int:
    """How many numbers end a first line; all of its columns if none is a number."""
    columns = rest.split()
    trailing = next((n for n, c in enumerate(reversed(columns)) if not _is_number(c)), len(columns))
    return trailing or len(columns)


def _split_end(line: str, width: int, where: str) -> tuple[str, str]:
    """A word with blanks in it and the ``width`` numbers that end the line."""
    columns = line.split()
    extra = columns[1:-width]
    if len(columns) <= width or (extra and all(map(_is_number, extra))):
        raise InputError(f"{where}: {len(columns) - 1} numbers where the lines before have {width}")
    return " ".join(columns[:-width]), " ".join(columns[-width:])


def _is_number(text: str) -> bool:
    try:
        read_number(text)
    except ValueError:
        return False
    return True


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
    if vectors in SOURCES:
        files = [name for name in SOURCES[vectors].files if name.endswith(f".{size or 0}d.txt")]
        if SOURCES[vectors].kind != KIND:
            raise InputError(f"{vectors} holds {SOURCES[vectors].kind}, not {KIND}")
        if not files:
            widths = ", ".join(SOURCES[vectors].files)
            raise InputError(f"vector_size={size} is none of {vectors}'s: {widths}")
        path = require(vectors) / files[0]
        if not path.exists():
            there = ", ".join(sorted(file.name for file in path.parent.glob("*d.txt")))
            raise InputError(f"vector_size={size}: {path.parent} has {there} alone")
        return path
    path = local_path(vectors, "vectors")
    if path.is_file():
        return path
    if path.suffix or "/" in vectors:
        raise InputError(f"vectors path {vectors} does not exist")
    raise InputError(f"unknown vectors {vectors!r}{near_match(vectors, names_of(KIND))}")


def _numbers(text: str, width: int, where: str) -> NDArray[np.float32]:
    try:
        vector = np.array([read_number(part) for part in text.split()], dtype=np.float32)
    except ValueError:
        raise InputError(f"{where}: not numbers: {_shown(text)}") from None
    if len(vector) != width:
        raise InputError(f"{where}: {len(vector)} numbers where the lines before have {width}")
    if not (np.abs(vector) < LARGEST).all():
        raise InputError(f"{where}: a number that is not finite, or not below {LARGEST:.0e}")
    return vector


def _shown(line: str) -> str:
    return repr(line[:40].strip())
