"""What this machine can do at best, measured: the yardstick for the share of the ceiling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from sparsecore.bench.clock import CLOCKS, clock_name, synchronise


@dataclass(frozen=True)
class Ceilings:
    """The best of a few tries, with the threads in use.

    Attributes:
        gemm_flops: floating-point operations a second of a large float32 matrix product.
        copy_bytes: bytes read and written a second by copying what no cache holds.
    """

    gemm_flops: float
    copy_bytes: float

    def seconds(self, flops: float, bytes: float) -> float:
        """The least time for so much work, if arithmetic and memory could overlap in full."""
        return max(flops / self.gemm_flops, bytes / self.copy_bytes)


def measure_ceilings(device: torch.device, quick: bool = False) -> Ceilings:
    """Matrix product of n x n, and a copy of 256 MiB (4096 on a GPU); ``quick``: tiny sizes."""
    side, entries = (64, 1 << 14) if quick else (1024, 1 << 26)
    if device.type == "cuda" and not quick:
        side, entries = 8192, 1 << 30
    a, b = torch.randn(2, side, side, device=device)
    product = torch.empty_like(a)
    gemm = best_seconds(lambda: torch.mm(a, b, out=product), device)
    source = torch.zeros(entries, device=device)
    target = torch.zeros_like(source)
    copy = best_seconds(lambda: target.copy_(source), device)
    return Ceilings(2 * side**3 / gemm, 2 * source.nbytes / copy)


def best_seconds(call: Callable[[], object], device: torch.device, tries: int = 20) -> float:
    """The shortest of some tries after a first, by the clock that contestants are timed with."""
    clock = CLOCKS[clock_name(device)]
    call()
    found = []
    for _ in range(tries):
        synchronise(device)
        start = clock()
        call()
        synchronise(device)
        found.append(clock() - start)
    return min(found)
