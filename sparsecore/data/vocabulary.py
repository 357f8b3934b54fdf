"""The word list of a corpus and the two rules that choose it.

The paper's filter (Saphra & Lopez 2019, §3) drops every sentence with a rare word;
:func:`keep_commonest` keeps all sentences and replaces the rare words.
"""

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


def keep_sentences(ids: Ids, allowed: NDArray[np.bool_]) -> tuple[Ids, int, int]:
    """The sentences made only of ``allowed`` words, how many they are, and how many were dropped.

    >>> ids = np.array([2, 3, 1, 3, 1], np.int32)
    >>> keep_sentences(ids, np.array([True, True, False, True]))
    (array([3, 1], dtype=int32), 1, 1)
    """
    if not len(ids):
        return ids, 0, 0
    ends = np.flatnonzero(ids == EOS_ID) + 1
    starts = np.concatenate([[0], ends[:-1]])
    good = np.logical_and.reduceat(allowed[ids], starts)
    kept = ids[np.repeat(good, ends - starts)]
    return kept, int(good.sum()), int((~good).sum())


@dataclass(frozen=True)
class Filtered:
    """What is left of each split, the vocabulary, and what was dropped or replaced.

    ``kept`` and ``dropped`` count sentences; ``replaced`` the different words of the training
    split's kept sentences that are ``<unk>`` now.
    """

    splits: dict[str, Ids]
    vocabulary: Vocabulary
    kept: dict[str, int]
    dropped: dict[str, int]
    replaced: int


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
    counts = _word_counts(kept["train"][0], size)
    chosen = _by_count(counts, words, np.flatnonzero(counts >= threshold))
    texts = {name: ids for name, (ids, _, _) in kept.items()}
    texts, vocabulary = _renumbered(texts, words, chosen)
    return Filtered(
        texts,
        vocabulary,
        {name: number for name, (_, number, _) in kept.items()},
        {name: number for name, (_, _, number) in kept.items()},
        int((counts > 0).sum()) - len(chosen),
    )


def keep_commonest(splits: dict[str, Ids], words: list[str], max_types: int) -> Filtered:
    """The ``max_types`` commonest words of the training split; every other word is ``<unk>``.

    Ties are broken alphabetically, and no sentence is dropped. ``<unk>`` and ``<eos>`` are not
    among the ``max_types``. Ids are those of :func:`filter_rare`.
    """
    counts = _word_counts(splits["train"], len(words))
    chosen = _by_count(counts, words, np.flatnonzero(counts))[:max_types]
    texts, vocabulary = _renumbered(splits, words, chosen)
    sentences = {name: int((ids == EOS_ID).sum()) for name, ids in splits.items()}
    replaced = int((counts > 0).sum()) - len(chosen)
    return Filtered(texts, vocabulary, sentences, dict.fromkeys(splits, 0), replaced)


def _word_counts(ids: Ids, size: int) -> NDArray[np.int64]:
    """How often each of ``size`` words occurs; zero for ``<unk>`` and ``<eos>``."""
    counts = np.bincount(ids, minlength=size)
    counts[[UNK_ID, EOS_ID]] = 0
    return counts


def _by_count(counts: NDArray[np.int64], words: list[str], chosen: NDArray[np.int64]) -> list[int]:
    """``chosen`` by descending count, ties alphabetically."""
    return sorted(chosen.tolist(), key=lambda i: (-counts[i], words[i]))


def _renumbered(
    splits: dict[str, Ids], words: list[str], chosen: list[int]
) -> tuple[dict[str, Ids], Vocabulary]:
    """The splits with the ``chosen`` words numbered from 2 on, the others as ``<unk>``."""
    order = np.array([UNK_ID, EOS_ID, *chosen])
    table = np.full(len(words), UNK_ID, np.int32)
    table[order] = np.arange(len(order), dtype=np.int32)
    texts = {name: table[ids] for name, ids in splits.items()}
    counts = np.bincount(texts["train"], minlength=len(order))
    return texts, Vocabulary([words[i] for i in order], counts)
