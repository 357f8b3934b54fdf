"""The lookup on a CPU by loops that Numba compiles: each vector is put together where it is needed.

Nothing is sorted, no row is read that is not asked for, and each vector is written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch
from numba.core import cgutils, types
from numba.extending import intrinsic
from torch import Size, Tensor
from torch.autograd.function import once_differentiable

from sparsecore.ops.compilers import jit


class CompiledLookup(torch.autograd.Function):
    """Rows (N,) int64 in [0, V) and the tables, contiguous -> (N, k)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, *tables: Tensor) -> Tensor:
        """The vectors; a row that a table lacks is zero there."""
        ctx.save_for_backward(rows)
        ctx.shapes = [table.shape for table in tables]
        vectors = tables[0].new_empty(len(rows), sum(width for _, width in ctx.shapes))
        _copy(rows.numpy(), *_where(tables, ctx.shapes), vectors.numpy())
        return vectors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of each table; rows that were asked for more than once add up."""
        (rows,) = ctx.saved_tensors
        gradients = [gradient.new_zeros(shape) for shape in ctx.shapes]
        _add(rows.numpy(), *_where(gradients, ctx.shapes), gradient.contiguous().numpy())
        return None, *gradients


def _where(
    tables: Sequence[Tensor], shapes: Sequence[Size]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Of each table: its address, its first row of the matrix, its width.

    And whether none begins above the one before: then a row that lacks one lacks all that follow.
    """
    lengths, widths = np.array(shapes, np.int64).T
    addresses = np.array([table.data_ptr() for table in tables], np.int64)
    return addresses, lengths[0] - lengths, widths.copy(), bool((np.diff(lengths) <= 0).all())


def _to_pointer(_context: Any, address: Any) -> Any:
    """An address as a pointer, for ``numba.carray``."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


_pointer: Any = intrinsic(_to_pointer)


@jit
def _copy(
    rows: np.ndarray,
    addresses: np.ndarray,
    firsts: np.ndarray,
    widths: np.ndarray,
    nested: bool,
    vectors: np.ndarray,
) -> None:
    size, dtype = vectors.itemsize, vectors.dtype
    for n in range(len(rows)):
        column = 0
        for m in range(len(addresses)):
            place, width = rows[n] - firsts[m], widths[m]
            to = vectors[n, column : column + width]
            if place >= 0:
                address = addresses[m] + place * width * size
                source = numba.carray(_pointer(address), (width,), dtype)
                for i in range(width):
                    to[i] = source[i]
            elif nested:
                break
            else:
                to[:] = 0
            column += width
        vectors[n, column:] = 0


@jit
def _add(
    rows: np.ndarray,
    addresses: np.ndarray,
    firsts: np.ndarray,
    widths: np.ndarray,
    nested: bool,
    gradient: np.ndarray,
) -> None:
    size, dtype = gradient.itemsize, gradient.dtype
    for n in range(len(rows)):
        column = 0
        for m in range(len(addresses)):
            place, width = rows[n] - firsts[m], widths[m]
            if place >= 0:
                address = addresses[m] + place * width * size
                to = numba.carray(_pointer(address), (width,), dtype)
                source = gradient[n, column : column + width]
                for i in range(width):
                    to[i] += source[i]
            elif nested:
                break
            column += width
