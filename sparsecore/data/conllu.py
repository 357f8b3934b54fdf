"""Read treebanks in columns: CoNLL-U, CoNLL-U Plus, CoNLL-X (2006) and CoNLL-2009."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sparsecore.data.text_files import read_lines
from sparsecore.errors import InputError

PLUS = "# global.columns ="  # the first line of a CoNLL-U Plus file, followed by their names
_COLUMNS = "ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC".split()  # of U, and of 2006
_COLUMNS_2009 = "ID FORM LEMMA PLEMMA XPOS PPOS".split()  # 14 columns and more, one a predicate
_WIDTH_2009 = 14
_ABSENT = "_"
_ID, _RANGE, _EMPTY = (re.compile(form, re.ASCII) for form in (r"\d+", r"\d+-\d+", r"\d+\.\d+"))
CONTRACTIONS = "surface forms of contractions"
NOT_WRITTEN = "words that are not written"


class Sentence(NamedTuple):
    """One sentence: its words and, for each of them, the universal and the treebank's own tag."""

    words: list[str]
    upos: list[str]
    xpos: list[str]


def read_conllu(
    path: str | os.PathLike[str], dropped: Counter[str] | None = None
) -> list[Sentence]:
    """All sentences of a treebank, which may be compressed (``.xz``, ``.gz``, ``.bz2``, ``.zip``).

    The columns are the ten of CoNLL-U (CoNLL-X has the same, with coarse tags in place of the
    universal ones), those that the first line of CoNLL-U Plus names, or the fourteen and more of
    CoNLL-2009, which has no universal tags. Words are the treebank's syntactic words: the surface
    form of a contraction (line ``1-2``) and words that are not written (line ``8.1``) are left out,
    and counted in ``dropped``.

    Raises :class:`~sparsecore.errors.InputError` if the file is missing, is not text, has a line of
    the wrong form, leaves its words out (as treebanks of licensed text do) or holds no sentence.
    Sources: https://universaldependencies.org/format, ext-format; Hajič et al. 2009.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no CoNLL-U file at {path}")
    dropped = Counter() if dropped is None else dropped
    sentences = list(_sentences(read_lines(path), path, dropped))
    if not sentences:
        raise InputError(f"{path} holds no CoNLL-U sentence")
    if all(word == _ABSENT for sentence in sentences for word in sentence.words):
        raise InputError(f"{path} leaves its words out (all are {_ABSENT!r}); merge the text first")
    return sentences


def is_treebank(line: str) -> bool:
    """Whether the first line that is no comment is one of these formats, by its columns."""
    width = line.count("\t") + 1
    numbered = bool(re.match(r"\d+([-.]\d+)?\t", line, re.ASCII))
    return width == len(_COLUMNS) or (width > len(_COLUMNS) and numbered)


def _sentences(lines: Iterable[str], path: Path, dropped: Counter[str]) -> Iterator[Sentence]:
    rows: list[dict[str, str]] = []
    names: list[str] = []
    last = 0
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        if not line.strip():
            if rows:
                yield _sentence(rows)
            rows, last = [], 0
        elif line.startswith(PLUS):
            names = _plus_columns(line, where)
        elif not line.startswith("#"):
            columns = line.split("\t")
            row = _row(columns, names, where)
            if _ID.fullmatch(row["ID"]):
                if int(row["ID"]) <= last:
                    raise InputError(
                        f"{where}: word {row['ID']} after word {last}; is a blank line missing?"
                    )
                last = int(row["ID"])
                if not row["FORM"].strip():
                    raise InputError(f"{where}: word {row['ID']} is empty")
                rows.append(row)
            elif _RANGE.fullmatch(row["ID"]):
                dropped[CONTRACTIONS] += 1
            elif _EMPTY.fullmatch(row["ID"]):
                dropped[NOT_WRITTEN] += 1
            else:
                raise InputError(
                    f"{where}: the number of a word is 1, 1-2 or 1.1, not {row['ID'][:40]!r}"
                )
    if rows:
        yield _sentence(rows)


def _plus_columns(line: str, where: str) -> list[str]:
    names = line.removeprefix(PLUS).split()
    missing = {"ID", "FORM"} - set(names) or ({"UPOS"} if not {"UPOS", "XPOS"} & set(names) else {})
    if missing:
        raise InputError(f"{where}: the columns {' '.join(names)[:80]} lack {min(missing)}")
    return names


def _row(columns: list[str], names: list[str], where: str) -> dict[str, str]:
    """A line's columns by name."""
    width = len(columns)
    if names:
        if width != len(names):
            raise InputError(f"{where}: {width} columns where the first line names {len(names)}")
        return dict(zip(names, columns, strict=True))
    if width == len(_COLUMNS):
        return dict(zip(_COLUMNS, columns, strict=True))
    if width >= _WIDTH_2009:
        return dict(zip(_COLUMNS_2009, columns, strict=False))
    raise InputError(
        f"{where}: {width} tab-separated columns where CoNLL-U has 10, CoNLL-2009 has 14 or more, "
        f"and CoNLL-U Plus names its own in a first line {PLUS!r} …"
    )


def _sentence(rows: list[dict[str, str]]) -> Sentence:
    return Sentence(*([row.get(n, _ABSENT) for row in rows] for n in ("FORM", "UPOS", "XPOS")))
