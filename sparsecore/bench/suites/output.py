"""The loss of a sparse embedding that is tied to the output: forward, backward, gradients cleared.

The mean cross entropy of T × B = 70 × 20 words drawn by Zipf's law, from as many hidden vectors,
and its gradients with respect to both.

- sparsecore: ``SparseEmbedding.tied_logits`` and ``F.cross_entropy``.
- dense: the same with ``nn.Embedding``'s matrix, 1/δ times the parameters.
- padded: the sparse tables, filled up with zeros and concatenated at each step.
- adaptive softmax: ``nn.AdaptiveLogSoftmaxWithLoss`` in the clusters of *adaptive input* (suite
  ``embedding``), in all as nearly so many numbers as the sparse tables. It is another model of the
  same size: it computes the logits of a cluster for the words that belong to it alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.bench.case import (
    REFERENCE,
    Case,
    Contestant,
    Prepared,
    Values,
    gradients_of,
    random_tensor,
)
from sparsecore.bench.suites.adaptive import FACTOR, nearest
from sparsecore.bench.suites.embedding import TINY, B, Geometry, T, zipf_ids
from sparsecore.ops.staircase import naive_dense

GRID = (
    Geometry(10_000, 400, 0.5, 10),  # the paper's language model
    Geometry(10_000, 400, 0.3, 10),
    Geometry(10_000, 400, 0.1, 20),
    Geometry(50_000, 400, 0.1, 20),
)


def cases(device: torch.device, quick: bool) -> list[Case]:
    """A case for each geometry; quick: two of less than a hundred words."""
    return [case(geometry, device) for geometry in (TINY if quick else GRID)]


def case(geometry: Geometry, device: torch.device) -> Case:
    """One geometry, with the products that the stored numbers need, forward and twice backward."""
    entries = sum(table.numel() for table in geometry.layer("meta").tables)
    flops = 3 * 2 * T * B * entries
    return Case(
        f"output, {geometry.name}",
        lambda: prepare(geometry, device),
        T * B,
        "token",
        flops,
        watched=geometry.V,
    )


def prepare(geometry: Geometry, device: torch.device) -> Prepared:
    """The four losses on the same vectors; sparse and padded hold equal numbers."""
    torch.manual_seed(0)
    words = zipf_ids(geometry.V).to(device).flatten()
    hidden = random_tensor(T * B, geometry.k, device=device, requires_grad=True)
    sparse, padded = (geometry.layer(device) for _ in range(2))
    padded.load_state_dict(sparse.state_dict())
    dense = nn.Embedding(geometry.V, geometry.k, device=device)
    adaptive, ranks = adaptive_softmax(geometry, device), geometry.V - 1 - words

    def contestant(module: nn.Module, loss: Callable[[], Tensor], same: bool = False) -> Contestant:
        def step() -> None:
            loss().backward()
            module.zero_grad(set_to_none=True)
            hidden.grad = None

        return Contestant(step, (lambda: values(module, loss)) if same else None)

    def values(module: nn.Module, loss: Callable[[], Tensor]) -> Values:
        hidden.grad = None
        found, gradients = gradients_of(module, loss)
        assert hidden.grad is not None
        upward, hidden.grad = hidden.grad, None
        tables = naive_dense([*gradients.values()])
        return {"loss": found, "gradient": tables, "hidden.grad": upward}

    def cross_entropy(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits, words)

    def truth() -> Values:
        tables = [table.detach().double().requires_grad_() for table in sparse.tables]
        x = hidden.detach().double().requires_grad_()
        loss = cross_entropy(x @ naive_dense(tables).t())
        upward, *gradients = torch.autograd.grad(loss, [x, *tables])
        exact = naive_dense(gradients)
        return {"loss": loss.detach(), "gradient": exact, "hidden.grad": upward}

    def padded_loss() -> Tensor:
        return cross_entropy(hidden @ naive_dense([*padded.tables]).t())

    contestants = {
        REFERENCE: contestant(sparse, lambda: cross_entropy(sparse.tied_logits(hidden)), same=True),
        "dense": contestant(dense, lambda: cross_entropy(hidden @ dense.weight.t())),
        "padded": contestant(padded, padded_loss, same=True),
        "adaptive softmax": contestant(adaptive, lambda: adaptive(hidden, ranks).loss),
    }
    return Prepared(contestants, truth)


def adaptive_softmax(geometry: Geometry, device: torch.device) -> nn.AdaptiveLogSoftmaxWithLoss:
    """In nearly the size of the sparse tables; its class 0 is the most frequent word.

    Its first cluster has no projection, but a row of k numbers for each of the others.
    """
    entries = sum(table.numel() for table in geometry.layer("meta").tables)
    clusters = nearest(geometry.V, geometry.k, entries + geometry.k**2)
    return nn.AdaptiveLogSoftmaxWithLoss(
        geometry.k, geometry.V, clusters.cutoffs, div_value=FACTOR, device=device
    )
