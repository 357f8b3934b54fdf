"""Labelled documents from files: Amazon's ``.review`` files, and ``label<TAB>text`` a line.

A category is one task: a kind of product, say. A folder holds one or several:

    NAME.task.train  NAME.task.test          tokenised, label<TAB>text; one category a name
    NAME/positive.review  NAME/negative.review
    NAME/train.tsv  NAME/dev.tsv  NAME/test.tsv
    train.tsv  dev.tsv  test.tsv             one category

Every file may be compressed (``.xz``, ``.gz``, …). A line that is not UTF-8 is read as
Windows-1252, which old reviews are in; HTML's entities (``&quot;``) and tags (``<br />``) are
undone.
"""

from __future__ import annotations

import functools
import html
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sparsecore.data.splits import bare_name, split_of
from sparsecore.data.text import marks
from sparsecore.data.text_files import encoding_of, open_binary, read_number
from sparsecore.errors import InputError

_TAG = re.compile(r"<(/?)(\w+)>\s*$")
_OTHER_ASCII = re.compile(r"[^a-z0-9(),!?'`]+")
_BOUNDARIES = re.compile(r"(n't(?![a-z])|'(?:s|ve|re|d|ll)(?![a-z])|[(),!?])")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,30});")
_HTML_TAG = re.compile(
    r"</?(?:a|b|big|blockquote|br|center|code|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|s|small|"
    r"span|strong|sub|sup|table|td|th|tr|tt|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_WINDOWS = {  # what Windows-1252 has where Latin-1 has control characters
    byte: bytes([byte]).decode("cp1252")
    for byte in range(0x80, 0xA0)
    if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
_STANDING = re.compile(r"(?<=\s)[.,!?](?=\s)")
_ATTACHED = re.compile(r"(?<=\w)[.,!?](?=\s)")
LONGEST = 4_000_000  # characters of a document
STARS = 5
SAMPLE = 200_000  # characters that tell tokenised text from raw text

Files = dict[str, list[Path]]  # split ("train", "dev", "test" or "all") -> its files


@dataclass(frozen=True)
class Review:
    """One document as it stands in a file: its label, its tokens, and where it was found.

    ``title`` are the tokens of its title, which are not among ``tokens``.
    """

    label: str
    tokens: tuple[str, ...]
    category: str
    where: str  # file and line or number, for messages
    title: tuple[str, ...] = ()


def find_categories(path: Path) -> dict[str, Files]:
    """The categories of a folder or a file, by name; for each, the files of its splits.

    Raises :class:`InputError` if there are no labelled documents, or a category lacks its train or
    test file.
    """
    if path.is_file():
        return {_stem(path): {"all": [path]}}
    found: dict[str, Files] = {}
    for child in sorted(path.iterdir()):
        if child.name.startswith("."):
            continue
        if child.is_dir():
            files = _files_of(child)
            if "" in files:
                found[child.name] = files[""]
    for name, files in _files_of(path).items():
        found[name or path.resolve().name] = files
    if not found:
        raise InputError(
            f"{path} holds no reviews: it needs positive.review and negative.review, or train and "
            "test files of label<TAB>text lines, in itself or in a folder for each category"
        )
    for name, files in found.items():
        missing = {"train", "test"} - set(files)
        if "all" not in files and missing:
            raise InputError(f"category {name!r} of {path} has no {min(missing)} file")
    return dict(sorted(found.items()))


def read_reviews(path: Path, category: str) -> Iterator[Review]:
    """The documents of one file, by its format.

    Raises :class:`InputError`, one line with the place, for a file or a document of the wrong form.
    """
    text = read_text(path)
    if ".review" in path.suffixes:
        return _read_amazon(text, path, category)
    return _read_lines(text, path, category)


def read_text(path: Path) -> str:
    """The decompressed text of a file, with ``\\n`` for line ends.

    What has no byte order mark is UTF-8; a line that is not is Windows-1252.
    """
    with open_binary(path) as handle:
        data = handle.read()
    encoding = encoding_of(data[:4])
    if encoding in ("utf-8", "utf-8-sig") and b"\0" in data:
        raise InputError(f"{path} is not text: a NUL byte at offset {data.index(0)}")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise InputError(f"{path} is not {encoding} text: {error.reason}") from error
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        text = "\n".join(map(_utf8_or_windows, lines))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _utf8_or_windows(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1").translate(_WINDOWS)


def plain_text(text: str) -> str:
    """``text`` without HTML's entities and tags, also where they were escaped twice.

    >>> plain_text("Old &amp; bad<br />&amp;quot;no&amp;quot; at AT&T <3")
    'Old & bad "no" at AT&T <3'
    """
    for _ in range(2):
        if "<" in text:
            text = _HTML_TAG.sub(" ", text)
        if "&" in text:
            text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return text.translate(_WINDOWS)


def clean(text: str) -> list[str]:
    r"""Lower-cased tokens of raw text: letters, digits and ``(),!?'```; clitics split off.

    >>> " ".join(clean("I didn't like it (at all)...<br />It&#39;s WORTHLESS!"))
    "i did n't like it ( at all ) it 's worthless !"
    """
    text = plain_text(text).lower().replace("’", "'").replace("‘", "'")
    other = _OTHER_ASCII if text.isascii() else _other()
    return _BOUNDARIES.sub(r" \1 ", other.sub(" ", text)).split()


@functools.cache
def _other() -> re.Pattern[str]:
    """What is no letter of any script with its marks, no digit and none of the signs kept."""
    return re.compile(rf"(?:(?:[^\w{marks()}(),!?'`]|_)[{marks()}]*)+")


def is_tokenised(sample: str) -> bool:
    """Whether full stops and commas stand alone more often than they end a word.

    >>> is_tokenised("it works , i think . "), is_tokenised("It works, I think. ")
    (True, False)
    """
    return len(_STANDING.findall(sample)) >= max(1, len(_ATTACHED.findall(sample)))


def _files_of(folder: Path) -> dict[str, Files]:
    """Files of the categories that lie in the folder itself; ``""``: of the folder as a whole."""
    found: dict[str, Files] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith("."):
            continue
        words = bare_name(path.name).split(".")
        if words[-1] == "review":
            if words[0] in ("positive", "negative"):
                found.setdefault("", {}).setdefault("all", []).append(path)
            continue
        split = split_of(words)
        if split is not None:
            name = ".".join(w for w in words[: split[1]] if w != "task")
            part = split[0].replace("valid", "dev")
            found.setdefault(name, {}).setdefault(part, []).append(path)
    for files in found.values():
        if files.get("all") and len(files["all"]) != 2:
            raise InputError(f"{folder} needs both positive.review and negative.review")
        for split, paths in files.items():
            if split != "all" and len(paths) > 1:
                names = " and ".join(path.name for path in paths)
                raise InputError(f"{folder} has more than one {split} file: {names}")
    return found


def _stem(path: Path) -> str:
    """A file's name without the endings of its compression and its format."""
    name = bare_name(path.name)
    return Path(name).stem if "." in name else name


def _read_lines(text: str, path: Path, category: str) -> Iterator[Review]:
    split = str.split if is_tokenised(text[:SAMPLE]) else clean
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    if not lines:
        raise InputError(f"{path} is empty")
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        if len(line) > LONGEST:
            raise InputError(f"{where}: more than {LONGEST:,} characters are no document")
        label, tab, body = line.partition("\t")
        if not tab or not label.strip():
            raise InputError(f"{where} is not of the form label<TAB>text: {_shown(line)}")
        yield Review(label.strip(), tuple(split(plain_text(body).lower())), category, where)


def _read_amazon(text: str, path: Path, category: str) -> Iterator[Review]:
    stem = _stem(path)
    known = stem if stem in ("positive", "negative") else None
    number = 0
    for number, fields in enumerate(_blocks(text.split("\n"), path), 1):
        where = f"{path}, review {number}"
        if "review_text" not in fields:
            raise InputError(f"{where} has no <review_text>")
        label = known or _label_of(fields.get("rating", ""), where)
        title = tuple(clean(fields.get("title", "")))
        yield Review(label, tuple(clean(fields["review_text"])), category, where, title)
    if not number:
        raise InputError(f"{path} holds no <review>")


def _blocks(lines: Iterable[str], path: Path) -> Iterator[dict[str, str]]:
    """The fields of each ``<review>`` block; tags stand alone on their lines."""
    fields: dict[str, str] | None = None
    tag, body, opened = "", [], 0
    for number, line in enumerate(lines, 1):
        match = _TAG.match(line)
        closing, name = (bool(match[1]), match[2]) if match else (False, "")
        if tag:
            if closing and name == tag:
                assert fields is not None
                if tag in fields and tag in ("rating", "review_text"):
                    raise InputError(f"{path}, line {number}: a second <{tag}> in one review")
                fields[tag], tag = "\n".join(body).strip(), ""
            elif name == "review":
                raise InputError(f"{path}, line {number}: <{tag}> is not closed before {line}")
            else:
                body.append(line)
        elif name == "review" and closing != (fields is None):
            if closing:
                assert fields is not None
                yield fields
                fields = None
            else:
                fields, opened = {}, number
        elif match and not closing and fields is not None and name != "review":
            tag, body = name, []
        elif line.strip() and not (fields is None and name == "data"):  # around the whole file
            raise InputError(
                f"{path}, line {number}: {_shown(line)} where a "
                f"{'<review>' if fields is None else 'tag of the review'} should stand"
            )
    if fields is not None:
        raise InputError(f"{path}: the <review> opened at line {opened} is not closed")


def _label_of(rating: str, where: str) -> str:
    try:
        stars = read_number(rating)
    except ValueError:
        stars = math.nan
    if not 0 <= stars <= STARS:
        raise InputError(f"{where} has no <rating> from 0 to {STARS} stars: {rating[:40]!r}")
    if stars == 3:
        raise InputError(f"{where} has 3 stars, which is neither positive nor negative; remove it")
    return "positive" if stars > 3 else "negative"


def _shown(line: str, length: int = 40) -> str:
    return repr(line if len(line) <= length else f"{line[:length]}…")
