"""The lookup on a CPU by loops that Numba compiles: rows are copied where they are, table by table.

Nothing is sorted, and no row is read that is not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Size, Tensor
from torch.autograd.function import once_differentiable

from sparsecore.ops.compilers import jit


class CompiledLookup(torch.autograd.Function):
    """Rows (N,) int64 in [0, V) and the tables -> (N, k)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, *tables: Tensor) -> Tensor:
        """The vectors; a row that a table lacks is zero there."""
        ctx.shapes = [table.shape for table in tables]
        ctx.rows = rows.numpy()
        vectors = tables[0].new_empty(len(rows), sum(width for _, width in ctx.shapes))
        for table, (first, column) in zip(tables, _corners(ctx.shapes), strict=True):
            _copy(ctx.rows, first, table.detach().numpy(), vectors.numpy(), column)
        return vectors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of each table; rows that were asked for more than once add up."""
        given = gradient.contiguous().numpy()
        gradients = [gradient.new_zeros(shape) for shape in ctx.shapes]
        for table, (first, column) in zip(gradients, _corners(ctx.shapes), strict=True):
            _add(ctx.rows, first, table.numpy(), given, column)
        return None, *gradients


def _corners(shapes: list[Size]) -> Iterator[tuple[int, int]]:
    """Of each table: the row and the column of the matrix where it begins."""
    column = 0
    for length, width in shapes:
        yield shapes[0][0] - length, column
        column += width


@jit
def _copy(
    rows: np.ndarray, first: int, table: np.ndarray, vectors: np.ndarray, column: int
) -> None:
    width = table.shape[1]
    for n in range(len(rows)):
        place = rows[n] - first
        to = vectors[n, column : column + width]
        if place >= 0:
            source = table[place]
            for i in range(width):
                to[i] = source[i]
        else:
            for i in range(width):
                to[i] = 0


@jit
def _add(
    rows: np.ndarray, first: int, table: np.ndarray, gradient: np.ndarray, column: int
) -> None:
    width = table.shape[1]
    for n in range(len(rows)):
        place = rows[n] - first
        if place >= 0:
            to, source = table[place], gradient[n, column : column + width]
            for i in range(width):
                to[i] += source[i]
