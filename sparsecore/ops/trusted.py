"""A kernel for a GPU is tried on a small problem before it is used, once on each device."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

_verdicts: dict[tuple[str, torch.device], bool] = {}


def trusted(name: str, device: torch.device, check: Callable[[], bool]) -> bool:
    """Whether the kernel passes its check on this device; warns once where it does not.

    While a CUDA graph is captured nothing can be tried: a kernel not tried before is not trusted,
    and the question stays open.

    Args:
        name: of the kernel, for the warning.
        device: where it would run.
        check: whether kernel and plain PyTorch agree on a small problem; may raise anything.
    """
    key = name, device
    if key in _verdicts:
        return _verdicts[key]
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        return False
    reason = "its results differ from PyTorch's"
    try:
        passed = check()
    except Exception as error:  # whatever a compiler or a driver may raise
        passed, reason = False, f"{type(error).__name__}: {error}".splitlines()[0]
    _verdicts[key] = passed
    if not passed:
        warnings.warn(
            f"the kernel {name!r} is not used on {device} ({reason}); PyTorch's operations are",
            stacklevel=2,
        )
    return passed
