"""Tagged text in files: CoNLL-U treebanks, or one word and its tag a line.

A sentence is ``(words, tags)``. A word/tag file has a word, its tag and perhaps more columns on a
line, separated by tabs or by spaces, and a blank line after each sentence (the form of the
CoNLL-2000 files); its one column of tags is taken whichever kind of tag is asked for.
"""

from __future__ import annotations

import io
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from sparsecore.data.conllu import Sentence, bounded_lines, open_binary, read_conllu
from sparsecore.errors import InputError

COLUMNS = ("xpos", "upos")
Tagged = tuple[list[str], list[str]]

_COMPRESSED = (".xz", ".gz", ".bz2")
_SPLITS = {"train": "train", "training": "train", "dev": "dev", "valid": "dev",
           "validation": "dev", "val": "dev", "test": "test", "testing": "test"}  # fmt: skip
_EMPTY = "_"  # CoNLL-U for a column that was not filled in


def find_files(path: Path) -> dict[str, Path]:
    """The files of a local corpus: ``{"all": …}`` for a file, else train, test and perhaps dev.

    Files of a folder are told by a word of their names: ``train.txt.xz``,
    ``en_ewt-ud-dev.conllu``; ``valid`` is taken for dev.

    Raises:
        InputError: no such path, no train or test file, or two of one kind.
    """
    if path.is_file():
        return {"all": path}
    if not path.is_dir():
        raise InputError(f"corpus path {path} does not exist")
    found: dict[str, list[Path]] = {"train": [], "dev": [], "test": []}
    for file in sorted(path.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            words = re.split(r"[^a-z]+", file.name.lower())
            split = next((_SPLITS[word] for word in words if word in _SPLITS), None)
            if split is not None:
                found[split].append(file)
    for split, files in found.items():
        if len(files) > 1:
            names = " and ".join(file.name for file in files)
            raise InputError(f"corpus folder {path} has more than one {split} file: {names}")
        if not files and split != "dev":
            raise InputError(
                f"corpus folder {path} has no {split} file; it needs a train and a test file (and "
                f"may have a dev file), such as {split}.conllu or {split}.txt, a word and its tag "
                "a line"
            )
    return {split: files[0] for split, files in found.items() if files}


def read_tagged(path: Path, column: str = "xpos") -> list[Tagged]:
    """All sentences of a CoNLL-U or word/tag file, plain or compressed (.xz, .gz, .bz2).

    CoNLL-U is told by the name (``.conllu``) or by ten tab-separated columns in the first line.

    Args:
        column: which of CoNLL-U's tags, ``xpos`` (the treebank's own) or ``upos`` (universal).

    Raises:
        InputError: a line of the wrong form (with path and line number), not text, no sentence, or
            a treebank whose ``column`` is empty.
    """
    if _is_conllu(path):
        return _of_column(read_conllu(path), column, path)
    with _text(path) as lines:
        try:
            sentences = list(_word_tags(bounded_lines(lines, path), path))
        except (UnicodeDecodeError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
            raise InputError(f"{path} cannot be read as tagged text: {error}") from error
    if not sentences:
        raise InputError(f"{path} holds no tagged sentence")
    return sentences


def _of_column(sentences: list[Sentence], column: str, path: Path) -> list[Tagged]:
    pairs = [(s.words, s.upos if column == "upos" else s.xpos) for s in sentences]
    if all(tag == _EMPTY for _, tags in pairs for tag in tags):
        other = "upos" if column == "xpos" else "xpos"
        raise InputError(f"{path} has no {column} tags (the column is empty); try tags={other!r}")
    return pairs


def _is_conllu(path: Path) -> bool:
    name = path.name
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    if name.endswith((".conllu", ".conll-u")):
        return True
    with _text(path) as lines:
        try:
            checked = bounded_lines(lines, path)
            first = next(
                (line for line in checked if line.strip() and not line.startswith("# ")), ""
            )
        except (UnicodeDecodeError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
            raise InputError(f"{path} cannot be read as tagged text: {error}") from error
    return first.rstrip("\r\n").count("\t") == 9


def _text(path: Path) -> io.TextIOWrapper:
    try:
        return io.TextIOWrapper(open_binary(path), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read corpus file {path}: {error.strerror}") from error


def _word_tags(lines: Iterable[str], path: Path) -> Iterator[Tagged]:
    words: list[str] = []
    tags: list[str] = []
    width = 0
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line.strip():
            if words:
                yield words, tags
            words, tags = [], []
            continue
        columns = line.split("\t") if "\t" in line else line.split()
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
