"""Loss, chi, ℓ1 and gradient of one chunk of logits, in plain PyTorch.

With the target's entry set aside, q = sum of the wrong words' p, s = sum of their squares:

    ||p - onehot||1 = 2q      ||p - onehot||2^2 = s + q^2      chi = sqrt(s + q^2) / 2q
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def sweep(
    logits: Tensor,
    target: Tensor,
    loss: Tensor,
    chi: Tensor,
    l1: Tensor,
    gradient: bool,
    again: Callable[[], Tensor] | None = None,
) -> Tensor | None:
    """One sweep over the logits of R rows.

    Args:
        logits: (R, V), of any floating type; may be overwritten.
        target: (R,) ids in [0, V).
        loss: (R,) or longer, float64 but on MPS: its sum grows by that of -log p_target.
        chi: (R,) is set to that of p - onehot(target); its type is that of all computation.
        l1: (R,) likewise.
        gradient: whether it is wanted.
        again: makes the same logits once more; with it p takes their place in memory.

    Returns:
        (R, V) p - onehot(target), or None.
    """
    y = target.unsqueeze(1)  # R 1
    if again is None or logits.dtype != chi.dtype:
        p = torch.softmax(logits, 1, dtype=chi.dtype)  # R V
        loss[0] += _sum_of_losses(logits.to(p.dtype), target, loss.dtype)
    else:
        p = torch.softmax(logits, 1, out=logits)
        loss[0] += _from_p(p.gather(1, y), target, loss.dtype, again)
    p.scatter_(1, y, 0)
    q = p.sum(1)  # R
    squares = torch.linalg.vector_norm(p, dim=1).square()  # R
    torch.mul(q, 2, out=l1)
    torch.div((squares + q.square()).sqrt(), l1, out=chi)
    return p.scatter_(1, y, -q.unsqueeze(1)) if gradient else None


def _sum_of_losses(logits: Tensor, target: Tensor, dtype: torch.dtype) -> Tensor:
    """Sum of -log p_target over the rows, exact where p underflows."""
    return F.cross_entropy(logits, target, reduction="none").sum(dtype=dtype)


def _from_p(
    p_target: Tensor, target: Tensor, dtype: torch.dtype, again: Callable[[], Tensor]
) -> Tensor:
    """The same, without the logits unless p underflows; the host looks whether it does."""
    if float(p_target.min()) > 1e-30:
        return -p_target.log().sum(dtype=dtype)
    return _sum_of_losses(again(), target, dtype)
