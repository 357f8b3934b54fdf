"""Linear layer + softmax + cross entropy in row chunks, gradients and statistics in the same sweep.

The gradient of the loss with respect to the logits, p - onehot(target), is at hand while a chunk of
logits is in cache; so the forward pass finishes the three gradients there and then, and the full
N x V logits never exist. One more reduction over the chunk gives chi and ℓ1 of p - onehot:

    with the target's entry set aside, q = sum of the wrong words' p, s = sum of their squares:
    ||p - onehot||1 = 2q      ||p - onehot||2^2 = s + q^2      chi = sqrt(s + q^2) / 2q
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparsecore.errors import InputError

CHUNK_BYTES = {"cpu": 6 << 20, "cuda": 256 << 20}  # of one chunk of float32 logits
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
        chunk_rows: rows of logits held at a time; by default what fits the cache.

    Returns:
        loss: scalar, mean over the N positions, in nats. Differentiable once.
        chi: (N,) concentration of p - onehot(target), the gradient of the position's own loss with
            respect to its logits; NaN where that gradient is exactly zero. No gradient.
        l1: (N,) its ℓ1 norm, 2(1 - p_target). No gradient.

    Raises:
        InputError: shapes that do not match.
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
        budget = CHUNK_BYTES.get(hidden.device.type, CHUNK_BYTES["cpu"])
        chunk_rows = max(1, min(rows, budget // (4 * vocabulary)))
        chunk_rows = -(-rows // -(-rows // chunk_rows))  # chunks of nearly equal size
    if not torch.is_grad_enabled():
        hidden, weight, bias = hidden.detach(), weight.detach(), bias.detach()
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        hidden = hidden.to(torch.get_autocast_dtype(device))
    return _LinearCrossEntropy.apply(hidden, weight, bias, target, chunk_rows)  # pyright: ignore


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, target: Tensor, chunk_rows: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = hidden.shape[0]
        product, accurate = hidden.dtype, torch.promote_types(hidden.dtype, torch.float32)
        matrix = weight.to(product)  # V D
        chi = torch.empty(rows, dtype=accurate, device=hidden.device)
        l1 = torch.empty_like(chi)
        loss = torch.zeros((), dtype=torch.float64, device=hidden.device)
        need_hidden, need_weight, need_bias = ctx.needs_input_grad[:3]
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=product) if need_weight else None
        grad_bias = torch.zeros_like(bias) if need_bias else None

        room = hidden.new_empty(chunk_rows, len(matrix))
        for start in range(0, rows, chunk_rows):
            stop = min(start + chunk_rows, rows)
            h, y = hidden[start:stop], target[start:stop].unsqueeze(1)  # R D, R 1
            logits = _logits(h, matrix, bias.to(product), room[: stop - start])  # R V
            p = torch.softmax(logits, 1, dtype=accurate)  # R V
            loss += _sum_of_losses(logits, p, y)
            p.scatter_(1, y, 0)
            q = p.sum(1)  # R
            squares = torch.linalg.vector_norm(p, dim=1).square()  # R
            l1[start:stop] = 2 * q
            chi[start:stop] = (squares + q.square()).sqrt() / (2 * q)
            if not (need_hidden or need_weight or need_bias):
                continue
            p.scatter_(1, y, -q.unsqueeze(1))  # now p - onehot(target)
            gradient = p.to(product)
            if grad_hidden is not None:
                torch.mm(gradient, matrix, out=grad_hidden[start:stop])
            if grad_weight is not None:
                grad_weight.addmm_(gradient.t(), h)
            if grad_bias is not None:
                grad_bias += p.sum(0)

        gradients = (grad_hidden, grad_weight, grad_bias)
        ctx.save_for_backward(*(None if g is None else g.div_(rows) for g in gradients))
        ctx.weight_dtype = weight.dtype
        ctx.mark_non_differentiable(chi, l1)
        return (loss / rows).to(accurate), chi, l1

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        hidden, weight, bias = ctx.saved_tensors
        return (
            None if hidden is None else (hidden * grad_loss).to(hidden.dtype),
            None if weight is None else (weight * grad_loss).to(ctx.weight_dtype),
            None if bias is None else bias * grad_loss,
            None,
            None,
        )


def _logits(hidden: Tensor, matrix: Tensor, bias: Tensor, room: Tensor) -> Tensor:
    """hidden (R, D) @ matrixᵀ (D, V) + bias into ``room`` (R, V).

    On a CPU from as many rows of the matrix at a time as its cache holds: with few rows of hidden
    against very many of the matrix one product over all of them runs at half the speed.
    """
    panel = len(matrix)
    if matrix.device.type == "cpu":
        panel = max(512, PANEL_BYTES // (matrix.element_size() * matrix.shape[1]))
    for start in range(0, len(matrix), panel):
        part = slice(start, start + panel)
        torch.addmm(bias[part], hidden, matrix[part].t(), out=room[:, part])
    return room


def _sum_of_losses(logits: Tensor, p: Tensor, y: Tensor) -> Tensor:
    """Sum of -log p_target over the chunk's rows; through the logits where p underflows."""
    p_target = p.gather(1, y)
    if p.device.type == "cpu" and float(p_target.min()) > 1e-30:
        return -p_target.log().sum(dtype=torch.float64)
    return F.cross_entropy(logits.to(p.dtype), y.squeeze(1), reduction="none").sum(
        dtype=torch.float64
    )
