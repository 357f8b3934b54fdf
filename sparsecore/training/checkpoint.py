"""Checkpoints that hold everything a run needs to go on to identical numbers.

One safetensors file: tensors, and a JSON header with plain values. Loading it executes no code.
The random generators' states travel along, so dropout masks go on where they stopped. Of several
processes the first one writes and all of them read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.files import atomic_path
from sparsecore.training.distributed import together, world

CPU_RNG, CUDA_RNG = "rng.cpu", "rng.cuda"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write tensors and JSON-able ``state`` atomically, with the random generators' states."""
    if not world().first:
        return
    everything = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
    everything[CPU_RNG] = torch.get_rng_state()
    if torch.cuda.is_available():
        everything[CUDA_RNG] = torch.cuda.get_rng_state()
    save_tensors(path, everything, {"state": json.dumps(state)})


def save_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file atomically; a full disk is one :class:`InputError`."""
    if not world().first:
        return
    try:
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata=metadata)
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while serializing: ").removeprefix("I/O error: ")
        raise InputError(f"cannot write {path}: {reason}") from error


def load_checkpoint(path: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint and set the random generators to where it left them.

    Raises:
        InputError: the file is damaged or is not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = json.loads((file.metadata() or {})["state"])
        torch.set_rng_state(tensors.pop(CPU_RNG))
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{path} is not a checkpoint of sparsecore or is damaged; delete it to start anew"
        ) from error
    cuda = tensors.pop(CUDA_RNG, None)
    if cuda is not None and device.type == "cuda":
        torch.cuda.set_rng_state(cuda)
    return {name: value.to(device) for name, value in tensors.items()}, state


def remove_checkpoint(path: Path) -> None:
    """Delete a checkpoint that nobody needs any more, once every process has read it."""
    together()
    if world().first:
        path.unlink(missing_ok=True)


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """``{"a": x}`` -> ``{"prefix.a": x}``."""
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def of_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors saved under ``prefix``, by their own names again."""
    start = f"{prefix}."
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
