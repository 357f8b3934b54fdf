"""Texts as a tokenizer cuts them: which word each piece belongs to, and windows of context.

A word is a run of letters, digits and combining marks (apostrophes inside it and points and commas
between its digits included) or a run of other signs; or, of a text that comes as a list of words,
what the list says. A piece belongs to the first word whose characters it covers, and one that is a
blank to the word behind it. Other pieces of white space stand for themselves, special tokens for
nothing.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsecore.data.text import marks
from sparsecore.errors import InputError, near_match, whole_number

Words = Literal["every", "first", "last", "pieces"]
WORDS: dict[str, str] = {
    "every": "each piece counts for the word that it belongs to",
    "first": "only the first piece of a word counts, for that word",
    "last": "only the last piece of a word counts, for that word",
    "pieces": "each piece is a word of its own",
}
Text = str | Sequence[str]
SURROGATE = re.compile("[\ud800-\udfff]")
BLANKS = ("Ġ", "▁")  # a blank as a piece of its own, byte-level and SentencePiece


@dataclass(frozen=True)
class Pieces:
    """Texts one after another: N pieces, K texts, V words.

    Attributes:
        ids: (N,) of the tokenizer.
        word: (N,) which word a piece belongs to; -1 for special tokens.
        first: (N,) whether a piece opens an occurrence of its word.
        ends: (K,) where each text ends.
        words: the V words.
        prefix: special tokens that the tokenizer puts in front of a text.
    """

    ids: NDArray[np.int64]
    word: NDArray[np.int64]
    first: NDArray[np.bool_]
    ends: NDArray[np.int64]
    words: list[str]
    prefix: list[int]

    @functools.cached_property
    def counts(self) -> NDArray[np.int64]:
        """(V,) how often each word occurs."""
        return np.bincount(self.word[self.first & (self.word >= 0)], minlength=len(self.words))

    def counted(self, rule: str) -> NDArray[np.int64]:
        """(N,) the word that a piece counts for by a rule of :data:`WORDS`; -1 for none."""
        if rule in ("every", "pieces"):
            return self.word
        which = self.first if rule == "first" else np.append(self.first[1:], True)
        if rule == "last":
            which[self.ends - 1] = True
        return np.where(which, self.word, -1)

    def predicted(self) -> NDArray[np.int64]:
        """(N,) the words of pieces, -1 where not all of the occurrence is predicted.

        Without a token in front nothing predicts the first piece of a text.
        """
        word = self.word.copy()
        if not self.prefix:
            opens = np.flatnonzero(self.first)
            for start in np.append(0, self.ends[:-1]):
                after = np.searchsorted(opens, start, "right")
                word[start : opens[after] if after < len(opens) else None] = -1
        return word


def cut(tokenizer: Any, texts: Iterable[Text], words: str, max_pieces: int | None = None) -> Pieces:
    """Tokenise texts, each by itself and without special tokens around it.

    Args:
        tokenizer: of transformers; a fast one unless ``words`` is ``"pieces"``.
        texts: strings, or lists of words, which are joined by blanks.
        words: a rule of :data:`WORDS`.
        max_pieces: take no more than the first of all pieces.

    Raises:
        InputError: an unknown rule, a tokenizer that does not tell where its pieces stand, texts
            that are none or empty, or hold half a surrogate pair.
    """
    if words not in WORDS:
        raise InputError(f"words must be a rule{near_match(str(words), WORDS)}, got {words!r}")
    if max_pieces is not None:
        max_pieces = whole_number(max_pieces, "max_tokens", 1)
    if not isinstance(texts, Iterable) or isinstance(texts, Mapping | bytes):
        raise InputError(f"texts must be strings in a list, or one string, got {texts!r:.60}")
    joined = words != "pieces"
    if joined and not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"{type(tokenizer).__name__} does not say which characters its pieces cover: give "
            "words='pieces', or a fast tokenizer"
        )
    names: dict[str, int] = {}
    special = np.array(sorted(set(getattr(tokenizer, "all_special_ids", []))), np.int64)
    parts: list[tuple[NDArray[Any], ...]] = []
    left = max_pieces
    for number, text in enumerate([texts] if isinstance(texts, str) else texts):
        ids, spans = _tokenise(tokenizer, text, number, joined)
        ids = ids[:left]
        if not len(ids):
            continue
        tokens = tokenizer.convert_ids_to_tokens(ids.tolist())
        owner = np.full(len(ids), -1) if spans is None else spans.owners[: len(ids)]
        if spans is not None:
            before = [i for i in range(len(ids) - 1) if owner[i] < 0 and tokens[i] in BLANKS]
            owner[before] = owner[np.array(before, np.int64) + 1]
        word = np.empty(len(ids), np.int64)
        for i, (at, token) in enumerate(zip(owner.tolist(), tokens, strict=True)):
            name = token if spans is None or at < 0 else spans.words[at]
            word[i] = names.setdefault(name, len(names))
        is_special = np.isin(ids, special)
        word[is_special] = -1
        owner[is_special] = -1
        first = (owner < 0) | (np.diff(owner, prepend=-1) != 0)
        parts.append((ids, word, first))
        if left is not None and (left := left - len(ids)) <= 0:
            break
    if not parts:
        raise InputError("there is no text to read: texts are none or empty")
    ids, word, first = (np.concatenate(column) for column in zip(*parts, strict=True))
    ends = np.cumsum([len(part[0]) for part in parts])
    return Pieces(ids, word, first, ends, list(names), _prefix(tokenizer))


def count_words(text: str) -> Counter[str]:
    """How often each word occurs in a text, words being those that :func:`cut` joins pieces to.

    >>> count_words("Don't: it isn't 3.5, it is 3")["it"]
    2
    """
    return Counter(match[0] for match in _pattern(text).finditer(text))


@dataclass(frozen=True)
class _Spans:
    """Words of a text and which of them each piece belongs to (-1: white space)."""

    words: list[str]
    owners: NDArray[np.int64]


def _tokenise(
    tokenizer: Any, text: Any, number: int, joined: bool
) -> tuple[NDArray[np.int64], _Spans | None]:
    plain, bounds = _words_of(text, number)
    if half := SURROGATE.search(plain):
        raise InputError(
            f"text number {number} has half a surrogate pair at character {half.start()}, which "
            "is no text: text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace') mends "
            "it"
        )
    coded = tokenizer(
        plain,
        add_special_tokens=False,
        return_offsets_mapping=joined,
        return_attention_mask=False,
        truncation=False,
        verbose=False,
    )
    ids = np.asarray(coded["input_ids"], np.int64)
    if not joined:
        return ids, None
    spans = bounds if bounds is not None else [m.span() for m in _pattern(plain).finditer(plain)]
    begin, end = np.asarray(coded["offset_mapping"], np.int64).reshape(-1, 2).T
    starts, stops = np.asarray(spans, np.int64).reshape(-1, 2).T
    owner = np.searchsorted(stops, begin, "right")
    covers = owner < len(stops)
    covers[covers] = starts[owner[covers]] < end[covers]
    return ids, _Spans([plain[a:b] for a, b in spans], np.where(covers, owner, -1))


def _words_of(text: Any, number: int) -> tuple[str, list[tuple[int, int]] | None]:
    """A text as one string; of a list of words also where each of them stands."""
    if isinstance(text, str):
        return text, None
    if not isinstance(text, Sequence) or not all(isinstance(word, str) for word in text):
        raise InputError(
            f"texts must be strings or lists of words; number {number} is {text!r:.60}"
        )
    ends = np.cumsum([len(word) + 1 for word in text]) - 1
    spans = [(int(end) - len(word), int(end)) for word, end in zip(text, ends, strict=True)]
    return " ".join(text), [span for span in spans if span[0] < span[1]]


def _pattern(text: str) -> re.Pattern[str]:
    return _word_pattern("" if text.isascii() else marks())


@functools.cache
def _word_pattern(inner: str) -> re.Pattern[str]:
    word = rf"[\w{inner}]+"
    return re.compile(rf"{word}(?:['’]{word}|(?<=\d)[.,](?=\d){word})*|[^\w\s{inner}]+")


def _prefix(tokenizer: Any) -> list[int]:
    coded = tokenizer("a", return_special_tokens_mask=True)
    kinds = coded["special_tokens_mask"]
    number = kinds.index(0) if 0 in kinds else 0
    return list(coded["input_ids"][:number])


@dataclass(frozen=True)
class Batch:
    """Windows of texts, padded at their ends: all (B, T).

    Attributes:
        input_ids: pieces.
        attention_mask: 0 where padding is.
        labels: the piece that comes next, -100 where it is not to be predicted.
        words: ids by role, -1 where a position counts for no word.
        predicted: the word whose surprisal a position is a part of, or -1.
        opened: the same where that part is the first of an occurrence of the word, else -1.
        size: positions that are read for the first time.
    """

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    words: dict[str, Tensor]
    predicted: Tensor
    opened: Tensor
    size: int


class Windows:
    """Windows of ``length`` positions, of which each begins ``stride`` pieces after the last.

    Every piece is read for the first time in one window and counts there; what a window repeats of
    the one before is context. Every piece but the first of a text (or that one too, where the
    tokenizer puts a token in front) is predicted once.

    Raises:
        InputError: a length, stride or batch size that is out of range.
    """

    def __init__(
        self, pieces: Pieces, rule: str, length: int, stride: int | None, batch_size: int
    ) -> None:
        room = length - len(pieces.prefix)
        if room < 1:
            raise InputError(f"length must be above {len(pieces.prefix)}, got {length}")
        stride = None if stride is None else whole_number(stride, "stride")
        if stride is not None and not 1 <= stride <= length:
            raise InputError(f"stride must be from 1 to length={length}, got {stride}")
        stride = room if stride is None else min(stride, room)
        self.pieces, self.batch_size = pieces, whole_number(batch_size, "batch_size", 1)
        self._counted, self._predicted = pieces.counted(rule), pieces.predicted()
        self._opened = np.where(pieces.first, self._predicted, -1)
        self._plan = list(_plan(pieces.ends.tolist(), room, stride))

    def __len__(self) -> int:
        """How many batches there are."""
        return -(-len(self._plan) // self.batch_size)

    def batch(self, number: int) -> Batch:
        """One of the batches."""
        plan = self._plan[number * self.batch_size : (number + 1) * self.batch_size]
        front = len(self.pieces.prefix)
        shape = len(plan), front + max(end - begin for _, begin, end, _, _ in plan)
        input_ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        labels, roles = np.full(shape, -100), np.full((4, *shape), -1)
        for row, (opens, begin, end, new, last) in enumerate(plan):
            width = front + end - begin
            input_ids[row, :front] = self.pieces.prefix
            input_ids[row, front:width] = self.pieces.ids[begin:end]
            mask[row, :width] = 1
            roles[0, row, front + new - begin : width] = self._counted[new:end]
            start = new if front and new == opens else new + 1
            stop = min(end + 1, last)  # of the pieces that are predicted, by the position before
            at = slice(front + start - begin - 1, front + stop - begin - 1)
            labels[row, at] = self.pieces.ids[start:stop]
            roles[1, row, at] = self._counted[start:stop]
            roles[2, row, at] = self._predicted[start:stop]
            roles[3, row, at] = self._opened[start:stop]
        ids, masked, targets = (torch.from_numpy(x) for x in (input_ids, mask, labels))
        inputs, outputs, predicted, opened = torch.from_numpy(roles)
        size = sum(end - new for _, _, end, new, _ in plan)
        words = {"input": inputs, "target": outputs}
        return Batch(ids, masked, targets, words, predicted, opened, size)


def _plan(ends: list[int], room: int, stride: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Of each window: begin of the text, begin, end, first piece that is new, end of the text."""
    begin = 0
    for last in ends:
        opens = new = begin
        while True:
            end = min(begin + room, last)
            yield opens, begin, end, new, last
            if end == last:
                break
            begin, new = begin + stride, end
        begin = last
