"""Linear layer + softmax + cross entropy in row chunks, gradients and statistics in the same sweep.

The gradient of the loss with respect to the logits, p - onehot(target), is at hand while a chunk of
logits is in cache; so the forward pass finishes the three gradients there and then, and the full
N x V logits never exist. One more reduction over the chunk gives chi and ℓ1 of p - onehot
(:mod:`~sparsecore.ops.linear_cross_entropy.sweep`). On a GPU with Triton the sweep is one kernel,
which writes the gradient over the logits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.ops.autocast import autocast_dtype, widest
from sparsecore.ops.compilers import installed
from sparsecore.ops.linear_cross_entropy.sweep import sweep
from sparsecore.ops.second_order import first_order_only
from sparsecore.ops.self_check import self_check

CHUNK_BYTES = {"cpu": 27 << 18, "cuda": 256 << 20}  # of a chunk of float32 logits
GPU_CHUNKS, GPU_BYTES = 8, 14 << 20  # there, so many chunks of at least so much
ROWS = "SPARSECORE_CHUNK_ROWS"  # in the environment: rows of a chunk on a GPU
PANEL_BYTES = 1 << 20  # of the rows of the weight that a CPU multiplies at a time


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, target: Tensor, chunk_rows: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean cross entropy of ``softmax(hidden @ weight.T + bias)`` against ``target``.

    Args:
        hidden: (N, D) vectors before the output layer.
        weight: (V, D) output embeddings. Under autocast the products run in its type, the softmax
            in float32.
        bias: (V,).
        target: (N,) integer ids in [0, V).
        chunk_rows: rows of logits held at a time; by default what fits the cache, or a quarter of
            the weight's memory if that is more; on a GPU an eighth of them, or as many as
            SPARSECORE_CHUNK_ROWS says in the environment.

    Returns:
        loss: scalar, mean over the N positions, in nats. Differentiable once.
        chi: (N,) concentration of p - onehot(target), the gradient of the position's own loss with
            respect to its logits; NaN where that gradient is exactly zero. No gradient.
        l1: (N,) its ℓ1 norm, 2(1 - p_target). No gradient.

    Raises:
        InputError: shapes that do not match, a SPARSECORE_CHUNK_ROWS that is no number of rows.
    """
    rows, width = hidden.shape
    vocabulary = weight.shape[0]
    if weight.shape != (vocabulary, width) or bias.shape != (vocabulary,):
        raise InputError(
            f"hidden {tuple(hidden.shape)} needs weight (V, {width}) and bias (V,), "
            f"got {tuple(weight.shape)} and {tuple(bias.shape)}"
        )
    if target.shape != (rows,):
        raise InputError(f"target must have shape ({rows},), got {tuple(target.shape)}")
    if rows == 0:
        raise InputError("linear_cross_entropy needs at least one position, got none")
    if chunk_rows is None:
        chunk_rows = default_rows(rows, vocabulary, width, hidden.device.type)
    if not torch.is_grad_enabled():
        hidden, weight, bias = hidden.detach(), weight.detach(), bias.detach()
    if dtype := autocast_dtype(hidden):
        hidden = hidden.to(dtype)
    return _LinearCrossEntropy.apply(hidden, weight, bias, target, chunk_rows)


def default_rows(rows: int, vocabulary: int, width: int, device: str) -> int:
    """Rows of a chunk, so that all chunks are of nearly equal size.

    For each chunk the weight is read, and its gradient read and written: with very many words the
    cache would hold too few rows for that. A GPU multiplies tiles of 128 rows or so, as many at a
    time as it has multiprocessors: rows that do not fill their tiles, or a few tiles more than fit
    at once, cost a second round. ``make gpu`` measures 256 rows beside the default.

    >>> default_rows(1400, 19_500, 200, "cuda"), default_rows(1400, 50, 200, "cuda")
    (175, 1400)
    >>> default_rows(1400, 19_500, 200, "cpu"), default_rows(1400, 10**6, 200, "cpu")
    (88, 50)
    """
    budget = CHUNK_BYTES.get(device, CHUNK_BYTES["cpu"])
    if device == "cuda":
        if given := os.environ.get(ROWS):
            return min(rows, _number_of_rows(given))
        budget = min(budget, max(GPU_BYTES, 4 * rows * vocabulary // GPU_CHUNKS))
    chunk_rows = max(1, min(rows, max(budget // (4 * vocabulary), width // 4)))
    return -(-rows // -(-rows // chunk_rows))


def _number_of_rows(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) == 0:
        raise InputError(f"{ROWS} must be a number of rows, 1 or more; got {text!r}")
    return int(text)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, target: Tensor, chunk_rows: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, chunk_rows = len(hidden), min(chunk_rows, len(hidden))
        product, accurate = hidden.dtype, torch.promote_types(hidden.dtype, torch.float32)
        matrix = weight.to(product)  # V D
        chi = torch.empty(rows, dtype=accurate, device=hidden.device)
        l1 = torch.empty_like(chi)
        loss = torch.zeros(chunk_rows, dtype=widest(hidden), device=hidden.device)
        need_hidden, need_weight, need_bias = ctx.needs_input_grad[:3]
        need = need_hidden or need_weight or need_bias
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=product) if need_weight else None
        grad_bias = torch.zeros_like(bias) if need_bias else None
        kernel = _kernel(hidden)
        shape = chunk_rows, len(weight)
        room = hidden.new_empty(shape) if kernel is None else _aligned(hidden, *shape)

        for start in range(0, rows, chunk_rows):
            part = slice(start, min(start + chunk_rows, rows))
            h, y, n = hidden[part], target[part], part.stop - start
            again = partial(_logits, h, matrix, bias.to(product))
            of_rows = again(room[:n]), y, loss, chi[part], l1[part], need  # logits: R V
            if kernel is not None:
                p = kernel(*of_rows)  # p - onehot(target)
            else:
                p = sweep(*of_rows, again if hidden.device.type == "cpu" else None)
            if p is None:
                continue
            gradient = p.to(product)
            if grad_hidden is not None:
                torch.mm(gradient, matrix, out=grad_hidden[part])
            if grad_weight is not None:
                grad_weight.addmm_(gradient.t(), h)
            if grad_bias is not None:
                grad_bias += p.sum(0, dtype=accurate)

        gradients = (grad_hidden, grad_weight, grad_bias)
        ctx.save_for_backward(*(None if g is None else g.div_(rows) for g in gradients))
        ctx.weight_dtype = weight.dtype
        ctx.mark_non_differentiable(chi, l1)
        return (loss.sum() / rows).to(accurate), chi, l1

    @staticmethod
    @first_order_only("linear_cross_entropy", "use torch.nn.functional.cross_entropy on the logits")
    def backward(ctx: Any, grad_loss: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        hidden, weight, bias = ctx.saved_tensors
        return (
            None if hidden is None else (hidden * grad_loss).to(hidden.dtype),
            None if weight is None else (weight * grad_loss).to(ctx.weight_dtype),
            None if bias is None else bias * grad_loss,
            None,
            None,
        )


def _logits(hidden: Tensor, matrix: Tensor, bias: Tensor, room: Tensor | None = None) -> Tensor:
    """hidden (R, D) @ matrixᵀ (D, V) + bias, into ``room`` (R, V) or memory of their own.

    On a CPU from as many rows of the matrix at a time as its cache holds: with few rows of hidden
    against very many of the matrix one product over all of them runs at half the speed.
    """
    panel = len(matrix)
    if room is None:
        room = hidden.new_empty(len(hidden), panel)
    if matrix.device.type == "cpu":
        panel = max(512, PANEL_BYTES // (matrix.element_size() * matrix.shape[1]))
    for start in range(0, len(matrix), panel):
        part = slice(start, start + panel)
        torch.addmm(bias[part], hidden, matrix[part].t(), out=room[:, part])
    return room


def _aligned(like: Tensor, rows: int, width: int) -> Tensor:
    """An empty matrix whose rows begin at multiples of 16 bytes, as fast products ask for."""
    unit = max(1, 16 // like.element_size())
    return like.new_empty(rows, -(-width // unit) * unit)[:, :width]


def _kernel(hidden: Tensor) -> Callable[..., Tensor | None] | None:
    """The sweep as a kernel, where there is a GPU and Triton, and the kernel does well there."""
    if not hidden.is_cuda or not installed("triton", "gpu"):
        return None
    if not self_check("output layers", hidden, _matches_reference):
        return None
    from sparsecore.ops.linear_cross_entropy.triton import sweep_triton

    return sweep_triton


def _matches_reference(device: torch.device, dtype: torch.dtype) -> bool:
    from sparsecore.ops.linear_cross_entropy.triton import matches_reference

    return matches_reference(device, dtype)
