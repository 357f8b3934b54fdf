"""A CUDA graph without a GPU: operations by PyTorch's dispatcher, made again in the same memory.

As of a graph, nothing of Python is replayed: a number that Python has read stays what it was, and a
tensor that was put elsewhere is not seen. Random numbers are drawn anew.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sparsecore.training import graphs, windows


class Tape(TorchDispatchMode):
    """Records the operations of the thread."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        """Make them all, each result where it lay before."""
        for func, args, kwargs, result in self.calls:
            found = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(found), strict=True):
                if isinstance(old, Tensor) and old.numel() and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def taped(
    step: Callable[[], object], tensors: graphs.Tensors, device: torch.device, room: Any = None
) -> Callable[[], object]:
    """In the place of :func:`~sparsecore.training.graphs.recorded`."""
    graphs.warm_up(step, tensors, device)
    tape = Tape()
    with graphs.undone(tensors, device), tape:
        step()
    return tape.replay


def replays_windows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Windows replay tapes where a GPU would replay graphs; the lengths, as they are recorded."""
    lengths: list[int] = []

    def record(step: Any, *arguments: Any) -> Callable[[], object]:
        lengths.append(len(step.offsets) - 1)
        return taped(step, *arguments)

    monkeypatch.setattr(windows, "recordable", lambda device: True)
    monkeypatch.setattr(windows, "recorded", record)
    return lengths
