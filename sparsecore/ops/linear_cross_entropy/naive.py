"""The reference implementation: all logits at once, the softmax gradient written out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def naive_linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, target: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`~sparsecore.ops.linear_cross_entropy.linear_cross_entropy`, in plain operations."""
    logits = F.linear(hidden, weight, bias)  # N V
    loss = F.cross_entropy(logits, target)
    with torch.no_grad():
        gradient = logits.softmax(-1) - F.one_hot(target, logits.shape[-1])  # N V
        l1 = gradient.norm(1, dim=-1)
        chi = gradient.norm(2, dim=-1) / l1
    return loss, chi, l1
