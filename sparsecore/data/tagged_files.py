"""Tagged text in files: treebanks, or one word and its tag a line.

A sentence is ``(words, tags)``. A word/tag file has a word, its tag and perhaps more columns on a
line, separated by tabs or by spaces, and a blank line after each sentence (the form of CoNLL-2000
and CoNLL-2003); its one column of tags is taken whichever kind of tag is asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from sparsecore.data.conllu import PLUS, Sentence, is_treebank, read_conllu
from sparsecore.data.splits import bare_name, find_splits
from sparsecore.data.text_files import read_lines
from sparsecore.errors import InputError

COLUMNS = ("xpos", "upos")
Tagged = tuple[list[str], list[str]]

DOCUMENT_LINES = "lines of -DOCSTART-"
_BLANKS = re.compile(" +")
_EMPTY = "_"  # CoNLL-U for a column that was not filled in


def find_files(path: Path) -> dict[str, Path]:
    """The files of a local corpus: ``{"all": …}`` for a file, else train, test and perhaps dev.

    Files of a folder are told as :func:`~sparsecore.data.splits.find_splits` does, a release folder
    of Universal Dependencies among them; valid is called dev here.
    """
    if path.is_file():
        return {"all": path}
    files = find_splits(path, ("train", "test"), "a word and its tag a line")
    return {split.replace("valid", "dev", 1): file for split, file in files.items()}


def read_tagged(
    path: Path, column: str = "xpos", dropped: Counter[str] | None = None
) -> list[Tagged]:
    """All sentences of a treebank or word/tag file, plain or compressed.

    A treebank (see :mod:`sparsecore.data.conllu`) is told by its name (``.conllu``, ``.conllup``)
    or by the columns of its first line. Lines that begin with ``-DOCSTART-``, between the documents
    of CoNLL-2003, are left out and counted in ``dropped``.

    Args:
        column: which of a treebank's tags, ``xpos`` (its own) or ``upos`` (universal ones).

    Raises:
        InputError: a line of the wrong form (with path and line number), not text, no sentence, a
            treebank whose ``column`` is empty, or columns of another format.
    """
    dropped = Counter() if dropped is None else dropped
    if _is_treebank(path):
        return _of_column(read_conllu(path, dropped), column, path)
    sentences = list(_word_tags(read_lines(path), path, dropped))
    if not sentences:
        raise InputError(f"{path} holds no tagged sentence")
    if any(len(words) > 1 for words, _ in sentences) and _are_numbers(sentences):
        raise InputError(
            f"{path}: the first column numbers the words, so it is no word/tag file; CoNLL-U "
            f"has 10 columns separated by tabs, and others need a first line {PLUS!r} …"
        )
    return sentences


def _of_column(sentences: list[Sentence], column: str, path: Path) -> list[Tagged]:
    pairs = [(s.words, s.upos if column == "upos" else s.xpos) for s in sentences]
    if all(tag == _EMPTY for _, tags in pairs for tag in tags):
        other = "upos" if column == "xpos" else "xpos"
        raise InputError(f"{path} has no {column} tags (the column is empty); try tags={other!r}")
    return pairs


def _is_treebank(path: Path) -> bool:
    if bare_name(path.name).endswith((".conllu", ".conll-u", ".conllup")):
        return True
    for line in read_lines(path):
        if line.startswith(PLUS):
            return True
        if line.strip() and not line.startswith("# "):
            return is_treebank(line)
    return False


def _are_numbers(sentences: list[Tagged]) -> bool:
    """Whether the "words" of every sentence are 1, 2, 3, … or 0, 1, 2, …"""
    return any(
        all(words == [str(at) for at in range(first, first + len(words))] for words, _ in sentences)
        for first in (0, 1)
    )


def _word_tags(lines: Iterable[str], path: Path, dropped: Counter[str]) -> Iterator[Tagged]:
    words: list[str] = []
    tags: list[str] = []
    width = 0
    for number, line in enumerate(lines, 1):
        begins_document = line.startswith("-DOCSTART-")
        if begins_document:
            dropped[DOCUMENT_LINES] += 1
        if begins_document or not line.strip():
            if words:
                yield words, tags
            words, tags = [], []
            continue
        if line.startswith("#begin document"):
            raise InputError(
                f"{path} is in the format of CoNLL-2012, which is not read; convert it"
            )
        # blanks alone separate: a no-break space stands inside a word
        columns = line.split("\t") if "\t" in line else _BLANKS.split(line.strip(" "))
        width = width or len(columns)
        if len(columns) < 2 or not (columns[0].strip() and columns[1].strip()):
            raise InputError(f"{path}, line {number}: a word and its tag are needed, got {line!r}")
        if len(columns) != width:
            raise InputError(
                f"{path}, line {number}: {len(columns)} columns where the first line has {width}"
            )
        words.append(columns[0])
        tags.append(columns[1])
    if words:
        yield words, tags
