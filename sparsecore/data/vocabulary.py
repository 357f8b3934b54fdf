"""The word list of a corpus and the filter that makes it (Saphra & Lopez 2019, §3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.encode import EOS_ID, UNK_ID

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Vocabulary:
    """Words in the order of their ids, with their counts in the training text.

    Id 0 is ``<unk>``, id 1 ``<eos>``; the others stand by descending count, ties alphabetically.
    """

    words: list[str]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def index(self) -> dict[str, int]:
        """The id of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def save(self, path: Path) -> None:
        """Write a Parquet table with the columns ``word`` and ``count``; the row is the id."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"word": self.words, "count": self.counts}), path)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read what :meth:`save` wrote."""
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        words = table["word"].to_pylist()
        if not all(isinstance(word, str) for word in words):
            raise ValueError(f"{path} has words that are no text")
        return cls(words, table["count"].to_numpy().astype(np.int64))


def sentence_bounds(ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end (exclusive) of each sentence; ``ids`` ends in ``<eos>``."""
    ends = np.flatnonzero(ids == EOS_ID) + 1
    return np.concatenate([[0], ends[:-1]]).astype(np.int64), ends


def keep_sentences(ids: Ids, allowed: NDArray[np.bool_]) -> tuple[Ids, int, int]:
    """The sentences made only of ``allowed`` words, how many they are, and how many were dropped.

    >>> ids = np.array([2, 3, 1, 3, 1], np.int32)
    >>> keep_sentences(ids, np.array([True, True, False, True]))
    (array([3, 1], dtype=int32), 1, 1)
    """
    if not len(ids):
        return ids, 0, 0
    starts, ends = sentence_bounds(ids)
    good = np.logical_and.reduceat(allowed[ids], starts)
    kept = ids[np.repeat(good, ends - starts)]
    return kept, int(good.sum()), int((~good).sum())


@dataclass(frozen=True)
class Filtered:
    """What the filter leaves of each split, the vocabulary, and its book-keeping."""

    splits: dict[str, Ids]
    vocabulary: Vocabulary
    kept: dict[str, int]
    dropped: dict[str, int]


def filter_rare(splits: dict[str, Ids], words: list[str], threshold: int) -> Filtered:
    """The paper's filter (Saphra & Lopez 2019, §3), by counts in the training split alone.

    1. Every sentence with a word counted fewer than ``threshold`` times is dropped, of the valid
       and test splits too. 2. Words are counted again in what is left of the training split; those
       now below ``threshold`` become ``<unk>``. A literal ``<unk>`` drops nothing. ``splits`` holds
       ids into ``words``; those of the result are ids into its own vocabulary.
    """
    size = len(words)
    allowed = np.bincount(splits["train"], minlength=size) >= threshold
    allowed[[UNK_ID, EOS_ID]] = True
    kept = {name: keep_sentences(ids, allowed) for name, ids in splits.items()}
    counts = np.bincount(kept["train"][0], minlength=size)
    frequent = counts >= threshold
    frequent[[UNK_ID, EOS_ID]] = False
    chosen = sorted(np.flatnonzero(frequent).tolist(), key=lambda i: (-counts[i], words[i]))
    order = np.array([UNK_ID, EOS_ID, *chosen])
    table = np.full(size, UNK_ID, np.int32)
    table[order] = np.arange(len(order), dtype=np.int32)
    result = {name: table[ids] for name, (ids, _, _) in kept.items()}
    vocabulary = Vocabulary(
        [words[i] for i in order], np.bincount(result["train"], minlength=len(order))
    )
    return Filtered(
        result,
        vocabulary,
        {name: number for name, (_, number, _) in kept.items()},
        {name: number for name, (_, _, number) in kept.items()},
    )
