"""Inputs that are no text but a flood: lines without end, millions of columns, archives that swell.

Each must be read or refused in bounded time and memory, as the small ones must.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

from tools.fuzz.attempt import Limits
from tools.fuzz.mutate import Files, zipped
from tools.fuzz.texts import conllu, reviews, tarred, text, vectors

MEGABYTE = 1_000_000
LIMITS = Limits(seconds=60, mib=700)


def _line(size: int = 200 * MEGABYTE) -> bytes:
    return b"a" * size + b"\n"


def _claim(words: bytes) -> bytes:
    """Vectors whose header claims more than there is."""
    return words + b"\n" + vectors()


# the reader, and what it gets
GIANTS: dict[str, tuple[str, Callable[[], Files]]] = {
    "a line of 200 MB": ("text", lambda: {"a.txt": _line()}),
    "a line of 200 MB, as it is": ("text-tokenised", lambda: {"a.txt": _line()}),
    "200 MB of spaces": ("text", lambda: {"a.txt": b" " * 200 * MEGABYTE}),
    "200 MB of line breaks": ("text", lambda: {"a.txt": text() + b"\n" * 200 * MEGABYTE}),
    "4 MB of full stops": ("text", lambda: {"a.txt": text() + b"." * 4 * MEGABYTE}),
    "4 MB of a-a-a-": ("text", lambda: {"a.txt": text() + b"a-" * 2 * MEGABYTE}),
    "a packed line": (
        "text-folder",
        lambda: {
            "text/train.txt": text(),
            "text/valid.txt.gz": gzip.compress(_line()),
            "text/test.txt.xz": lzma.compress(text(9)),
        },
    ),
    "a treebank's line of 200 MB": ("conllu", lambda: {"a.conllu": _line()}),
    "a million columns": ("conllu", lambda: {"a.conllu": b"1\t" * MEGABYTE}),
    "a packed treebank": (
        "tagged-conllu",
        lambda: {
            "tags/train.conllu.bz2": bz2.compress(conllu(400_000)),
            "tags/test.conllu": conllu(),
        },
    ),
    "a tagged line of 200 MB": ("tagged-words", lambda: {"tags.txt": _line()}),
    "a review of 200 MB": (
        "reviews-lines",
        lambda: {"reviews/train.tsv": b"1\t" + _line(), "reviews/test.tsv": reviews()},
    ),
    "packed reviews": (
        "reviews-lines",
        lambda: {
            "reviews/train.tsv.xz": lzma.compress(b"1\tgood\n" * 40 * MEGABYTE),
            "reviews/test.tsv": reviews(),
        },
    ),
    "a vector of 200 MB": ("vectors", lambda: {"v.txt": b"it" + b" 1" * 100 * MEGABYTE}),
    "a million numbers": ("vectors", lambda: {"v.txt": b"it" + b" 1" * MEGABYTE + b"\n"}),
    "a claim of 10^12 vectors": (
        "vectors",
        lambda: {"v.txt": _claim(b"1000000000000 1000000000000")},
    ),
    "packed vectors": (
        "vectors-zip",
        lambda: {"v.zip": _squeezed({"v.txt": b"it" + b" 1" * 100 * MEGABYTE})},
    ),
    "a zip of 300 MB": (
        "archive-zip",
        lambda: {"a.zip": _squeezed({"toy/a.txt": b"\0" * 300 * MEGABYTE, "toy/b.txt": b""})},
    ),
    "a tar of 300 MB": (
        "archive-tar-gz",
        lambda: {"a.tar.gz": tarred({"toy/a.txt": b"\0" * 300 * MEGABYTE, "toy/b.txt": b""})},
    ),
    "claims of 200 MB": ("claims", lambda: {"claims.toml": b"a = 1\n" + b"#" * 200 * MEGABYTE}),
}


def _squeezed(members: Files) -> bytes:
    import zipfile

    return zipped(members, zipfile.ZIP_DEFLATED)
