"""What a backend's LSTM lacks: types under autocast, the backward pass in eval mode.

Under autocast on a CPU, ``nn.LSTM`` runs in oneDNN, which has a half-precision LSTM for processors
with AVX-512 or AMX alone; elsewhere PyTorch raises "could not create a primitive descriptor".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn

from sparsecore.ops.compilers import opaque


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """The type that products of tensors like ``x`` run in under autocast; None outside of it.

    The ``meta`` device knows no autocast, and asking it raises.
    """
    kind = x.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def without_autocast(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Inside, operations on tensors like ``x`` keep the types that they are given."""
    if x.device.type == "meta":
        return contextlib.nullcontext()
    return torch.autocast(x.device.type, enabled=False)


def widest(x: Tensor) -> torch.dtype:
    """The type of long sums on the device of ``x``: float64, where it is there (not on MPS)."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def lstm_lacks_autocast(x: Tensor) -> bool:
    """Whether ``nn.LSTM`` would raise on tensors like ``x`` under the autocast that is on."""
    dtype = autocast_dtype(x) if x.device.type == "cpu" else None
    return dtype is not None and not cpu_lstm_runs_in(dtype)


@opaque
@cache
def cpu_lstm_runs_in(dtype: torch.dtype) -> bool:
    """Whether this processor runs ``nn.LSTM`` under autocast to ``dtype``: tried once a process."""
    with torch.random.fork_rng(devices=[]), torch.autocast("cpu", dtype), torch.no_grad():
        try:
            nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
        except RuntimeError:
            return False
    return True


@contextlib.contextmanager
def backward_in_eval(model: nn.Module) -> Iterator[None]:
    """Let a recurrent model in eval mode go backward on a GPU too: cuDNN refuses that.

    PyTorch's own kernels, which do not, are used inside the block.
    """
    before = torch.backends.cudnn.enabled
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before
