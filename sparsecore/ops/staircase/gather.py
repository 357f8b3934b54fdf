"""The lookup in a number of plain operations that does not depend on the number of tables.

They can be traced, sent to a device and differentiated as often as one likes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Size, Tensor

from sparsecore.ops.second_order import differentiable_gradients


def column_layout(shapes: Sequence[Size | tuple[int, int]]) -> Tensor:
    """Where the columns after the first bin are in the tables 1, … laid end to end.

    Returns:
        (3, k - width_0) int64: place of the column's first entry, step from row to row, and the row
        of the matrix at which the column begins.
    """
    columns, start = [], 0
    for length, width in shapes[1:]:
        first_row = shapes[0][0] - length
        columns += [(start + column, width, first_row) for column in range(width)]
        start += length * width
    return torch.tensor(columns, dtype=torch.int64).view(-1, 3).t().contiguous()


def gather(rows: Tensor, tables: Sequence[Tensor], layout: Tensor) -> Tensor:
    """The lookup in operations that can be traced; the first bin alone refuses wrong rows."""
    first = F.embedding(rows, tables[0])
    if sum(table.numel() for table in tables[1:]) == 0:
        return F.pad(first, (0, layout.shape[1]))
    start, step, first_row = layout
    place = rows.unsqueeze(-1) - first_row  # ... k - width_0
    entries = torch.cat([table.flatten() for table in tables[1:]])
    index = start + place.clamp_min(0) * step
    index = torch.where(place >= 0, index, 0)
    others = entries.gather(0, index.flatten()).view(index.shape)
    return torch.cat([first, torch.where(place >= 0, others, 0)], -1)


def table_gradients(
    rows: Tensor, shapes: Sequence[Size | tuple[int, int]], gradient: Tensor
) -> list[Tensor | None]:
    """The gradient of each table, in operations that can be differentiated."""
    tables = [gradient.new_zeros(shape).requires_grad_() for shape in shapes]
    layout = column_layout(shapes).to(gradient.device)
    needed = [True] * len(tables)
    return differentiable_gradients(
        lambda *tables: gather(rows, tables, layout), tables, needed, gradient
    )
