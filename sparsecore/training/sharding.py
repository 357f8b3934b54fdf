"""A process's share of a batch, and the whole made of the shares.

A batch of B columns (texts side by side, sentences, documents) is cut along B; process r of N takes
columns rB/N to (r+1)B/N. Each computes its part of the whole batch's mean loss, so that gradients,
losses and counts of the whole are plain sums over the processes. Dropout masks are drawn for the
whole batch by every process, each of which uses its own columns of them: N processes compute what
one would, but for the order in which numbers are added.

One all_reduce of the gradients laid end to end is that sum. ``DistributedDataParallel`` would make
the same out of hooks on ``forward()``, but these models also use weights outside of it (the output
layer in chunks), go backward several times a step, and share unevenly; and they are small, so
nothing would be won by sending a part of the gradients before the rest is ready.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.layers.dropout import LockedDropout
from sparsecore.training.distributed import all_reduce_, world


def local_shard(total: int) -> slice:
    """This process's part of ``total`` columns; empty where there are fewer than processes.

    >>> local_shard(20)
    slice(0, 20, None)
    """
    rank, size = world().rank, world().size
    return slice(total * rank // size, total * (rank + 1) // size)


def all_reduce_gradients(parameters: Iterable[Tensor], *values: Tensor) -> list[Tensor]:
    """Replace each parameter's gradient by the sum over the processes, all in one message.

    Args:
        parameters: the same everywhere, on one device; one without a gradient counts as zero.
        values: scalars to be summed as well, such as each one's part of the loss.

    Returns:
        The sums of ``values``, as float32.
    """
    if world().alone:
        return [value.detach() for value in values]
    trained = [p for p in parameters if p.requires_grad]
    for p in trained:
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    gradients: list[Tensor] = [p.grad for p in trained]  # pyrefly: ignore[bad-assignment]
    scalars = [value.detach().float().reshape(1) for value in values]
    flat = all_reduce_(torch.cat([*(g.flatten() for g in gradients), *scalars]))
    pieces = flat.split([*(g.numel() for g in gradients), *[1] * len(scalars)])
    for gradient, piece in zip(gradients, pieces, strict=False):
        gradient.copy_(piece.view_as(gradient))
    return [piece.squeeze() for piece in pieces[len(gradients) :]]


def all_gather(piece: Tensor, total: int, dim: int) -> Tensor:
    """A tensor of ``total`` columns along ``dim``, of which this process has its own."""
    if world().alone:
        return piece
    shape = list(piece.shape)
    shape[dim] = total
    result = piece.new_zeros(shape)
    columns = local_shard(total)
    result.narrow(dim, columns.start, columns.stop - columns.start).copy_(piece.detach())
    return all_reduce_(result)


def rank0_only(total: Tensor) -> Tensor:
    """A sum over all processes, read from a checkpoint: the first one goes on with it."""
    return total if world().first else torch.zeros_like(total)


@contextlib.contextmanager
def shard(model: nn.Module, total: int) -> Iterator[slice]:
    """Inside, the columns of a batch that this process computes, with their part of its dropout.

        with shard(model, len(labels)) as columns:
            logits = model(words[:, columns])

    Args:
        model: whose dropouts draw the masks of the whole batch (:func:`shared_dropout`).
        total: B, the columns of the batch.

    Yields:
        The slice of the columns: all of them where there is one process.
    """
    columns = local_shard(total)
    with shared_dropout(model, columns, total):
        yield columns


@contextlib.contextmanager
def shared_dropout(model: nn.Module, columns: slice, total: int) -> Iterator[None]:
    """Inside, the model's dropouts draw masks for ``total`` columns and apply these of them.

    Their input is padded to the whole batch and their output cut again, so that they take the same
    numbers from the generator, in the same order, as they would of the whole batch. Columns are the
    last axis but one: (T, B, D) or (B, D).

    Args:
        model: whose ``nn.Dropout`` and ``LockedDropout`` modules are meant.
        columns: of this process; not empty.
        total: B.
    """
    if world().alone:
        yield
        return

    def widen(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (padded(args[0], columns, total), *args[1:])

    def cut(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        return output[..., columns, :]

    with contextlib.ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, nn.Dropout | LockedDropout) and module.p and module.training:
                hooks.callback(module.register_forward_pre_hook(widen).remove)
                hooks.callback(module.register_forward_hook(cut, prepend=True).remove)
        yield


def padded(x: Tensor, columns: slice, total: int) -> Tensor:
    """(..., b, D) with zeros on both sides: (..., ``total``, D), laid out in memory as ``x`` is.

    PyTorch draws a mask in the order of memory, so a transposed tensor has another one.
    """
    batch = x.dim() - 2
    outside_in = sorted(range(x.dim()), key=lambda axis: (-x.stride(axis), axis == batch))
    inverse = sorted(range(x.dim()), key=outside_in.__getitem__)
    wide = F.pad(x, (0, 0, columns.start, total - columns.stop))
    return wide.permute(outside_in).contiguous().permute(inverse)
