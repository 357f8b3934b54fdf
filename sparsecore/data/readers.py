"""Text files, plain or compressed, read as a stream of chunks that end between documents.

:func:`read_documents` gives the documents as they stand, with their case, marks and headings, for
models with a tokenizer of their own; :mod:`sparsecore.data.encode` is for those without.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from sparsecore.data.text_files import Unpacked, decoder_of, decoding, encoding_of, open_binary
from sparsecore.errors import InputError

BLOCK = 1 << 20  # bytes read at once
LONGEST = 8 << 20  # a longer document is handed out in pieces
TOKENISED = "tokenised"  # one line after another as they are; never detected, only asked for

BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_BLANK = re.compile(r"\n[ \t]*\n")
_TITLE = re.compile(r"^(?= ?= (?!=).*(?<!=) = ?$)", re.MULTILINE)
_FIRST_TITLE = re.compile(r"\s*^ ?= (?!=).*(?<!=) = ?\n[ \t]*\n", re.MULTILINE)


class Chunk(NamedTuple):
    """Some whole documents of a file, and the file's format."""

    text: str
    form: str


def detect_format(sample: str) -> str:
    """The format of a file that begins with ``sample``.

    headings       a document begins at each ' = Title = ' line
    blank lines    documents separated by blank lines, each line a paragraph
    wrapped        documents separated by blank lines, their lines wrapped
    lines          one document or sentence a line
    sentences      documents separated by blank lines, one sentence a line

    Headings if the first line with words is a title and the next one is blank, as in WikiText;
    else blank lines if any line is blank, in which case the lines are wrapped ones if nearly all
    have at most 100 characters and most of those that are followed by another line do not end as a
    sentence does; else lines.
    """
    if _FIRST_TITLE.match(sample):
        return "headings"
    blocks = _BLANK.split(sample.strip("\n"))
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

    A piece ends after a document, unless the document is longer than eight million characters.
    ``advance`` is told how many bytes of the file itself were read since the last call. ``form`` is
    detected unless it is given. Raises :class:`InputError` if the file is empty, cannot be read, is
    cut short or is not text.
    """
    with open_binary(path) as stream, decoding(path, stream):
        file = cast("Unpacked", stream.raw).file
        decoder = decoder_of(encoding_of(stream.peek(4)))
        before, line, rest = 0, 1, ""
        data = stream.read(BLOCK)
        if not data:
            raise InputError(f"corpus file {path} is empty")
        while data:
            block = decoder.decode(data)
            form = form or detect_format(block)
            if advance is not None:
                advance(file.tell() - before)
                before = file.tell()
            if "\0" in block:
                line += block[: block.index("\0")].count("\n")
                raise InputError(f"{path}, line {line}: a NUL character: not a text")
            line += block.count("\n")
            rest += block
            cut = _cut(rest, form)
            if not cut and len(rest) > LONGEST:
                raise InputError(
                    f"corpus file {path} is not text: no space or line break in "
                    f"{len(rest):,} characters up to line {line}"
                )
            data = stream.read(BLOCK)
            if cut and data:  # a file of one block is one piece
                yield Chunk(rest[:cut], form)
                rest = rest[cut:]
        rest += decoder.decode(b"", final=True)
        if form and rest:
            yield Chunk(rest, form)


def _cut(text: str, form: str) -> int:
    """Where the last document of ``text`` that is surely whole ends (0: nowhere yet)."""
    if form in ("lines", TOKENISED):
        cut = text.rfind("\n") + 1
    elif form == "headings":
        cut = max(text.rfind("\n = "), text.rfind("\n= ")) + 1
    else:
        start = max(0, len(text) - BLOCK)
        cut = max((match.end() for match in _BLANK.finditer(text, start)), default=0)
    if not cut and len(text) > LONGEST:
        cut = (text.rfind("\n") + 1) or (text.rfind(" ") + 1)
    return cut


def read_documents(path: Path, *, form: str | None = None, running: bool = False) -> Iterator[str]:
    """The documents of a text file, compressed or not, of any encoding that it declares.

    Args:
        path: of the file.
        form: one that :func:`detect_format` knows; detected if None. Of ``headings`` a document
            begins at each title, of ``lines`` at each line, of others at a blank line.
        running: the whole file is one document.

    Raises:
        InputError: the file is empty, cannot be read or is not text.
    """
    chunks = read_chunks(path, form=form)
    if running:
        yield "".join(chunk.text for chunk in chunks)
    for chunk in chunks:
        yield from (one for one in split_documents(*chunk) if one.strip())


def split_documents(text: str, form: str) -> list[str]:
    r"""A text cut where its documents end.

    >>> split_documents("One.\nTwo.\n\nThree.", "sentences")
    ['One.\nTwo.', 'Three.']
    """
    if form == "headings":
        return _TITLE.split(text)
    if form in ("lines", TOKENISED):
        return text.split("\n")
    return BLANK_LINES.split(text)
