"""A text file to word ids: every word kept, sentences and documents marked, nothing filtered yet.

The result is cached by the content of the file, so that another threshold, split or cap does not
read the text again.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.pool import parallel_map
from sparsecore.data.readers import TOKENISED, Chunk, decode, read_chunks
from sparsecore.data.text import EOS, UNK, normalise, split_sentences, tokenize

UNK_ID, EOS_ID = 0, 1
_DOCUMENT = "\x1d"
_BREAK = f"\n{_DOCUMENT}\n"
_BLANK_LINES = re.compile(r"\n(?:[ \t]*+\n)++")
_TITLE = re.compile(r"^ ?= (?!=).*(?<!=) = ?$", re.MULTILINE)
HEADINGS = "lines that are headings"
_HEADING = re.compile(r"^[ \t]*=.*=[ \t]*$", re.MULTILINE)
_SHORT_LINE = re.compile(r"^[^\s.!?]+(?:[ \t]+[^\s.!?]+){0,4}\.?[ \t]*$", re.MULTILINE)
_CONTROL = re.compile(r"[\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")


@dataclass(frozen=True)
class Encoded:
    """Words of a chunk by local id, its ids (each sentence ends in 1) and where documents end."""

    words: list[str]
    ids: NDArray[np.int32]
    documents: NDArray[np.int64]
    headings: int = 0  # lines left out


@dataclass(frozen=True)
class Tokens:
    """The ids of a whole split (each sentence ends in ``EOS_ID``) and the end of each document."""

    ids: NDArray[np.int32]
    documents: NDArray[np.int64]


def sentences_of(text: str, form: str, dropped: Counter[str] | None = None) -> str:
    """``text`` with one sentence a line; a line with the group separator ends a document.

    Headings are left out: ``= Title =`` lines, and, in files of documents separated by blank lines,
    lines of at most five words with no mark of punctuation but one final full stop. ``dropped``
    counts them.
    """
    headings = 0
    text = normalise(_CONTROL.sub(" ", text))
    if form == "headings":
        text, titles = _TITLE.subn(_BREAK, text)
        text, others = _HEADING.subn("", text)
        headings = titles + others
    elif form == "blank lines":
        text = _BLANK_LINES.sub(_BREAK, text)
        text, headings = _SHORT_LINE.subn("", text)
    elif form == "sentences":
        return _BLANK_LINES.sub(_BREAK, text)
    elif form == "wrapped":
        text = _BLANK_LINES.sub(_DOCUMENT, text).replace("\n", " ").replace(_DOCUMENT, _BREAK)
    else:
        text = text.replace("\n", _BREAK)
    if dropped is not None and headings:
        dropped[HEADINGS] += headings
    return split_sentences(text)


def encode_chunk(chunk: Chunk) -> Encoded:
    """Tokenise one chunk and number its words in the order they appear."""
    if chunk.form == TOKENISED:
        return _encode_as_it_is(decode(chunk))
    dropped: Counter[str] = Counter()
    tokens = tokenize(sentences_of(decode(chunk), chunk.form, dropped))
    tokens.append("\n")
    index: defaultdict[str, int] = defaultdict(count().__next__)
    for special in (UNK, "\n", _DOCUMENT):
        index[special]
    ids = np.fromiter(map(index.__getitem__, tokens), np.int32, len(tokens))
    mark = (ids == EOS_ID) | (ids == 2)
    empty = np.empty(len(ids), bool)
    empty[0] = ids[0] == EOS_ID
    np.logical_and(mark[1:] & (ids[1:] == EOS_ID), mark[:-1], out=empty[1:])
    ids = ids[~empty]
    is_document = ids == 2
    documents = np.flatnonzero(is_document)
    documents = np.unique(documents - np.arange(len(documents)))  # without empty ones
    words = list(index)
    words[EOS_ID] = EOS
    return Encoded(words, ids[~is_document], documents, dropped[HEADINGS])


def _encode_as_it_is(text: str) -> Encoded:
    """Words are what spaces separate, every line ends in ``<eos>``, an empty one too."""
    text = text.removesuffix("\n")
    tokens = [word for line in text.split("\n") for word in (*line.split(), "\n")]
    index: defaultdict[str, int] = defaultdict(count().__next__)
    for special in (UNK, "\n"):
        index[special]
    ids = np.fromiter(map(index.__getitem__, tokens), np.int32, len(tokens))
    words = list(index)
    words[EOS_ID] = EOS
    return Encoded(words, ids, np.flatnonzero(ids == EOS_ID) + 1)


def encode_file(
    path: Path,
    index: dict[str, int],
    output: Path,
    advance: Callable[[int], object] | None = None,
    form: str | None = None,
    workers: int | None = None,
    dropped: Counter[str] | None = None,
) -> NDArray[np.int64]:
    """Write the ids of ``path`` (int32) to ``output``; returns where its documents end.

    ``index`` gives the id of every word and grows; ``dropped`` counts what is left out.
    Memory holds a few chunks, the index and the document ends; the text passes through.
    """
    ends: list[NDArray[np.int64]] = []
    written = 0
    with open(output, "wb") as sink:
        for part in parallel_map(encode_chunk, read_chunks(path, advance, form), workers):
            ids = _renumber(part, index)
            sink.write(ids.astype("<i4", copy=False).tobytes())
            ends.append(part.documents + written)
            written += len(ids)
            if dropped is not None and part.headings:
                dropped[HEADINGS] += part.headings
    ends.append(np.array([written]))
    return np.unique(np.concatenate(ends)[np.concatenate(ends) > 0])


def _renumber(part: Encoded, index: dict[str, int]) -> NDArray[np.int32]:
    table = np.fromiter(
        (index.setdefault(word, len(index)) for word in part.words), np.int32, len(part.words)
    )
    return table[part.ids]


def new_index() -> dict[str, int]:
    """An index that knows ``<unk>``, ``<eos>`` and the document mark."""
    return {UNK: UNK_ID, EOS: EOS_ID, _DOCUMENT: 2}


def save_words(path: Path, index: Iterable[str]) -> None:
    """Write the words of an index, one a line, in the order of their ids."""
    path.write_text("\n".join(index), encoding="utf-8")


def load_words(path: Path) -> list[str]:
    """Read what :func:`save_words` wrote."""
    return path.read_text(encoding="utf-8").split("\n")
