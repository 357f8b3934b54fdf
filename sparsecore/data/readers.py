"""Text files, plain or compressed, read as a stream of chunks that end between documents."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sparsecore.data.text_files import Unpacked, encoding_of, open_binary
from sparsecore.errors import InputError

BLOCK = 1 << 20  # bytes read at once
LONGEST = 8 << 20  # a longer document is handed out in pieces
FORMATS = {
    "headings": "a document begins at each ' = Title = ' line",
    "blank lines": "documents separated by blank lines, each line a paragraph",
    "wrapped": "documents separated by blank lines, their lines wrapped",
    "lines": "one document or sentence a line",
    "sentences": "documents separated by blank lines, one sentence a line",
}
TOKENISED = "tokenised"  # one line after another as they are; never detected, only asked for

_BLANK = re.compile(rb"\n[ \t\r]*\n")
_FIRST_TITLE = re.compile(r"\s*^ ?= (?!=).*(?<!=) = ?\n[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True)
class Chunk:
    """Some bytes of a file, the offset of the first, the file's format and name."""

    data: bytes
    offset: int
    form: str
    path: str


def detect_format(sample: str) -> str:
    """The format (a key of :data:`FORMATS`) of a file that begins with ``sample``.

    Headings if the first line with words is a title and the next one is blank, as in WikiText;
    else blank lines if any line is blank, in which case the lines are wrapped ones if nearly all
    have at most 100 characters and most of those that are followed by another line do not end as a
    sentence does; else lines.
    """
    if _FIRST_TITLE.match(sample):
        return "headings"
    blocks = re.split(r"\n[ \t]*\n", sample.strip("\n"))
    if len(blocks) < 2:
        return "lines"
    inner = [line.rstrip() for block in blocks for line in block.split("\n")[:-1] if line.strip()]
    if not inner:
        return "blank lines"
    long = sum(len(line) > 100 for line in inner) / len(inner)
    ended = sum(line[-1] in ".!?:\"')" for line in inner) / len(inner)
    return "wrapped" if long < 0.05 and ended < 0.5 else "blank lines"


def read_chunks(
    path: Path, advance: Callable[[int], object] | None = None, form: str | None = None
) -> Iterator[Chunk]:
    """The text of ``path``, which may be compressed, in pieces of about a megabyte.

    A piece ends after a document, unless the document is longer than 8 MB. ``advance`` is told how
    many bytes of the file itself were read since the last call. ``form`` is detected unless it is
    given. Raises :class:`InputError` if the file is empty, cannot be read, is cut short or is not
    text.
    """
    with open_binary(path) as stream:
        raw = cast("Unpacked", stream.raw).file
        encoding = encoding_of(stream.peek(4))
        if encoding in ("utf-16", "utf-32"):
            read = _recoded(stream, encoding, path)
        else:
            read = stream.read
        before, offset, rest = 0, 0, b""
        first = read(BLOCK)
        if not first:
            raise InputError(f"corpus file {path} is empty")
        if first.startswith(codecs.BOM_UTF8):
            first, offset = first[3:], 3
        check_text(first, offset, path)
        # with lone \r for line ends there would be no line break to cut at
        old_mac = b"\r" in first and b"\n" not in first
        first = first.replace(b"\r", b"\n") if old_mac else first
        form = form or detect_format(_newlines(_prefix(first)))
        block = first
        while block:
            if advance is not None:
                advance(raw.tell() - before)
                before = raw.tell()
            rest += block
            cut = _cut(rest, form)
            if not cut and len(rest) > LONGEST:
                raise InputError(
                    f"corpus file {path} is not text: no space or line break in the "
                    f"{len(rest) >> 20} MB from offset {offset} on"
                )
            if cut:
                yield Chunk(rest[:cut], offset, form, str(path))
                rest, offset = rest[cut:], offset + cut
            block = read(BLOCK)
            block = block.replace(b"\r", b"\n") if old_mac else block
        if rest:
            yield Chunk(rest, offset, form, str(path))


def check_text(data: bytes, offset: int, path: Path | str) -> None:
    """Raise :class:`InputError` if ``data``, which begins at ``offset``, has a NUL byte."""
    position = data.find(b"\0")
    if position >= 0:
        raise InputError(
            f"corpus file {path} is not text (a NUL byte at offset {offset + position}); "
            "give UTF-8 text, plain or compressed as .gz or .xz"
        )


def decode(chunk: Chunk) -> str:
    """The chunk's text, with ``\\n`` line ends; :class:`InputError` if it is not UTF-8."""
    check_text(chunk.data, chunk.offset, chunk.path)
    try:
        text = chunk.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"corpus file {chunk.path} is not UTF-8 text: byte 0x{chunk.data[error.start]:02x} at "
            f"offset {chunk.offset + error.start}; convert it, e.g. with iconv"
        ) from None
    return _newlines(text)


def _cut(data: bytes, form: str) -> int:
    """Where the last document of ``data`` that is surely whole ends (0: nowhere yet)."""
    if form in ("lines", TOKENISED):
        cut = data.rfind(b"\n") + 1
    elif form == "headings":
        cut = max(data.rfind(b"\n = "), data.rfind(b"\n= ")) + 1
    else:
        start = max(0, len(data) - BLOCK)
        cut = max((match.end() for match in _BLANK.finditer(data, start)), default=0)
    if not cut and len(data) > LONGEST:
        cut = (data.rfind(b"\n") + 1) or (data.rfind(b" ") + 1)
    return cut


def _prefix(block: bytes) -> str:
    return codecs.getincrementaldecoder("utf-8")("replace").decode(block)


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _recoded(stream: io.BufferedReader, encoding: str, path: Path) -> Callable[[int], bytes]:
    """``stream.read`` of a text in UTF-16 or UTF-32, as UTF-8; it counts characters, not bytes."""
    text = io.TextIOWrapper(stream, encoding=encoding, newline="")

    def read(count: int) -> bytes:
        try:
            return text.read(count).encode()
        except UnicodeError as error:
            raise InputError(f"corpus file {path} is not {encoding} text: {error}") from error

    return read
