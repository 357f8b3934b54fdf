"""A text file to word ids: every word kept, sentences and documents marked, nothing filtered yet.

The result is cached by the content of the file, so that another threshold, split or cap does not
read the text again.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.pool import parallel_map
from sparsecore.data.readers import BLANK_LINES, TOKENISED, Chunk, read_chunks
from sparsecore.data.text import EOS, UNK, normalise, split_sentences, tokenize

UNK_ID, EOS_ID = 0, 1
_DOCUMENT = "\x1d"
_BREAK = f"\n{_DOCUMENT}\n"
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
        text = BLANK_LINES.sub(_BREAK, text)
        text, headings = _SHORT_LINE.subn("", text)
    elif form == "sentences":
        return BLANK_LINES.sub(_BREAK, text)
    elif form == "wrapped":
        text = BLANK_LINES.sub(_DOCUMENT, text).replace("\n", " ").replace(_DOCUMENT, _BREAK)
    else:
        text = text.replace("\n", _BREAK)
    if dropped is not None and headings:
        dropped[HEADINGS] += headings
    return split_sentences(text)


def encode_chunk(chunk: Chunk) -> Encoded:
    """Tokenise one chunk and number its words in the order they appear."""
    if chunk.form == TOKENISED:
        return _encode_as_it_is(chunk.text)
    dropped: Counter[str] = Counter()
    tokens = tokenize(sentences_of(*chunk, dropped))
    words, ids = _numbered([*tokens, "\n"], _DOCUMENT)
    mark = (ids == EOS_ID) | (ids == 2)
    empty = np.empty(len(ids), bool)
    empty[0] = ids[0] == EOS_ID
    np.logical_and(mark[1:] & (ids[1:] == EOS_ID), mark[:-1], out=empty[1:])
    ids = ids[~empty]
    is_document = ids == 2
    documents = np.flatnonzero(is_document)
    documents = np.unique(documents - np.arange(len(documents)))  # without empty ones
    return Encoded(words, ids[~is_document], documents, dropped[HEADINGS])


def _encode_as_it_is(text: str) -> Encoded:
    """Words are what spaces separate, every line ends in ``<eos>``, an empty one too."""
    text = text.removesuffix("\n")
    tokens = [word for line in text.split("\n") for word in (*line.split(), "\n")]
    words, ids = _numbered(tokens)
    return Encoded(words, ids, np.flatnonzero(ids == EOS_ID) + 1)


def _numbered(tokens: list[str], *marks: str) -> tuple[list[str], NDArray[np.int32]]:
    """The words by number and the numbers of the tokens: ``<unk>``, line ends and marks first."""
    index: defaultdict[str, int] = defaultdict(count().__next__)
    for special in (UNK, "\n", *marks):
        index[special]
    ids = np.fromiter(map(index.__getitem__, tokens), np.int32, len(tokens))
    words = list(index)
    words[EOS_ID] = EOS
    return words, ids


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
            numbers = [index.setdefault(word, len(index)) for word in part.words]
            ids = np.array(numbers, np.int32)[part.ids]
            sink.write(ids.astype("<i4", copy=False).tobytes())
            ends.append(part.documents + written)
            written += len(ids)
            if dropped is not None and part.headings:
                dropped[HEADINGS] += part.headings
    ends.append(np.array([written]))
    return np.unique(np.concatenate(ends)[np.concatenate(ends) > 0])


def new_index() -> dict[str, int]:
    """An index that knows ``<unk>``, ``<eos>`` and the document mark."""
    return {UNK: UNK_ID, EOS: EOS_ID, _DOCUMENT: 2}
