"""What turns loops into machine code is optional: is it there, and how it is used."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from sparsecore.errors import install_hint

log = logging.getLogger(__name__)

COMPILED = (torch.float32, torch.float64)  # what the loops for the CPU are written for


@cache
def installed(package: str, extra: str) -> bool:
    """Whether a compiler is there; says once what is missed if not."""
    found = importlib.util.find_spec(package) is not None
    if not found:
        log.warning(
            "%s is not installed: layers use a slower implementation; %s",
            package,
            install_hint(extra),
        )
    return found


def opaque(function: Callable[..., Any]) -> Callable[..., Any]:
    """To the compiler of PyTorch a call that it makes as it is, as it calls ``nn.LSTM``.

    ``torch.compiler.disable`` as PyTorch uses it within: it takes seconds to load, and is loaded
    when the function is called, not when it is defined.
    """
    return torch._disable_dynamo(function)


def is_traced() -> bool:
    """Whether PyTorch traces the operations (``torch.compile``, ``torch.func``, a trace)."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or is_transformed()


def is_transformed() -> bool:
    """Whether a transform of ``torch.func`` (``grad``, ``vmap``, ``jacrev``, …) is at work.

    Backward passes of our own do not go through these; plain operations do.
    """
    return torch._C._are_functorch_transforms_active()


def compiles_on_cpu(x: Tensor) -> bool:
    """Whether loops compiled by Numba serve tensors like ``x``: real numbers, on the CPU, now."""
    fits = x.device.type == "cpu" and x.dtype in COMPILED and not is_traced()
    return fits and installed("numba", "cpu")


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled by Numba at the first call; kept on the disk, where there is a folder to keep it.

    Products may be fused with sums; nothing else about floating point is relaxed.
    """
    import numba

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that can be written
        return numba.njit(**options)(function)
