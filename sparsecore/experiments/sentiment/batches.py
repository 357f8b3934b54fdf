"""Documents of about one length together, padded on the left, looked up in fixed vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sparsecore.data.reviews import Documents

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
    batches = []
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size][::-1]
        pieces, piece = [], [chosen[0]]
        for number in chosen[1:]:
            if documents.lengths[number] < SHORTER * documents.lengths[piece[0]]:
                pieces.append(piece)
                piece = []
            piece.append(number)
        pieces.append(piece)
        batches.append([_piece([rows(n) for n in p], documents.labels[p], device) for p in pieces])
    sizes = [len(p) for batch in batches for p in batch]
    assert sum(len(labels) for batch in batches for _, labels in batch) == len(order), sizes
    positions = [order[s : s + batch_size][::-1] for s in range(0, len(order), batch_size)]
    tokens = [int(documents.lengths[p].sum()) for p in positions]
    return Batches(batches, tokens, np.concatenate(positions))


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
