"""What a run reads: folded documents and, for every word or every token, a fixed vector."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsecore.data.reviews import ReviewCorpus, collection_of, prepare_reviews
from sparsecore.data.vectors import word_vectors
from sparsecore.experiments.sentiment.batches import (
    Batches,
    make_batches,
    rows_of_positions,
    rows_of_words,
)
from sparsecore.experiments.sentiment.config import Sentiment

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Inputs:
    """Documents and the table of their vectors: row 0 is the padding.

    ``name`` and ``sha256`` are of the whole collection with all its categories, so that the runs
    of a study have them in common; ``content`` is the hash of these documents and vectors.
    ``first`` is None where the table has a row for each word; for contextual vectors, which have
    one for each token, it gives the row of the first token of each split.
    """

    name: str
    sha256: str
    content: str
    corpus: ReviewCorpus = field(repr=False)
    table: np.ndarray = field(repr=False)
    first: dict[str, int] | None
    info: dict[str, Any] = field(repr=False)

    @property
    def width(self) -> int:
        """E."""
        return self.table.shape[1]

    def batches(self, split: str, batch_size: int, device: torch.device) -> Batches:
        """The documents of a split, by length."""
        return make_batches(getattr(self.corpus, split), batch_size, device, self._rows_of(split))

    def vectors(self, split: str, number: int) -> Tensor:
        """(T, E) vectors of one document, boundaries included."""
        rows = self._rows_of(split)(number)
        return torch.from_numpy(np.asarray(self.table[rows], dtype=np.float32))

    def tokens(self, split: str, number: int) -> list[str]:
        """The T tokens of one document, boundaries included."""
        words = self.corpus.tokens(split, number)
        return words if self.first is not None else ["<s>", *words, "</s>"]

    def _rows_of(self, split: str) -> Callable[[int], np.ndarray]:
        documents = getattr(self.corpus, split)
        if self.first is None:
            return rows_of_words(documents, len(self.corpus.words))
        return rows_of_positions(documents, self.first[split])


def prepare_inputs(config: Sentiment, progress: bool = True) -> Inputs:
    """Read, fold and look up what a configuration names; everything is cached."""
    from sparsecore.data.contextual import contextual_vectors, is_encoder

    corpus = prepare_reviews(
        config.corpus,
        config.category,
        max_documents=config.max_documents,
        max_length=config.max_length,
        drop_empty=config.drop_empty,
        titles=config.titles,
        progress=progress,
    )
    if is_encoder(config.vectors):
        encoded = contextual_vectors(config.vectors, corpus, progress=progress)
        table, first, about = encoded.table, encoded.first, encoded.info
        digest, source = encoded.sha256, encoded.info["vectors"]
    else:
        vectors = word_vectors(config.vectors, corpus.words, config.vector_size, progress)
        table, first, about = vectors.table, None, vectors.info
        digest, source = vectors.sha256, vectors.info["content"]
    collection = collection_of(config.corpus, progress)
    return Inputs(
        collection.name,
        _hash(collection.sha256, source),
        _hash(corpus.sha256, digest),
        corpus,
        table,
        first,
        {**corpus.info, "category": corpus.name, "vectors": about},
    )


def _hash(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
