"""Rows of a staircase matrix, gathered from its tables.

On the CPU compiled loops copy them (:mod:`~sparsecore.ops.staircase.compiled`). Without Numba the
rows in use are sorted, so that those which have bin m are the last ones, and only they are read and
written: one copy each way per table, nothing for the zeros. Where the operations are traced
(``torch.compile``, ``torch.export``) or sent to a device, one gather from all tables laid end to
end does it, in a number of operations that does not depend on M.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Size, Tensor

from sparsecore.ops.compilers import compiles_on_cpu, is_traced
from sparsecore.ops.staircase.gather import gather, table_gradients


def staircase_lookup(rows: Tensor, tables: Sequence[Tensor], layout: Tensor) -> Tensor:
    """Rows (...) of the staircase matrix -> (..., k), zero in the bins that a row lacks.

    Args:
        rows: integers in [0, V).
        tables: (r_m, width_m) each, r_0 = V; table m holds the last r_m rows of bin m.
        layout: of the tables' shapes, on their device, from
            :func:`~sparsecore.ops.staircase.gather.column_layout`.

    Raises:
        IndexError: a row outside [0, V) (on a CPU; a device stops in its own way).
    """
    if rows.dtype == torch.int32:  # as nn.Embedding takes them
        rows = rows.long()
    if compiles_on_cpu(tables[0]) and rows.is_cpu and rows.dtype == torch.int64 and rows.numel():
        return _compiled()(rows, *tables)
    if is_traced() or not rows.is_cpu:
        return gather(rows, tables, layout)
    used, inverse = torch.unique(rows, return_inverse=True)  # sorted
    vectors: Tensor = _UsedRows.apply(used, *tables)
    return vectors.index_select(0, inverse.flatten()).view(*rows.shape, vectors.shape[1])


@cache
def _compiled() -> Callable[..., Tensor]:
    from sparsecore.ops.staircase.compiled import CompiledLookup

    return CompiledLookup.apply


class _UsedRows(torch.autograd.Function):
    """Sorted rows without repetition (U,) and the tables -> (U, k)."""

    @staticmethod
    def forward(ctx: Any, used: Tensor, *tables: Tensor) -> Tensor:
        ctx.shapes = [table.shape for table in tables]
        ctx.places = _places(used, ctx.shapes)
        ctx.count = len(used)
        ctx.save_for_backward(used)
        widths = [width for _, width in ctx.shapes]
        vectors = tables[0].new_zeros(ctx.count, sum(widths))
        for table, part, (first, places) in zip(
            tables, vectors.split(widths, 1), ctx.places, strict=True
        ):
            if first < ctx.count:
                torch.index_select(table, 0, places, out=part[first:])
        return vectors

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            return None, *table_gradients(ctx.saved_tensors[0], ctx.shapes, gradient)
        gradients = [gradient.new_zeros(shape) for shape in ctx.shapes]
        parts = gradient.split([width for _, width in ctx.shapes], 1)
        for table, part, (first, places) in zip(gradients, parts, ctx.places, strict=True):
            if first < ctx.count:
                table.index_copy_(0, places, part[first:])
        return None, *gradients


def _places(used: Tensor, shapes: Sequence[Size]) -> list[tuple[int, Tensor]]:
    """Of each table: the first used row that it has, and the places there of that and the next."""
    first_rows = torch.tensor([shapes[0][0] - length for length, _ in shapes])
    firsts = torch.searchsorted(used, first_rows).tolist()
    firsts[0] = 0  # so that a negative row is refused there
    places = (used - first_rows.unsqueeze(1)).unbind(0)
    return [(first, place[first:]) for first, place in zip(firsts, places, strict=True)]
