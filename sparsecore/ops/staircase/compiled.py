"""The lookup on a CPU by loops that Numba compiles: each vector is put together where it is needed.

Nothing is sorted, no row is read that is not asked for, and each vector is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from torch import Size, Tensor

from sparsecore.ops.compilers import jit
from sparsecore.ops.staircase.gather import table_gradients


@dataclass(frozen=True, eq=False)
class Stairs:
    """What the shapes of the tables say."""

    shapes: tuple[Size, ...]
    sizes: np.ndarray
    firsts: np.ndarray  # of each table its first row of the matrix
    widths: np.ndarray
    dim: int  # k
    nested: bool  # none begins above the one before: a row that lacks one lacks all that follow


@lru_cache(maxsize=64)
def stairs(shapes: tuple[Size, ...]) -> Stairs:
    """Computed once, not at each step."""
    heights, widths = np.array(shapes, np.int64).T
    nested = bool((np.diff(heights) <= 0).all())
    firsts, dim = heights[0] - heights, int(widths.sum())
    return Stairs(shapes, heights * widths, firsts, widths.copy(), dim, nested)


class CompiledLookup(torch.autograd.Function):
    """Rows (...) int64 and the tables -> (..., k)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, *tables: Tensor) -> Tensor:
        """The vectors; a row that a table lacks is zero there."""
        ctx.save_for_backward(rows)
        ctx.stairs = known = stairs(tuple([table.shape for table in tables]))
        tables = tuple([table.contiguous() for table in tables])
        addresses = np.array([table.data_ptr() for table in tables], np.int64)
        vectors = tables[0].new_empty(*rows.shape, known.dim)
        numbers, to = rows.reshape(-1).numpy(), vectors.view(-1, known.dim).numpy()
        V, where = len(tables[0]), (known.firsts, known.widths, known.nested)
        wrong = _copy(numbers, V, addresses, *where, to)
        if wrong >= 0:
            raise IndexError(f"row {numbers[wrong]} is outside a matrix of {V} rows")
        return vectors

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of each table; rows that were asked for more than once add up."""
        (rows,), known = ctx.saved_tensors, ctx.stairs
        if torch.is_grad_enabled():  # create_graph=True
            return None, *table_gradients(rows, known.shapes, gradient)
        gradients = [gradient.new_empty(*shape) for shape in known.shapes]
        addresses = np.array([table.data_ptr() for table in gradients], np.int64)
        where = known.firsts, known.widths, known.nested
        source = gradient.reshape(-1, known.dim).contiguous().numpy()
        _add(rows.reshape(-1).numpy(), addresses, known.sizes, *where, source)
        return None, *gradients


def _to_pointer(_context: Any, address: Any) -> Any:
    """An address as a pointer, for ``numba.carray``."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


def _to_prefetch(_context: Any, address: Any) -> Any:
    """The processor begins to load from an address; one where nothing is does no harm."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer, number = cgutils.voidptr_t, cgutils.int32_t
        load = builder.module.declare_intrinsic(
            "llvm.prefetch",
            (pointer,),
            ir.FunctionType(ir.VoidType(), [pointer, number, number, number]),
        )
        to_read, to_be_kept, data = (ir.Constant(number, value) for value in (0, 3, 1))
        where = builder.inttoptr(arguments[0], pointer)
        builder.call(load, [where, to_read, to_be_kept, data])
        return context.get_dummy_value()

    return types.void(address), generate


_pointer: Any = intrinsic(_to_pointer)
_prefetch: Any = intrinsic(_to_prefetch)
AHEAD = 2  # rows, whose numbers are on their way from memory meanwhile


@jit
def _copy(
    rows: np.ndarray,
    num_rows: int,
    addresses: np.ndarray,
    firsts: np.ndarray,
    widths: np.ndarray,
    nested: bool,
    vectors: np.ndarray,
) -> int:
    """-1, or the place in ``rows`` of one that the matrix lacks, where it stopped."""
    size, dtype = vectors.itemsize, vectors.dtype
    for n in range(len(rows)):
        row, column = rows[n], 0
        if not 0 <= row < num_rows:
            return n
        jump = rows[min(n + AHEAD, len(rows) - 1)] - row
        for m in range(len(addresses)):
            place, width = row - firsts[m], widths[m]
            if place >= 0:
                address = addresses[m] + place * width * size
                _prefetch(address + jump * width * size)
                source = numba.carray(_pointer(address), (width,), dtype)
                to = vectors[n, column : column + width]
                if width == 1:  # no loop: twice as fast
                    to[0] = source[0]
                else:
                    for i in range(width):
                        to[i] = source[i]
            elif nested:
                break
            else:
                vectors[n, column : column + width] = 0
            column += width
        vectors[n, column:] = 0
    return -1


@jit
def _add(
    rows: np.ndarray,
    addresses: np.ndarray,
    sizes: np.ndarray,
    firsts: np.ndarray,
    widths: np.ndarray,
    nested: bool,
    gradient: np.ndarray,
) -> None:
    """What is at the addresses before does not matter."""
    size, dtype = gradient.itemsize, gradient.dtype
    for m in range(len(addresses)):
        numba.carray(_pointer(addresses[m]), (sizes[m],), dtype)[:] = 0
    for n in range(len(rows)):
        row, column = rows[n], 0
        for m in range(len(addresses)):
            place, width = row - firsts[m], widths[m]
            if place >= 0:
                address = addresses[m] + place * width * size
                to = numba.carray(_pointer(address), (width,), dtype)
                source = gradient[n, column : column + width]
                if width == 1:
                    to[0] += source[0]
                else:
                    for i in range(width):
                        to[i] += source[i]
            elif nested:
                break
            column += width
