"""Where and how precisely to compute: explicit choices, resolved once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch

from sparsecore.errors import InputError, check_choice, near_match
from sparsecore.ops.autocast import cpu_lstm_runs_in

T = TypeVar("T")

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "tf32", "bf16")


def resolve_device(device: str) -> torch.device:
    """``"auto"`` is CUDA where present, else the CPU; ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Layers and tracker run wherever PyTorch does; an experiment needs float64, exact sums and the
    state of the random generator, which are there on these two kinds.

    Raises:
        InputError: a device that PyTorch does not know, of another kind, or that is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"unknown device {device!r}{near_match(device, DEVICES)}") from error
    if chosen.type not in DEVICES:
        raise InputError(f"experiments run on 'cpu' or 'cuda', not on {device!r}; use 'auto'")
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise InputError(
                f"device {device!r} was asked for, but no CUDA GPU is present; use 'cpu'"
            )
        if (chosen.index or 0) >= (count := torch.cuda.device_count()):
            raise InputError(f"device {device!r} is not one of the {count} here, from cuda:0 on")
    return chosen


@contextlib.contextmanager
def precision_of(precision: str, device: torch.device) -> Iterator[None]:
    """Compute in ``float32`` (exact products), ``tf32`` (GPU matrix units) or ``bf16`` (autocast).

    The first two hold for matrix products and for cuDNN's LSTM, which PyTorch runs in TF32 unless
    told otherwise. Autocast keeps no rounded copies of weights: they would outlive the update of
    the weights.

    Raises:
        InputError: another name, or bf16 on a processor whose LSTM has none.
    """
    check_choice("precision", precision, PRECISIONS)
    half = precision == "bf16"
    if half and device.type == "cpu" and not cpu_lstm_runs_in(torch.bfloat16):
        raise InputError(
            "precision 'bf16' needs a GPU, or a processor with AVX-512 or AMX: the LSTM of this "
            "one has no bfloat16; use 'float32'"
        )
    with (
        _float32_products(tf32=precision == "tf32"),
        torch.autocast(device.type, torch.bfloat16, enabled=half, cache_enabled=False),
    ):
        yield


@contextlib.contextmanager
def _float32_products(tf32: bool) -> Iterator[None]:
    """How float32 matrices are multiplied, cuDNN's too; afterwards as it was.

    PyTorch has older and newer switches for it. Setting the older ones sets both; reading them
    raises where the newer ones were set to what they cannot say.
    """
    newer: Any = (  # PyTorch makes these modules at run time
        torch.backends.cuda.matmul,
        torch.backends.mkldnn.matmul,  # pyrefly: ignore[missing-attribute]
        torch.backends.cudnn.rnn,
        torch.backends.cudnn.conv,  # pyrefly: ignore[missing-attribute]
    )
    before = [switch.fp32_precision for switch in newer]
    matmul = _read(torch.get_float32_matmul_precision)
    cudnn = _read(lambda: torch.backends.cudnn.allow_tf32)

    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    for switch in newer:
        switch.fp32_precision = "tf32" if tf32 else "ieee"
    try:
        yield
    finally:
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        if cudnn is not None:
            torch.backends.cudnn.allow_tf32 = cudnn
        for switch, value in zip(newer, before, strict=True):
            switch.fp32_precision = value


def _read(older_switch: Callable[[], T]) -> T | None:
    """Its value, or None where the newer switches say what it cannot."""
    try:
        return older_switch()
    except RuntimeError:
        return None
