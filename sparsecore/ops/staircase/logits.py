"""Products of vectors with every row of a staircase matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def staircase_logits(hidden: Tensor, tables: Sequence[Tensor], bias: Tensor | None) -> Tensor:
    """hidden (..., k) @ staircaseᵀ (k, V) + bias (V,), without the V x k matrix.

    Rows between two steps of the staircase have the same bins: each such range is one product.
    """
    num_rows = len(tables[0])
    parts = torch.split(hidden, [table.shape[1] for table in tables], dim=-1)
    logits = F.linear(parts[0], tables[0], bias)
    for part, table in zip(parts[1:], tables[1:], strict=True):
        if len(table):
            logits[..., num_rows - len(table) :] += F.linear(part, table)
    return logits
