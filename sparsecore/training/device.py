"""Where and how precisely to compute: explicit choices, resolved once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from sparsecore.errors import InputError, near_match

PRECISIONS = ("float32", "tf32", "bf16")


def resolve_device(device: str) -> torch.device:
    """``"auto"`` is CUDA where present, else the CPU; anything else as PyTorch names it.

    Raises:
        InputError: a device that PyTorch does not know or that this machine does not have.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        known = ["auto", "cpu", "cuda"]
        raise InputError(f"unknown device {device!r}{near_match(device, known)}") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} was asked for, but no CUDA GPU is present; use 'cpu'")
    return chosen


@contextlib.contextmanager
def precision_of(precision: str, device: torch.device) -> Iterator[None]:
    """Compute in ``float32`` (exact products), ``tf32`` (GPU matrix units) or ``bf16`` (autocast).

    Autocast keeps no rounded copies of weights: they would outlive the update of the weights.

    Raises:
        InputError: another name.
    """
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}{near_match(precision, PRECISIONS)}")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        half = precision == "bf16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
