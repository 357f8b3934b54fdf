"""The documents of a text file as they stand: their case, marks and headings are kept.

For models with a tokenizer of their own; :mod:`sparsecore.data.encode` is for those without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sparsecore.data.readers import TOKENISED, read_chunks

_TITLE = re.compile(r"^(?= ?= (?!=).*(?<!=) = ?$)", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*+\n)++")


def read_documents(
    path: Path,
    *,
    form: str | None = None,
    running: bool = False,
) -> Iterator[str]:
    """The documents of a text file, compressed or not, of any encoding that it declares.

    Args:
        path: of the file.
        form: one that :func:`~sparsecore.data.readers.detect_format` knows; detected if None. Of
            ``headings`` a document begins at each title, of ``lines`` at each line, of others at a
            blank line.
        running: the whole file is one document.

    Raises:
        InputError: the file is empty, cannot be read or is not text.
    """
    whole = []
    for chunk in read_chunks(path, form=form):
        if running:
            whole.append(chunk.text)
        else:
            yield from (one for one in split_documents(*chunk) if one.strip())
    if running:
        yield "".join(whole)


def split_documents(text: str, form: str) -> list[str]:
    r"""A text cut where its documents end.

    >>> split_documents("One.\nTwo.\n\nThree.", "sentences")
    ['One.\nTwo.', 'Three.']
    """
    if form == "headings":
        return _TITLE.split(text)
    if form in ("lines", TOKENISED):
        return text.split("\n")
    return _BLANK_LINES.split(text)
