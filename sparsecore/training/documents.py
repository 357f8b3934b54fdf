"""Documents of a classifier: in batches of about one length, with vectors for their words; scores.

The vectors are fixed, one for every word or for every token. Documents are padded on the left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sparsecore.data.reviews import Documents, ReviewCorpus, collection_of, prepare_reviews
from sparsecore.data.vectors import word_vectors
from sparsecore.models.classifier import SequenceClassifier
from sparsecore.training.distributed import all_reduce_
from sparsecore.training.sharding import all_reduce_gradients, local_shard, shared_dropout

SPLITS = ("train", "dev", "test")
SHORTER = 0.6  # of the longest document in a piece: a shorter one begins the next piece

Piece = tuple[Tensor, Tensor]  # documents (T, b) as rows of the table, labels (b,)


@dataclass(frozen=True)
class Batches:
    """Batches of similar length, each in pieces, and the documents in the order of the batches.

    A batch whose documents differ much in length (the longest ones do) is computed in pieces and
    its gradients summed, so that little time goes into padding. The sum is that of the batch.
    """

    batches: list[list[Piece]]
    tokens: list[int]  # of each batch
    order: np.ndarray

    def shuffled(self, seed: tuple[int, ...]) -> list[int]:
        """The numbers of the batches in an order drawn from ``seed``."""
        return np.random.default_rng(seed).permutation(len(self.batches)).tolist()


def make_batches(
    documents: Documents,
    batch_size: int,
    device: torch.device,
    rows: Callable[[int], np.ndarray],
) -> Batches:
    """Sort by length and cut into batches; ``rows(number)`` gives a document's table rows."""
    order = np.argsort(documents.lengths, kind="stable")
    numbers = [order[s : s + batch_size][::-1] for s in range(0, len(order), batch_size)]
    batches = []
    for chosen in numbers:
        pieces, piece = [], [chosen[0]]
        for number in chosen[1:]:
            if documents.lengths[number] < SHORTER * documents.lengths[piece[0]]:
                pieces.append(piece)
                piece = []
            piece.append(number)
        pieces.append(piece)
        batches.append([_piece([rows(n) for n in p], documents.labels[p], device) for p in pieces])
    tokens = [int(documents.lengths[chosen].sum()) for chosen in numbers]
    return Batches(batches, tokens, np.concatenate(numbers))


def rows_of_words(documents: Documents, num_words: int) -> Callable[[int], np.ndarray]:
    """Table rows of a document: ``<s>``, its words, ``</s>`` (the order of `Vectors`)."""

    def rows(number: int) -> np.ndarray:
        words = documents.words(number).astype(np.int64)
        return np.concatenate([[num_words + 1], words + 1, [num_words + 2]])

    return rows


def rows_of_positions(documents: Documents, first: int) -> Callable[[int], np.ndarray]:
    """Table rows of a document in a table with one row for every token of the corpus."""

    def rows(number: int) -> np.ndarray:
        end = int(documents.ends[number])
        return np.arange(end - int(documents.lengths[number]), end, dtype=np.int64) + first

    return rows


def lookup(table: Tensor, rows: Tensor) -> Tensor:
    """(T, B) rows -> (T, B, E) float32 vectors beside the rows; the table may lie elsewhere."""
    vectors = F.embedding(rows.to(table.device), table)
    return vectors.to(device=rows.device, dtype=torch.float32)


def _piece(rows: list[np.ndarray], labels: np.ndarray, device: torch.device) -> Piece:
    longest = max(map(len, rows))
    padded = np.zeros((longest, len(rows)), dtype=np.int64)
    for column, row in enumerate(rows):
        padded[longest - len(row) :, column] = row
    return torch.from_numpy(padded).to(device), torch.from_numpy(np.array(labels)).to(device)


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

    def padded(self, split: str, numbers: Sequence[int]) -> tuple[Tensor, list[list[str]]]:
        """Documents as (T, B, E) vectors with zeros in front, and their tokens."""
        tokens = [self.tokens(split, number) for number in numbers]
        longest = max(map(len, tokens))
        x = torch.zeros(longest, len(numbers), self.width)
        for column, number in enumerate(numbers):
            vectors = self.vectors(split, number)
            x[longest - len(vectors) :, column] = vectors
        return x, tokens

    def _rows_of(self, split: str) -> Callable[[int], np.ndarray]:
        documents = getattr(self.corpus, split)
        if self.first is None:
            return rows_of_words(documents, len(self.corpus.words))
        return rows_of_positions(documents, self.first[split])


def prepare_inputs(config: Any, progress: bool = True) -> Inputs:
    """Read, fold and look up what a configuration names; everything is cached.

    ``config``: with corpus, category, max_documents, max_length, drop_empty, titles, vectors and
    vector_size.
    """
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


@torch.no_grad()
def logits_of(model: SequenceClassifier, batches: Batches, table: Tensor) -> Tensor:
    """(documents, 2) logits without dropout, in the order of the documents; on the CPU.

    Several processes compute some of them each, and have all of them in the end.
    """
    model.eval()
    pieces = [piece for batch in batches.batches for piece in batch]
    logits = torch.zeros(len(batches.order), 2)
    start = 0
    for rows, labels in pieces:
        columns = local_shard(len(labels))
        if columns.start < columns.stop:
            found = model(lookup(table, rows[:, columns])).cpu()
            logits[start + columns.start : start + columns.stop] = found
        start += len(labels)
    result = torch.empty_like(logits)
    result[torch.from_numpy(batches.order.copy())] = all_reduce_(logits)
    return result


def score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cross entropy and error rate."""
    loss = F.cross_entropy(logits, labels).item()
    return loss, (logits.argmax(1) != labels).double().mean().item()


def add_gradients(model: SequenceClassifier, batch: Sequence[Piece], table: Tensor) -> Tensor:
    """Mean cross entropy of a batch, whose pieces go forward and backward one by one.

    Adds to the parameters' gradients. Several processes share the documents.
    """
    size = sum(len(labels) for _, labels in batch)
    total = torch.zeros((), dtype=torch.float64, device=batch[0][1].device)
    for rows, labels in batch:
        columns, weight = local_shard(len(labels)), 1.0
        if columns.start == columns.stop:  # the masks of a small piece are drawn all the same
            columns, weight = slice(0, 1), 0.0
        with shared_dropout(model, columns, len(labels)):
            logits = model(lookup(table, rows[:, columns]))
        loss = F.cross_entropy(logits, labels[columns], reduction="sum") / size * weight
        loss.backward()
        total += loss.detach()
    (total,) = all_reduce_gradients(model.parameters(), total)
    return total
