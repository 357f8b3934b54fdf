"""Models that cannot fit are refused while they are built, before their memory is taken.

``torch.empty`` reserves addresses; memory is taken when initial values are written, which a module
does once all of its parameters are registered. So their sizes are added up at registration.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from sparsecore.errors import InputError, is_out_of_memory

COPIES = 2  # the parameters and their gradients; most optimisers keep more
ADVICE = "take a smaller hidden_size, embedding_size, num_layers or vocabulary"


@contextlib.contextmanager
def models_must_fit(device: torch.device) -> Iterator[None]:
    """Inside, modules that are made may take as much memory as ``device`` has free.

    Raises:
        InputError: with the memory that their parameters and gradients need at least.
    """
    free, parameters = free_bytes(device), 0

    def add(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal parameters
        if parameter is None or parameter.is_meta:
            return
        parameters += parameter.nbytes
        if COPIES * parameters > free:
            raise InputError(
                f"the model is too large for {device}: its parameters and their gradients need "
                f"more than {COPIES * parameters / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
                + ADVICE
            )

    hook = register_module_parameter_registration_hook(add)
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # so large that no addresses could be reserved
        if not is_out_of_memory(error):
            raise
        raise InputError(
            f"the model is too large for {device}: one of its parameters alone cannot be "
            f"addressed, {free / 1e9:.1f} GB are free; {ADVICE}"
        ) from error
    finally:
        hook.remove()


def free_bytes(device: torch.device) -> int:
    """Memory that can be had without swapping: of the GPU, or of this machine or its container."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        found.append(1024 * int(kilobytes))
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text(encoding="utf-8"))
        found.append(int((group / "memory.max").read_text(encoding="utf-8")) - used)
    return min(found)
