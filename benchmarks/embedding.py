"""A sparse embedding beside what a user would pick instead: one training step of the lookup.

    python -m benchmarks.embedding [--device cpu] [--repeats 15] [--threads 1]

Forward, backward and clearing the gradients of T x B = 70 x 20 word ids drawn by Zipf's law; with
``--adam`` an update as well.

- sparse: ``SparseEmbedding``.
- dense: ``nn.Embedding`` of the same V and k, 1/δ times the parameters.
- concatenated: the same tables, filled up with zeros and concatenated at each step (the way of the
  paper's code).
- masked: ``nn.Embedding`` whose matrix is multiplied by a mask of zeros and ones.

Peak memory is what a step takes on top of the parameters, in a process of its own.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import interleave, peak_memory
from sparsecore.ops.staircase import naive_dense
from sparsecore.predefined.embedding import SparseEmbedding

T, B = 70, 20
GEOMETRIES = {  # V, k, δ, M
    "V=10000 δ=0.5 M=10": (10_000, 400, 0.5, 10),
    "V=43815 k=20 δ=0.2 M=20": (43_815, 20, 0.2, 20),
    "V=100000 δ=0.1 M=20": (100_000, 400, 0.1, 20),
    "V=100000 δ=0.1 M=k": (100_000, 400, 0.1, 400),
}


def zipf_ids(num_words: int) -> Tensor:
    """(T, B) rows, the most frequent word the last."""
    rank = torch.exp(torch.rand(T, B) * math.log(num_words)).long().clamp(1, num_words)
    return num_words - rank


def candidates(
    geometry: str = "V=100000 δ=0.1 M=20", device: str = "cpu", adam: bool = False
) -> dict[str, Callable[[], None]]:
    """The four lookups, on parameters of their own."""
    torch.manual_seed(0)
    num_words, dim, density, num_bins = GEOMETRIES[geometry]
    ids = zipf_ids(num_words).to(device)
    upward = torch.randn(T, B, dim, device=device)

    def step(module: nn.Module, lookup: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        optimizer = torch.optim.Adam(module.parameters()) if adam else None

        def call() -> None:
            lookup(ids).backward(upward)
            if optimizer is not None:
                optimizer.step()
            module.zero_grad(set_to_none=True)

        return call

    def sparse() -> SparseEmbedding:
        return SparseEmbedding(num_words, dim, density, num_bins, device=device)

    packed, padded = sparse(), sparse()
    dense, masked = (nn.Embedding(num_words, dim, device=device) for _ in range(2))
    mask = sparse().dense().ne(0).float()
    return {
        "sparse": step(packed, packed),
        "dense": step(dense, dense),
        "concatenated": step(padded, lambda ids: F.embedding(ids, naive_dense([*padded.tables]))),
        "masked": step(masked, lambda ids: F.embedding(ids, masked.weight * mask)),
    }


def main() -> None:
    """Print one table: milliseconds, ratio to the sparse embedding, memory, per geometry."""
    parser = argparse.ArgumentParser(
        description="One step of a sparse embedding, and of what a user would pick instead."
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--adam", action="store_true", help="update with Adam, too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tables = []
    for geometry in GEOMETRIES:
        calls = candidates(geometry, arguments.device, arguments.adam)
        table = interleave(calls, arguments.repeats, baseline="sparse")
        if arguments.device == "cpu" and not arguments.adam:
            table["peak MiB"] = [
                peak_memory("benchmarks.embedding", name, geometry) for name in calls
            ]
        tables.append(table.assign(geometry=geometry).set_index("geometry", append=True))
    result = pd.concat(tables).swaplevel()
    print(result.round(2).to_string())


if __name__ == "__main__":
    main()
