"""Checkpoints that hold everything a run needs to go on to identical numbers.

One safetensors file: tensors, and a JSON header with plain values. Loading it executes no code. The
random generators' states travel along, so dropout masks go on where they stopped. A SHA-256 over
all of it is checked on loading, and a run keeps its last two: the newest good one is used. Of
several processes the first one writes and all of them read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.files import atomic_path
from sparsecore.training import stopping
from sparsecore.training.distributed import agreed, together, world

log = logging.getLogger(__name__)

CPU_RNG, CUDA_RNG = "rng.cpu", "rng.cuda"
LAST, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
SECONDS = "SPARSECORE_CHECKPOINT_SECONDS"
DEFAULT_SECONDS = 120.0


class Keeper:
    """The checkpoints of one run folder: when one is due, the last two kept, the good one loaded.

    Raises:
        InputError: SPARSECORE_CHECKPOINT_SECONDS is not a number of seconds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = checkpoint_seconds()
        self._saved = time.monotonic()
        self._last_is_bad = False

    def due(self) -> bool:
        """Whether to save after this step: the time has come, or a signal asks the run to stop."""
        return agreed(stopping.asked() or time.monotonic() - self._saved > self.seconds)

    def save(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Write a checkpoint beside the one before.

        Raises:
            InputError: the disk is full or cannot be written; the two before are still there.
            Stopped: a signal asked the run to stop, and now all of it is saved.
        """
        before = None if self._last_is_bad else self.folder / PREVIOUS
        save_checkpoint(self.folder / LAST, tensors, state, before)
        self._last_is_bad = False
        self._saved = time.monotonic()
        together()  # it is written before any process stops
        stopping.stop_if_asked(run_name(self.folder))

    def load(self, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The newest good checkpoint as :func:`load_checkpoint` gives it; None if there is none.

        Says in one line if the last one is damaged and the one before is used.

        Raises:
            InputError: all that are there are damaged.
        """
        found = [path for path in (self.folder / LAST, self.folder / PREVIOUS) if path.exists()]
        for path in found:
            try:
                loaded = load_checkpoint(path, device)
            except InputError:
                continue
            if path != found[0]:
                self._last_is_bad = True
                if world().first:
                    log.warning("%s is damaged: going on from the checkpoint before it", found[0])
            return loaded
        if found:
            names = " and ".join(path.name for path in found)
            raise InputError(f"no good checkpoint in {self.folder}; delete {names} to start anew")
        return None


def remove_checkpoints(folder: Path) -> None:
    """Of a run that is finished."""
    for name in (LAST, PREVIOUS):
        (folder / name).unlink(missing_ok=True)


def run_name(folder: Path) -> str:
    """A run as messages name it: ``experiment/hash``."""
    return f"{folder.parent.name}/{folder.name}"


def checkpoint_seconds() -> float:
    """Seconds from one checkpoint to the next within an epoch, 120 or as the environment says.

    Raises:
        InputError: SPARSECORE_CHECKPOINT_SECONDS is not a number of seconds.
    """
    given = os.environ.get(SECONDS)
    try:
        seconds = float(given) if given else DEFAULT_SECONDS
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise InputError(f"{SECONDS} must be a number of seconds, 0 or more; got {given!r}")
    return seconds


def save_checkpoint(
    path: Path, tensors: dict[str, Tensor], state: dict[str, Any], before: Path | None = None
) -> None:
    """Write tensors and JSON-able ``state`` atomically, with the random generators' states.

    Args:
        before: where to keep the checkpoint that is at ``path`` now.
    """
    if not world().first:
        return
    everything = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()
    }
    everything[CPU_RNG] = torch.get_rng_state()
    if torch.cuda.is_available():
        everything[CUDA_RNG] = torch.cuda.get_rng_state()
    text = json.dumps(state)
    with atomic_path(path) as temporary:
        _write(temporary, everything, {"state": text, "sha256": checksum(everything, text)})
        if before is not None and path.exists():
            os.replace(path, before)


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file atomically; a full disk is one :class:`InputError`."""
    if not world().first:
        return
    with atomic_path(path) as temporary:
        _write(temporary, tensors, None)


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> None:
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number)) from error


def load_checkpoint(path: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint and set the random generators to where it left them.

    Raises:
        InputError: the file is damaged or is not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        text = metadata["state"]
        if metadata["sha256"] != checksum(tensors, text):
            raise ValueError("wrong checksum")
        state = json.loads(text)
        torch.set_rng_state(tensors.pop(CPU_RNG))
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{path} is not a checkpoint of sparsecore or is damaged; delete it to start anew"
        ) from error
    cuda = tensors.pop(CUDA_RNG, None)
    if cuda is not None and device.type == "cuda":
        torch.cuda.set_rng_state(cuda)
    return {name: value.to(device) for name, value in tensors.items()}, state


def checksum(tensors: dict[str, Tensor], text: str) -> str:
    """Hex SHA-256 of a text and of each tensor's name, kind, shape and bytes, by name."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """``{"a": x}`` -> ``{"prefix.a": x}``."""
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def of_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors saved under ``prefix``, by their own names again."""
    start = f"{prefix}."
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
