"""Rows of a staircase matrix, gathered from its tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def staircase_lookup(rows: Tensor, tables: Sequence[Tensor]) -> Tensor:
    """Rows (...) of the staircase matrix -> (..., k), zero in the bins that a row lacks.

    Args:
        rows: integers in [0, V).
        tables: (r_m, width_m) each, r_0 = V; table m holds the last r_m rows of bin m.

    Raises:
        IndexError: a row outside [0, V).
    """
    num_rows = len(tables[0])
    pieces = []
    for table in tables:
        if len(table) == num_rows:
            pieces.append(F.embedding(rows, table))
        elif len(table) == 0:
            pieces.append(table.new_zeros(()).expand(*rows.shape, table.shape[1]))
        else:
            place = rows - (num_rows - len(table))
            present = (place >= 0).unsqueeze(-1)
            pieces.append(F.embedding(place.clamp_min(0), table) * present)
    return torch.cat(pieces, dim=-1)
