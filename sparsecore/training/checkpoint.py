"""Checkpoints that hold everything a run needs to go on to identical numbers.

One safetensors file: tensors, and a JSON header with plain values. Loading it executes no code. The
random generators' states travel along, so dropout masks go on where they stopped. A SHA-256 over
all of it is checked on loading, and a run keeps its last two: the newest good one is used. Of
several processes the first one writes and all of them read.

What is kept are *parts*, by name: whatever has ``state_dict`` and ``load_state_dict`` (models,
optimisers), or an object whose attributes are tensors, plain values, and lists, tuples and
dictionaries of these (a dataclass).
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.files import atomic_path
from sparsecore.training import stopping
from sparsecore.training.distributed import barrier, broadcast, world
from sparsecore.training.run_folder import run_name

log = logging.getLogger(__name__)

CPU_RNG, CUDA_RNG = "rng.cpu", "rng.cuda"
LAST, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
SECONDS = "SPARSECORE_CHECKPOINT_SECONDS"
DEFAULT_SECONDS = 120.0

State = dict[str, Any]  # of a part: tensors and plain values, nested


class CheckpointManager:
    """The checkpoints of one run folder: when one is due, the last two kept, the good one loaded.

    Raises:
        InputError: SPARSECORE_CHECKPOINT_SECONDS is not a number of seconds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = checkpoint_seconds()
        self._saved = time.monotonic()
        self._last_is_bad = False

    def due(self, seconds: float = math.inf) -> bool:
        """Whether to save now: the time has come, or a signal asks the run to stop.

        ``seconds``: since the last time, where the run's own number is larger.
        """
        late = time.monotonic() - self._saved > min(seconds, self.seconds)
        return broadcast(stopping.stop_requested() or late)

    def save(self, parts: Mapping[str, Any]) -> None:
        """Write a checkpoint of the parts beside the one before.

        Raises:
            InputError: the disk is full or cannot be written; the two before are still there.
            Stopped: a signal asked the run to stop, and now all of it is saved.
        """
        before = None if self._last_is_bad else self.folder / PREVIOUS
        states = {name: state_of(part) for name, part in parts.items()}
        save_checkpoint(self.folder / LAST, states, before)
        self._last_is_bad = False
        self._saved = time.monotonic()
        barrier()  # it is written before any process stops
        stopping.raise_if_stopped(run_name(self.folder))

    def load(self, parts: Mapping[str, Any], device: torch.device) -> bool:
        """Bring the parts and the random generators to the newest good checkpoint, if there is one.

        Says in one line if the last one is damaged and the one before is used.

        Args:
            parts: brought to their saved states in their order.
            device: of the tensors of those that have no ``load_state_dict``.

        Returns:
            False if there is no checkpoint.

        Raises:
            InputError: all that are there are damaged.
        """
        found = [path for path in (self.folder / LAST, self.folder / PREVIOUS) if path.exists()]
        for path in found:
            try:
                states, generators = load_checkpoint(path)
            except InputError:
                continue
            if path != found[0]:
                self._last_is_bad = True
                if world().first:
                    log.warning("%s is damaged: going on from the checkpoint before it", found[0])
            if states.keys() != parts.keys():
                raise _damaged(path)
            for name, part in parts.items():
                restore(part, states[name], device)
            set_generators(generators, device)  # last: new modules draw from them
            return True
        if found:
            names = " and ".join(path.name for path in found)
            raise InputError(f"no good checkpoint in {self.folder}; delete {names} to start anew")
        return False


def state_of(part: Any) -> State:
    """The state of a part: its ``state_dict()``, else its attributes."""
    return part.state_dict() if hasattr(part, "state_dict") else dict(vars(part))


def restore(part: Any, state: State, device: torch.device) -> None:
    """Bring a part to a saved state."""
    if hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
    else:
        vars(part).update(to_device(state, device))


def to_device(state: Any, device: torch.device) -> Any:
    """The same state with its tensors on ``device``."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {name: to_device(value, device) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(to_device(value, device) for value in state)
    return state


def remove_checkpoints(folder: Path) -> None:
    """Of a run that is finished."""
    for name in (LAST, PREVIOUS):
        (folder / name).unlink(missing_ok=True)


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


def save_checkpoint(path: Path, states: Mapping[str, State], before: Path | None = None) -> None:
    """Write states atomically, with those of the random generators.

    Args:
        path: of the checkpoint.
        states: by the names of the parts.
        before: where to keep the checkpoint that is at ``path`` now.
    """
    if not world().first:
        return
    tensors: dict[str, Tensor] = {CPU_RNG: torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors[CUDA_RNG] = torch.cuda.get_rng_state()
    text = json.dumps({name: _flatten(state, name, tensors) for name, state in states.items()})
    with atomic_path(path) as temporary:
        _write(temporary, tensors, {"parts": text, "sha256": checksum(tensors, text)})
        if before is not None and path.exists():
            os.replace(path, before)


def load_checkpoint(path: Path) -> tuple[dict[str, State], dict[str, Tensor]]:
    """The states in a checkpoint, on the CPU, by the names of the parts; and the generators'.

    Raises:
        InputError: the file is damaged or is not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        text = metadata["parts"]
        if metadata["sha256"] != checksum(tensors, text):
            raise ValueError("wrong checksum")
        generators = {name: tensors[name] for name in (CPU_RNG, CUDA_RNG) if name in tensors}
        states = {name: _nest(value, tensors) for name, value in json.loads(text).items()}
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise _damaged(path) from error
    return states, generators


def set_generators(generators: dict[str, Tensor], device: torch.device) -> None:
    """Set PyTorch's random generators to where a checkpoint left them."""
    torch.set_rng_state(generators[CPU_RNG])
    if device.type == "cuda" and CUDA_RNG in generators:
        torch.cuda.set_rng_state(generators[CUDA_RNG])


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file atomically; a full disk is one :class:`InputError`."""
    if not world().first:
        return
    with atomic_path(path) as temporary:
        _write(temporary, {name: value.detach().cpu() for name, value in tensors.items()}, None)


def checksum(tensors: dict[str, Tensor], text: str) -> str:
    """Hex SHA-256 of a text and of each tensor's name, kind, shape and bytes, by name."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path} is not a checkpoint of sparsecore or is damaged; delete it to start anew"
    )


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> None:
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number)) from error


def _flatten(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A state as JSON: tensors go to ``tensors``, by their path; {kind: content} says what it was.

    JSON knows neither tuples nor the whole numbers by which optimisers call their parameters.
    """
    if isinstance(value, Tensor):
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        items = [[key, _flatten(one, f"{name}.{key}", tensors)] for key, one in value.items()]
        return {"dict": items}
    if isinstance(value, list | tuple):
        items = [_flatten(one, f"{name}.{index}", tensors) for index, one in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    return value


def _nest(value: Any, tensors: dict[str, Tensor]) -> Any:
    """What :func:`_flatten` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _nest(one, tensors) for key, one in content}
    items = [_nest(one, tensors) for one in content]
    return tuple(items) if kind == "tuple" else items
