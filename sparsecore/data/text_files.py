"""Text files of any make, opened in one way: compressed or not, any byte order mark, any line end.

What a file is packed with is told by its first bytes (``.xz``, ``.gz``, ``.bz2``, a ``.zip`` of one
file). A UTF-16 or UTF-32 text needs its byte order mark; everything else is UTF-8. Lines end in
``\\n``, ``\\r\\n`` or a lone ``\\r``, and in nothing else: a next-line sign or a Unicode line
separator stands inside its line.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sparsecore.errors import InputError

BOMB = 200  # times its size that a packed file may unpack to; text is packed to a fifth or so
LONGEST_LINE = 1_000_000  # characters
_SYSTEM_FILES = re.compile(r"/$|(^|/)(__MACOSX/|\.DS_Store$)")  # folders, and what a Mac adds

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: it begins with that one's mark
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED: dict[str, tuple[bytes, Any]] = {
    ".xz": (b"\xfd7zXZ\0", lzma.LZMAFile),
    ".gz": (b"\x1f\x8b", lambda raw: gzip.GzipFile(fileobj=raw)),
    ".bz2": (b"BZh", bz2.BZ2File),
    ".zip": (b"PK\x03\x04", lambda raw: _only_member(raw)),
}
COMPRESSED = tuple(_PACKED)
_NOT_READ = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x1f\x9d": "compress",
    b"\x5d\0\0": "LZMA without the frame of xz",
}
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_DAMAGED = (
    lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile, zipfile.BadZipFile,
    NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip


class Unpacked(io.RawIOBase):
    """The decompressed bytes of a file, as long as there are not absurdly many of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _one_line(path):
            self.file = open(path, "rb")  # noqa: SIM115
        try:
            self.stream = self._unpack()
        except BaseException:
            self.file.close()
            raise
        self.position = 0
        self.room = BOMB * path.stat().st_size + (1 << 20)

    def _unpack(self) -> IO[bytes]:
        with _one_line(self.path):
            head = self.file.read(6)
            self.file.seek(0)
            if self.path.name.endswith(_ARCHIVES):
                raise InputError(f"{self.path} is an archive of files; unpack the one you mean")
            for magic, name in _NOT_READ.items():
                if head.startswith(magic):
                    raise InputError(
                        f"{self.path} is packed with {name}, which is not read; unpack it first"
                    )
            for magic, opener in _PACKED.values():
                if head.startswith(magic):
                    return opener(self.file)
        if self.path.suffix in _PACKED:
            raise InputError(
                f"{self.path} is damaged: it does not begin as {self.path.suffix} does"
            )
        return self.file

    def readable(self) -> bool:
        """True: it can be read."""
        return True

    def tell(self) -> int:
        """How many decompressed bytes were read."""
        return self.position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the stream."""
        with _one_line(self.path):
            data = self.stream.read(len(buffer))
        self.position += len(data)
        if self.position > self.room:
            raise InputError(f"{self.path} unpacks to more than {BOMB} times its size: not a text")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file beneath."""
        for opened in ("stream", "file"):  # one that could not be opened has neither
            if opened in self.__dict__:
                getattr(self, opened).close()
        super().close()


def read_number(text: str) -> float:
    """The number that a text writes out, as other programs read it too.

    Raises:
        ValueError: none; nor are ``1_0`` and digits of other scripts, which Python takes for one.

    >>> read_number("-1.5e3")
    -1500.0
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"no number: {text[:40]!r}")
    return float(text)


def open_binary(path: Path) -> io.BufferedReader:
    """A file's decompressed bytes.

    Opening and reading raise :class:`InputError` where the file cannot be read, is damaged, or
    unpacks to more than 200 times its size: no text does.
    """
    return io.BufferedReader(Unpacked(path), 1 << 20)


def encoding_of(head: bytes) -> str:
    """The encoding that the byte order mark at the begin of a text says; UTF-8 without one."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")


def decoder_of(encoding: str) -> io.IncrementalNewlineDecoder:
    """Bytes piece by piece to text whose lines end in ``\\n``."""
    decoder = codecs.getincrementaldecoder(encoding)()
    return io.IncrementalNewlineDecoder(decoder, translate=True)


@contextlib.contextmanager
def decoding(path: Path, stream: io.BufferedReader) -> Iterator[None]:
    """Inside, what has been read of a stream and cannot be decoded is an :class:`InputError`."""
    try:
        yield
    except UnicodeDecodeError as error:
        byte, offset = error.object[error.start], stream.tell() - len(error.object)
        raise InputError(
            f"{path} is not {error.encoding} text: byte 0x{byte:02x} at offset "
            f"{offset + error.start} ({error.reason}); convert it, e.g. with iconv"
        ) from error


def read_lines(path: Path, errors: str = "strict") -> Iterator[str]:
    """The lines of a text file, without their ends.

    Raises :class:`InputError` for what cannot be read or decoded (``errors`` as in :func:`open`),
    for a NUL character and for a line of more than a million characters.
    """
    number = 0
    with open_binary(path) as stream, decoding(path, stream):
        text = io.TextIOWrapper(stream, encoding=encoding_of(stream.peek(4)), errors=errors)
        while line := text.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise InputError(
                    f"{path}, line {number}: more than {LONGEST_LINE:,} characters; "
                    "is it of this format?"
                )
            if "\0" in line:
                raise InputError(f"{path}, line {number}: a NUL character: not a text")
            yield line.removesuffix("\n")


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except _DAMAGED as error:  # of another version or method, encrypted, cut short
        raise InputError(
            f"{path} is damaged or cut short ({error}); fetch or compress it again"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _only_member(raw: IO[bytes]) -> IO[bytes]:
    archive = zipfile.ZipFile(raw)
    names = [name for name in archive.namelist() if not _SYSTEM_FILES.search(name)]
    if len(names) != 1:
        raise InputError(f"{raw.name} holds {len(names)} files; unpack the one you mean")
    return archive.open(names[0])
