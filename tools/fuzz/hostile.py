"""What is put into files and values: signs, numbers, words and a pickle that tell on a reader."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

MARK = "unpickled"  # the file that a pickle writes if it is ever loaded

WORDS = (
    "",
    " ",
    "\0",
    "\ufeff",
    "\u202e",
    "\u2028",
    "\x1b[2J",
    "é",
    "e\u0301",
    "\U0001f600",
    "\ud800",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "-1",
    "0",
    "1" * 5000,
    "9" * 30,
    "0x10",
    "1_000",
    "½",
    "x" * 70_000,
    "<unk>",
    "<eos>",
    "<pad>",
    "null",
    "true",
    "../../x",
    "/etc/passwd",
    "~nobody-here/x",
    "<script>alert(1)</script>",
    "$x$",
    "`x`",
    "{{7*7}}",
    "=cmd|' /C calc'!A0",
    "%s%n",
    "a\tb",
    "a\nb",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    3,
    10**12,
    -(10**30),
    2**63,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    [],
    {},
    [None],
    [[]],
    {"a": 1},
    [1, "a"],
    {"": None},
    *WORDS[:20],
)
BYTES = (
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\t",
    b" ",
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"\xfd7zXZ\0",
    b"\x80\x04",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"<",
    b"#",
    b'"',
)
RUNS = ("a", ".", " ", "a-", "a.", ". ", "= ", "'", "<", "a\t", "\n", "n't ", "(", "é", "1,", "@")


class Trap:
    """An object whose pickle, if it is loaded, leaves :data:`MARK` in the folder at work."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_spring, (MARK,))


def _spring(name: str) -> None:
    Path(name).write_text("a pickle was loaded", encoding="utf-8")


def trap() -> bytes:
    """A pickle that tells on whoever loads it."""
    return pickle.dumps(Trap())
