"""What a step asks of PyTorch, in counts that are the same on every machine and every day.

    with Footprint() as footprint:
        step()
    footprint.peak_bytes

Every operation that reaches PyTorch's dispatcher is seen, of the backward pass too; what a fused
operation allocates and frees inside itself is not.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Footprint(TorchDispatchMode):
    """Counts operations and the memory of the tensors they make.

    Args:
        watched: length of the last axis of the tensors whose largest is noted; None: of all.

    Attributes:
        operations: that were dispatched.
        allocated_bytes: of all new tensors together; views and results in place are not new.
        returned_bytes: of all results, new or not: what the operations reached.
        peak_bytes: of the new tensors that were alive at the same time.
        largest_bytes: of the largest new tensor, among the watched ones.
    """

    def __init__(self, watched: int | None = None) -> None:
        super().__init__()
        self.watched = watched
        self.operations = self.allocated_bytes = self.returned_bytes = 0
        self.peak_bytes = self.largest_bytes = 0
        self._live = 0
        self._known: set[int] = set()  # storages alive that this step made

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation and count it."""
        given = {_key(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        for x in tree_leaves(result):
            if isinstance(x, Tensor):
                self.returned_bytes += x.numel() * x.element_size()
                if _key(x) not in given and _key(x) not in self._known:
                    self._count(x)
        return result

    def _count(self, x: Tensor) -> None:
        storage, size = x.untyped_storage(), x.untyped_storage().nbytes()
        self._known.add(_key(x))
        weakref.finalize(storage, self._forget, _key(x), size).atexit = False
        self._live += size
        self.allocated_bytes += size
        self.peak_bytes = max(self.peak_bytes, self._live)
        if self.watched is None or (x.ndim > 1 and x.shape[-1] == self.watched):
            self.largest_bytes = max(self.largest_bytes, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._live -= size


def _key(x: Tensor) -> int:
    return x.untyped_storage()._cdata


def peak_on_gpu(step: Any) -> int:
    """Bytes that ``step`` takes of the GPU's memory above what is held before it."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
