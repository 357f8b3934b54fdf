"""Softmax, loss, statistics and gradient of a chunk of logits as one kernel for GPUs.

A program takes one row of the chunk, in two sweeps. The first finds, over the wrong words j != y,
the largest logit m, W = sum of exp(x_j - m) and S = sum of exp(2 (x_j - m)), each thread by itself;
with the target's logit beside them these give

    q = sum of the wrong words' p      loss = -log p_target
    l1 = 2q      chi = sqrt(S/W^2 + 1) / 2, which no small p can underflow

The second writes p - onehot(target) over the logits. The products before and after are PyTorch's.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparsecore.ops.linear_cross_entropy.sweep import sweep

TILE = 4096  # words at a time
OPTIONS = {"num_warps": 8, "enable_fp_fusion": True}


def sweep_triton(
    logits: Tensor, target: Tensor, loss: Tensor, chi: Tensor, l1: Tensor, gradient: bool
) -> Tensor | None:
    """As :func:`~sparsecore.ops.linear_cross_entropy.sweep.sweep`; the gradient is in ``logits``.

    The loss of row r goes to ``loss[r]``. A target that is no word makes it NaN.
    """
    rows, vocabulary = logits.shape
    wide = tl.float64 if chi.dtype is torch.float64 else tl.float32
    with torch.cuda.device_of(logits):
        _sweep[(rows,)](
            logits, target.contiguous(), loss, chi, l1, logits.stride(0), vocabulary, gradient,
            wide, TILE, **OPTIONS,
        )  # fmt: skip
    return logits if gradient else None


def matches_reference(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether kernel and plain PyTorch give the same for a few rows of logits of this type."""
    rows, vocabulary = 3, TILE + 905
    numbers = torch.arange(rows * vocabulary, dtype=torch.float64).view(rows, vocabulary)
    logits = (5 * numbers.mul(0.7).sin()).to(device, dtype)
    target = torch.tensor([0, TILE + 1, vocabulary - 1], device=device)
    wide = torch.promote_types(dtype, torch.float32)
    both = []
    for way in (sweep, sweep_triton):
        loss = torch.zeros(rows, dtype=torch.float64, device=device)
        chi, l1 = torch.empty(2, rows, dtype=wide, device=device)
        gradient = way(logits.clone(), target, loss, chi, l1, True)
        assert gradient is not None
        both.append(torch.cat([x.double().flatten() for x in (loss.sum(), chi, l1, gradient)]))
    return torch.allclose(*both, rtol=1e-4 if dtype == wide else 1e-2, atol=1e-9)


@triton.jit
def _sweep(
    logits, target, loss, chi, l1, stride, V, GRADIENT: tl.constexpr, WIDE: tl.constexpr,
    TILE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    x_at = logits + row * stride
    y = tl.load(target + row)
    x_y = tl.load(x_at + y, (y >= 0) & (y < V), other=float("nan")).to(WIDE)
    places = tl.arange(0, TILE)
    m = tl.full([TILE], -3.0e38, WIDE)  # of each thread's words; finite, so that m - m is 0
    w = tl.zeros([TILE], WIDE)
    s = tl.zeros([TILE], WIDE)
    for start in range(0, V, TILE):
        word = start + places
        x = tl.load(x_at + word, (word < V) & (word != y), other=float("-inf")).to(WIDE)
        larger = tl.maximum(m, x)
        shrink = tl.exp(m - larger)
        share = tl.exp(x - larger)
        w = w * shrink + share
        s = s * shrink * shrink + share * share
        m = larger
    most = tl.max(m, 0)
    shrink = tl.exp(m - most)
    wrong = tl.sum(w * shrink, 0)
    squares = tl.sum(s * shrink * shrink, 0)

    top = tl.maximum(most, x_y)
    down = tl.exp(most - top)
    total = wrong * down + tl.exp(x_y - top)
    q = wrong * down / total
    own = (tl.log(total) + (top - x_y)).to(tl.float64)
    tl.store(loss + row, tl.load(loss + row) + own)
    tl.store(l1 + row, 2.0 * q)
    here = tl.sqrt(squares / (wrong * wrong) + 1.0) * 0.5
    tl.store(chi + row, tl.where(q > 0.0, here, float("nan")))
    if GRADIENT:
        for start in range(0, V, TILE):
            word = start + places
            x = tl.load(x_at + word, word < V, other=0.0).to(WIDE)
            p = tl.exp(x - top) / total
            tl.store(x_at + word, tl.where(word == y, -q, p), word < V)
