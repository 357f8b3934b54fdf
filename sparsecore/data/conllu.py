"""Read CoNLL-U, the format of the Universal Dependencies treebanks, plain or compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, AnyStr, NamedTuple

from sparsecore.errors import InputError

_OPENERS: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
_WORD, _UPOS, _XPOS = 1, 3, 4
BOMB = 200  # times its size that a compressed file may unpack to; text is packed to a fifth or so
LONGEST_LINE = 1_000_000


class Sentence(NamedTuple):
    """One sentence: its words and, for each of them, the universal and the treebank's own tag."""

    words: list[str]
    upos: list[str]
    xpos: list[str]


def read_conllu(path: str | os.PathLike[str]) -> list[Sentence]:
    """All sentences of a CoNLL-U file, which may be compressed (``.xz``, ``.gz``, ``.bz2``).

    Words are the treebank's syntactic words: the surface form of a contraction (line ``1-2``) and
    words that are not written (line ``8.1``) are left out.

    Raises :class:`~sparsecore.errors.InputError` if the file is missing, is not UTF-8 text, has a
    line of the wrong form or holds no sentence. Source: https://universaldependencies.org/format
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no CoNLL-U file at {path}")
    try:
        with io.TextIOWrapper(open_binary(path), encoding="utf-8") as lines:
            sentences = list(_sentences(bounded_lines(lines, path), path))
    except (UnicodeDecodeError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise InputError(f"{path} cannot be read as CoNLL-U text: {error}") from error
    if not sentences:
        raise InputError(f"{path} holds no CoNLL-U sentence")
    return sentences


def open_binary(path: Path) -> io.BufferedReader:
    """A file's bytes, decompressed according to its suffix.

    Reading raises :class:`InputError` where a compressed file unpacks to more than 200 times its
    size: no text does.
    """
    if path.suffix not in _OPENERS:
        return open(path, "rb")
    return io.BufferedReader(_Unpacked(_OPENERS[path.suffix](path, "rb"), path), 1 << 16)


class _Unpacked(io.RawIOBase):
    """The decompressed bytes of a file, as long as there are not absurdly many."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.stream, self.path = stream, path
        self.room = BOMB * path.stat().st_size + (1 << 20)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the stream."""
        data = self.stream.read(len(buffer))
        self.room -= len(data)
        if self.room < 0:
            raise InputError(f"{self.path} unpacks to more than {BOMB} times its size: not a text")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file beneath."""
        self.stream.close()
        super().close()


def bounded_lines(stream: IO[AnyStr], path: Path) -> Iterator[AnyStr]:
    """The lines of a stream; :class:`InputError` for one of more than a million signs."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise InputError(
                f"{path}, line {number}: more than {LONGEST_LINE:,} signs; is it of this format?"
            )
        yield line


def _sentences(lines: Iterable[str], path: Path) -> Iterator[Sentence]:
    rows: list[list[str]] = []
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line.strip():
            if rows:
                yield _sentence(rows)
            rows = []
        elif not line.startswith("#"):
            columns = line.split("\t")
            if len(columns) != 10:
                raise InputError(
                    f"{path}, line {number}: {len(columns)} tab-separated columns "
                    "where CoNLL-U has 10"
                )
            if columns[0].isdigit():
                rows.append(columns)
    if rows:
        yield _sentence(rows)


def _sentence(rows: list[list[str]]) -> Sentence:
    return Sentence(*([row[column] for row in rows] for column in (_WORD, _UPOS, _XPOS)))
