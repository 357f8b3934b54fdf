"""Adaptive input embeddings (Baevski & Auli 2019) and adaptive softmax, as large as a sparse one.

The words are cut into clusters by frequency; the first has vectors of k numbers, each next one a
quarter as many, and each has a projection to k:

    e(w) = E_c[w] W_c,    E_c of n_c x k_c and W_c of k_c x k,    k_c = k / 4^c

Each cluster but the last holds twice the words of the one before it. Of the first there are so many
that all numbers together are as near as can be to those of the sparse embedding. There are three
clusters, or four where three would leave less than one word in a hundred to the first.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

FACTOR = 4
GROWTH = 2
COUNTS = (3, 4)  # clusters
LEAST = 1 / 100  # of the words in the first
INITIAL_RANGE = 0.1


@dataclass(frozen=True)
class Clusters:
    """V words of k dimensions in at most ``count`` clusters, ``first`` of them in the first."""

    V: int
    k: int
    first: int
    count: int = 3

    @property
    def sizes(self) -> list[int]:
        """n_c words of each cluster that has any, most frequent ones first."""
        found: list[int] = []
        possible = sum(self.k >= FACTOR**c for c in range(self.count))
        for c in range(possible):
            left = self.V - sum(found)
            n = left if c == possible - 1 else min(GROWTH**c * self.first, left)
            found += [n] if n else []
        return found

    @property
    def widths(self) -> list[int]:
        """k_c of each."""
        return [self.k // FACTOR**c for c in range(len(self.sizes))]

    @property
    def entries(self) -> int:
        """Numbers in all tables and projections."""
        sizes = zip(self.sizes, self.widths, strict=True)
        return sum((n + self.k) * width for n, width in sizes)

    @property
    def cutoffs(self) -> list[int]:
        """Where the clusters after the first begin, by rank."""
        return [*itertools.accumulate(self.sizes)][:-1]


def nearest(V: int, k: int, entries: int) -> Clusters:
    """The clusters with as nearly so many numbers as can be.

    >>> nearest(10_000, 400, 2_000_000).sizes
    [2933, 5866, 1201]
    >>> nearest(10_000, 400, 400_000).sizes
    [194, 388, 776, 8642]
    """
    found = [_nearest(V, k, entries, count) for count in COUNTS]
    enough = [each for each in found if each.first >= LEAST * V]
    return (enough or found)[0]


def _nearest(V: int, k: int, entries: int, count: int) -> Clusters:
    low, high = 1, V  # entries grow with the first cluster
    while high - low > 1:
        middle = (low + high) // 2
        if Clusters(V, k, middle, count).entries <= entries:
            low = middle
        else:
            high = middle
    candidates = [Clusters(V, k, first, count) for first in (low, high)]
    return min(candidates, key=lambda each: abs(each.entries - entries))


class AdaptiveInput(nn.Module):
    """The lookup: ranks, 0 the most frequent word, of any shape -> (..., k)."""

    def __init__(self, clusters: Clusters, device: torch.device | str | None = None) -> None:
        super().__init__()
        self.clusters = clusters
        sizes = list(zip(clusters.sizes, clusters.widths, strict=True))
        self.tables = nn.ParameterList(torch.empty(n, width, device=device) for n, width in sizes)
        self.projections = nn.ParameterList(
            torch.empty(width, clusters.k, device=device) for _, width in sizes
        )
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -INITIAL_RANGE, INITIAL_RANGE)

    def forward(self, ranks: Tensor) -> Tensor:
        """The words of each cluster are looked up together and put in their places."""
        flat = ranks.flatten()
        found = self.projections[0].new_zeros(len(flat), self.clusters.k)
        begin = 0
        for table, projection in zip(self.tables, self.projections, strict=True):
            end = begin + len(table)
            places = ((flat >= begin) & (flat < end)).nonzero().squeeze(1)
            vectors = nn.functional.embedding(flat[places] - begin, table) @ projection
            found = found.index_copy(0, places, vectors)
            begin = end
        return found.unflatten(0, ranks.shape)
