"""Damage, by format: what can happen to a file on its way, and what somebody may do on purpose.

A sample is a folder's files by their names. :func:`damage` draws one to four mutations of one of
them. What the generator draws depends on its seed alone.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tools.fuzz.hostile import BYTES, RUNS, VALUES, WORDS, Trap, trap

Files = dict[str, bytes]
Draw = random.Random
Mutation = Callable[[bytes, Draw], bytes]


def damage(files: Files, draw: Draw, only: str = "") -> Files:
    """The sample with one file damaged (of those whose path holds ``only``), or its files mixed."""
    names = sorted(name for name in files if only in name)
    name = draw.choice(names)
    made = dict(files)
    kind = draw.random()
    if kind < 0.05:
        del made[name]
    elif kind < 0.1 and len(names) > 1:
        other = draw.choice(names)
        made[name], made[other] = files[other], files[name]
    else:
        content = files[name]
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            content = _mutation(name, content, draw)(content, draw)
        made[name] = content
    return made


def _mutation(name: str, content: bytes, draw: Draw) -> Mutation:
    """One of what fits the file: half of the time by its format, else any bytes or any lines."""
    own = BY_SUFFIX.get(PurePosixPath(name).suffix)
    if own and draw.random() < 0.6:
        return own
    if draw.random() < 0.08:
        return draw.choice(WHOLE)
    text = b"\0" not in content[:4096]
    return draw.choice(LINES if text and draw.random() < 0.7 else RAW)


# --- any bytes ---


def truncate(content: bytes, draw: Draw) -> bytes:
    """Cut off the end."""
    return content[: draw.randint(0, len(content))]


def flip(content: bytes, draw: Draw) -> bytes:
    """Change a few bits."""
    made = bytearray(content)
    for _ in range(draw.choice((1, 1, 3, 20)) if made else 0):
        made[draw.randrange(len(made))] ^= 1 << draw.randrange(8)
    return bytes(made)


def insert(content: bytes, draw: Draw) -> bytes:
    """Put bytes in that mean something to a reader."""
    at = draw.choice((0, len(content), draw.randint(0, len(content))))
    return content[:at] + draw.choice(BYTES) * draw.choice((1, 1, 4)) + content[at:]


def cut_out(content: bytes, draw: Draw) -> bytes:
    """Take a piece out of the middle."""
    first, last = sorted(draw.randint(0, len(content)) for _ in range(2))
    return content[:first] + content[last:]


def repeat(content: bytes, draw: Draw) -> bytes:
    """Say a piece twice."""
    first = draw.randint(0, len(content))
    last = min(len(content), first + draw.choice((1, 8, 200)))
    return content[:last] + content[first:last] + content[last:]


# --- any lines ---


def lines(content: bytes, draw: Draw) -> bytes:
    """Delete, double or swap lines."""
    parts = content.splitlines(keepends=True) or [b""]
    first, second = draw.randrange(len(parts)), draw.randrange(len(parts))
    kind = draw.randrange(3)
    if kind == 0:
        del parts[first]
    elif kind == 1:
        parts.insert(first, parts[second])
    else:
        parts[first], parts[second] = parts[second], parts[first]
    return b"".join(parts)


def token(content: bytes, draw: Draw) -> bytes:
    """Replace one word, with what is between tabs or spaces around it."""
    parts = content.splitlines(keepends=True) or [b""]
    at = draw.randrange(len(parts))
    separator = b"\t" if b"\t" in parts[at] else b" "
    words = parts[at].split(separator)
    word = draw.choice(WORDS).encode("utf-8", "surrogatepass")
    words[draw.randrange(len(words))] = word
    parts[at] = separator.join(words)
    return b"".join(parts)


def line_ends(content: bytes, draw: Draw) -> bytes:
    """The ends of lines of another system, or none."""
    return content.replace(b"\n", draw.choice((b"\r\n", b"\r", b"\n\n", b" ", b"\x0b", b"\x85")))


def encoding(content: bytes, draw: Draw) -> bytes:
    """The same text in another encoding."""
    text = content.decode("utf-8", "replace")
    return text.encode(draw.choice(("utf-16", "utf-32", "latin-1", "cp1252", "utf-7")), "replace")


def run(content: bytes, draw: Draw) -> bytes:
    """One sign many times over: what regular expressions may choke on."""
    at = draw.randint(0, len(content))
    return content[:at] + (draw.choice(RUNS) * draw.choice((300, 60_000))).encode() + content[at:]


RAW: tuple[Mutation, ...] = (truncate, flip, insert, cut_out, repeat)
LINES: tuple[Mutation, ...] = (*RAW, lines, lines, token, token, token, line_ends, encoding, run)


# --- the whole file ---


def _whole(content: bytes) -> Mutation:
    return lambda _content, _draw: content


WHOLE: tuple[Mutation, ...] = (
    _whole(b""),
    _whole(b"\n"),
    _whole(b"\xef\xbb\xbf"),
    _whole(trap()),
    _whole(b"\0" * 4096),
    _whole(b"[" * 100_000),
    _whole(b"{}"),
    _whole(b"[]"),
    _whole(b"null"),
    _whole(gzip.compress(b"a\n" * 9)),
    lambda _content, draw: draw.randbytes(draw.choice((1, 7, 4096))),
    lambda content, _draw: gzip.compress(content),
    lambda content, _draw: lzma.compress(content),
)


# --- by format ---


def json_value(content: bytes, draw: Draw) -> bytes:
    """Replace, delete or add a value somewhere in a JSON document."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return flip(content, draw)
    return json.dumps(_changed(value, draw)).encode()


def _changed(value: Any, draw: Draw) -> Any:
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(sorted(value))
        made = dict(value)
        kind = draw.random()
        if kind < 0.15:
            del made[key]
        elif kind < 0.2:
            made[draw.choice(WORDS)] = made.pop(key)
        else:
            made[key] = _changed(value[key], draw)
        return made
    if isinstance(value, list) and value and draw.random() < 0.7:
        made = list(value)
        made[draw.randrange(len(made))] = _changed(draw.choice(made), draw)
        return made
    return draw.choice(VALUES)


def parquet(content: bytes, draw: Draw) -> bytes:
    """Drop, rename, retype, empty or repeat a column of a Parquet table, or its rows."""
    try:
        table = pq.read_table(io.BytesIO(content))
    except Exception:  # damaged before
        return flip(content, draw)
    name = draw.choice(table.column_names or [""])
    if not name:
        return flip(content, draw)
    at = table.column_names.index(name)
    kind = draw.randrange(7)
    rows = table.num_rows
    if kind == 0:
        table = table.drop_columns([name])
    elif kind == 1:
        table = table.rename_columns(
            [draw.choice(WORDS[6:9]) if n == name else n for n in table.column_names]
        )
    elif kind == 2:
        table = table.set_column(
            at, name, pa.array([None] * rows, draw.choice((pa.string(), pa.int8(), pa.null())))
        )
    elif kind == 3:
        table = table.set_column(
            at, name, pa.array([draw.choice((-1, 10**9, 2**62)) for _ in range(rows)])
        )
    elif kind == 4:
        table = table.set_column(
            at,
            name,
            pa.array(
                [draw.choice(WORDS[:10]).encode("utf-8", "replace").decode() for _ in range(rows)]
            ),
        )
    elif kind == 5:
        table = table.slice(0, draw.choice((0, 1, rows // 2)))
    else:
        table = pa.concat_tables([table, table])
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def npy(content: bytes, draw: Draw) -> bytes:
    """Another shape, type or length, or an array of pickled objects."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
        assert isinstance(array, np.ndarray)
    except Exception:  # damaged before
        return flip(content, draw)
    kind = draw.randrange(6) if array.ndim and array.dtype.kind in "iuf" else 0
    objects = np.empty(2, dtype=object)
    objects[:] = [Trap(), 1]
    sink = io.BytesIO()
    if kind == 0:
        np.save(sink, objects, allow_pickle=True)
    elif kind == 1:
        np.save(sink, array[: len(array) // 2])
    elif kind == 2:
        np.save(sink, array.reshape(-1, 1))
    elif kind == 3:
        with np.errstate(all="ignore"):  # it may hold anything, damaged before
            np.save(sink, (array.astype(np.float64) * draw.choice((-1, 1e9, np.nan))))
    elif kind == 4:
        np.save(sink, np.array(["a", "b"]))
    else:  # a header that claims more than there is
        digits = str(array.shape[0]).encode()
        return content[:128].replace(digits, digits + b"0" * draw.choice((1, 9))) + content[128:]
    return sink.getvalue()


def npz(content: bytes, draw: Draw) -> bytes:
    """One array of an archive damaged as an array can be."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            members = {name: packed.read(name) for name in packed.namelist()}
    except Exception:  # damaged before
        return flip(content, draw)
    name = draw.choice(sorted(members))
    members[name] = npy(members[name], draw)
    return zipped(members)


def safetensors(content: bytes, draw: Draw) -> bytes:
    """A header that says something else than the numbers behind it."""
    length = int.from_bytes(content[:8], "little")
    header = json_value(content[8 : 8 + length], draw)
    claimed = draw.choice((len(header),) * 4 + (length, 2**62, 0))
    return claimed.to_bytes(8, "little") + header + content[8 + length :]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of these members."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return sink.getvalue()


BY_SUFFIX: dict[str, Mutation] = {
    ".json": json_value,
    ".parquet": parquet,
    ".npy": npy,
    ".npz": npz,
    ".safetensors": safetensors,
    ".gz": lambda content, draw: _repacked(gzip, content, draw),
    ".xz": lambda content, draw: _repacked(lzma, content, draw),
}


def _repacked(codec: Any, content: bytes, draw: Draw) -> bytes:
    """A compressed file whose text is damaged, packed soundly."""
    try:
        return codec.compress(draw.choice(LINES)(codec.decompress(content), draw))
    except Exception:  # damaged before
        return flip(content, draw)
