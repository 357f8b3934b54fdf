"""One step of the lookup of a sparse embedding: forward, backward, gradients cleared.

T × B = 70 × 20 word ids drawn by Zipf's law.

- sparsecore: ``SparseEmbedding``.
- dense: ``nn.Embedding`` of the same V and k, 1/δ times the parameters.
- padded: the same tables, filled up with zeros and concatenated at each step (the way of the
  paper's code).
- masked: ``nn.Embedding`` whose matrix is multiplied by a mask of zeros and ones.
- adaptive input: clusters of words by frequency, whose tables have k, k/4, k/16 … columns and a
  projection to k each (Baevski & Auli 2019), in all as nearly so many numbers as the sparse tables:
  another model of the same size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.bench.case import (
    REFERENCE,
    Case,
    Contestant,
    Prepared,
    Values,
    forward_backward,
    gradients_of,
    random_tensor,
)
from sparsecore.bench.suites.adaptive import AdaptiveInput, nearest
from sparsecore.layers.embedding import SparseEmbedding
from sparsecore.ops.staircase import naive_dense

T, B = 70, 20


@dataclass(frozen=True)
class Geometry:
    """V words of k dimensions, δ of the entries trainable, in M bins."""

    V: int
    k: int
    density: float
    M: int

    @property
    def name(self) -> str:
        """As the tables have it."""
        return f"V {self.V}, k {self.k}, δ {self.density}, M {self.M}"

    def layer(self, device: torch.device | str) -> SparseEmbedding:
        """Of these sizes."""
        return SparseEmbedding(self.V, self.k, self.density, self.M, device=device)


GRID = (
    Geometry(10_000, 400, 0.5, 10),  # the paper's language model
    Geometry(10_000, 400, 0.3, 10),
    Geometry(10_000, 400, 0.1, 20),
    Geometry(43_815, 20, 0.2, 20),  # the paper's tagger
    Geometry(100_000, 400, 0.5, 20),
    Geometry(100_000, 400, 0.2, 20),
    Geometry(100_000, 400, 0.1, 20),
    Geometry(100_000, 400, 0.1, 400),
)
TINY = (Geometry(60, 8, 0.5, 4), Geometry(90, 10, 0.1, 10))


def cases(device: torch.device, quick: bool) -> list[Case]:
    """A case for each geometry; quick: two of less than a hundred words."""
    return [case(geometry, device) for geometry in (TINY if quick else GRID)]


def case(geometry: Geometry, device: torch.device) -> Case:
    """One geometry, with the bytes that any way must move.

    The vectors are read, written and their gradients read; a gradient as large as the parameters
    is written.
    """
    entries = sum(table.numel() for table in geometry.layer("meta").tables)
    moved = 4 * (3 * T * B * geometry.k + entries)
    return Case(geometry.name, lambda: prepare(geometry, device), T * B, "token", bytes=moved)


def prepare(geometry: Geometry, device: torch.device) -> Prepared:
    """The lookups, on parameters of their own; sparse, padded and masked hold equal numbers."""
    torch.manual_seed(0)
    ids = zipf_ids(geometry.V).to(device)
    upward = random_tensor(T, B, geometry.k, device=device)
    sparse, padded = (geometry.layer(device) for _ in range(2))
    padded.load_state_dict(sparse.state_dict())
    dense = nn.Embedding(geometry.V, geometry.k, device=device)
    masked = nn.Embedding.from_pretrained(naive_dense([*sparse.tables]).detach(), freeze=False)
    mask = naive_dense([torch.ones_like(table) for table in sparse.tables])

    entries = sum(table.numel() for table in sparse.tables)
    adaptive = AdaptiveInput(nearest(geometry.V, geometry.k, entries), device)
    ranks = geometry.V - 1 - ids

    def contestant(
        module: nn.Module, lookup: Callable[[], Tensor], same: bool = True
    ) -> Contestant:
        return Contestant(
            forward_backward(module, lookup, upward),
            (lambda: values(*gradients_of(module, lookup, upward))) if same else None,
        )

    def values(vectors: Tensor, gradients: dict[str, Tensor]) -> Values:
        """The vectors, and the gradient as one V x k matrix."""
        tables = list(gradients.values())
        return {"vectors": vectors, "gradient": naive_dense(tables)}

    def truth() -> Values:
        tables = [table.detach().double().requires_grad_() for table in sparse.tables]
        vectors = F.embedding(ids, naive_dense(tables))
        gradients = torch.autograd.grad(vectors, tables, upward.double())
        return {"vectors": vectors.detach(), "gradient": naive_dense(gradients)}

    return Prepared(
        {
            REFERENCE: contestant(sparse, lambda: sparse(ids)),
            "dense": contestant(dense, lambda: dense(ids), same=False),
            "padded": contestant(padded, lambda: F.embedding(ids, naive_dense([*padded.tables]))),
            "masked": contestant(masked, lambda: F.embedding(ids, masked.weight * mask)),
            "adaptive input": contestant(adaptive, lambda: adaptive(ranks), same=False),
        },
        truth,
    )


def zipf_ids(num_words: int) -> Tensor:
    """(T, B) rows, the most frequent word the last."""
    uniform = torch.rand(T, B, generator=torch.Generator().manual_seed(0))
    rank = torch.exp(uniform * math.log(num_words)).long().clamp(1, num_words)
    return num_words - rank
