"""Labelled sentences in batches: padded once, shuffled every epoch, no Python per word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparsecore.data.tagged import PAD_ID, Sentences
from sparsecore.errors import InputError

IGNORED = -100  # the label of padding: what torch's cross entropy leaves out
POOL = 50  # batches' worth of random sentences that are sorted by length before they are batched


class Batch(NamedTuple):
    """T B words and labels (padding: ``PAD_ID`` and ``IGNORED``) and the B lengths."""

    words: Tensor
    labels: Tensor
    lengths: Tensor


def part_of(batch: Batch, columns: slice) -> Batch:
    """Some sentences of a batch, as long as they were padded in it."""
    return Batch(batch.words[:, columns], batch.labels[:, columns], batch.lengths[columns])


class PaddedSentences:
    """All sentences of a split as rows of one matrix."""

    def __init__(self, split: Sentences, device: torch.device) -> None:
        self.sizes = split.lengths.astype(np.int64)
        self.num_words = int(self.sizes.sum())
        shape = (len(self.sizes), int(self.sizes.max()))
        real = np.arange(shape[1]) < self.sizes[:, None]
        words, labels = np.full(shape, PAD_ID, np.int64), np.full(shape, IGNORED, np.int64)
        words[real], labels[real] = split.words, split.tags
        self.words = torch.from_numpy(words).to(device)
        self.labels = torch.from_numpy(labels).to(device)
        self.lengths = torch.from_numpy(self.sizes).to(device)

    def __len__(self) -> int:
        return len(self.sizes)

    def batch(self, rows: np.ndarray) -> Batch:
        """The sentences at ``rows``, as long as the longest of them."""
        longest = int(self.sizes[rows].max())
        index = torch.from_numpy(rows).to(self.lengths.device)
        return Batch(
            self.words[index, :longest].t().contiguous(),
            self.labels[index, :longest].t().contiguous(),
            self.lengths[index],
        )

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All sentences, those of similar length together."""
        rows = np.argsort(self.sizes, kind="stable")
        for start in range(0, len(rows), batch_size):
            yield self.batch(rows[start : start + batch_size])


def shuffled(sizes: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """The batches of an epoch: (number, B) rows in a random order that seed and epoch decide.

    A random order is cut into pools of fifty batches; within a pool sentences of similar length
    share a batch, so little of it is padding; the batches are then shuffled. Sentences beyond the
    last whole batch are left out, other ones every epoch.

    Raises:
        InputError: fewer sentences than one batch.
    """
    if len(sizes) < batch_size:
        raise InputError(
            f"the training text has {len(sizes)} sentences, too few for batch_size={batch_size}"
        )
    random = np.random.default_rng([seed, epoch])
    whole = len(sizes) // batch_size * batch_size
    order = random.permutation(len(sizes))[:whole]
    pools = np.split(order, range(POOL * batch_size, whole, POOL * batch_size))
    rows = np.concatenate([pool[np.argsort(sizes[pool], kind="stable")] for pool in pools])
    return random.permutation(rows.reshape(-1, batch_size))
