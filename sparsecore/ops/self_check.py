"""A kernel is used once it has matched its reference where it runs, on a small problem.

Kernels for GPUs are tested on CPUs, through an interpreter. What a compiler, a driver or a device
of another kind makes of them is seen at their first use in a process: a check runs the kernel and
plain PyTorch side by side. One that fails costs a line and some speed, never a wrong number.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from sparsecore.ops.compilers import is_traced, opaque

log = logging.getLogger(__name__)

Check = Callable[[torch.device, torch.dtype], bool]
VERDICTS: dict[tuple[str, str, str, str], bool] = {}
LARGEST_ERROR = {torch.float64: 1e-8, torch.float32: 1e-4}  # of the largest number


@opaque
def self_check(kernel: str, x: Tensor, check: Check) -> bool:
    """Whether ``check`` finds the kernel right on the device of ``x``, in its precision.

    It is asked once a process for each device, dtype and setting of float32 products, then the
    answer is kept; False and the reason are logged. Nothing can be tried while a CUDA graph is
    captured or a program is written down: what is not known by then counts as failed there.

    Args:
        kernel: its name, for the log.
        x: a tensor like those that the kernel is to work on.
        check: runs it on a small problem, on that device and in that dtype; True if it is right.
    """
    key = (kernel, str(x.device), str(x.dtype), float32_products())
    if key not in VERDICTS:
        if is_traced() or is_capturing(x):
            return False
        VERDICTS[key] = _passes(kernel, x, check)
    return VERDICTS[key]


def float32_products() -> str:
    """How kernels multiply float32 matrices: as PyTorch is set, ``"tf32"`` or ``"ieee"``."""
    return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"


def allclose(found: Iterable[Tensor], right: Iterable[Tensor]) -> bool:
    """Whether all numbers are equal up to the rounding of the type they were found in."""
    for a, b in zip(found, right, strict=True):
        tolerance = LARGEST_ERROR.get(a.dtype, 0.1)
        if a.dtype == torch.float32 and float32_products() == "tf32":
            tolerance = 1e-2
        a, b = a.detach().cpu().double(), b.detach().cpu().double()
        if not bool(((a - b).abs() <= tolerance * (1 + b.abs().max())).all()):  # False at NaN
            return False
    return True


def is_capturing(x: Tensor) -> bool:
    """Whether what is done to tensors like ``x`` goes into a CUDA graph."""
    return x.is_cuda and torch.cuda.is_current_stream_capturing()


def _passes(kernel: str, x: Tensor, check: Check) -> bool:
    """The verdict, whatever mode the caller is in; a line where it is no."""
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
            warnings.simplefilter("ignore")  # of the compiler, about its own settings
            with torch.autocast("cuda", enabled=False):
                if check(x.device, x.dtype):
                    return True
        reason = "differs from plain PyTorch"
    except Exception as error:  # of the compiler, the driver, the device: its kind is not known
        first = str(error).strip().partition("\n")[0]
        reason = f"{type(error).__name__}: {first}"
    log.warning(
        "the kernel for %s is not used on %s (%s): layers use a slower implementation",
        kernel,
        x.device,
        reason,
    )
    return False
