"""Which clock sees all of a contestant's work, and the end of what a GPU was given."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

CLOCKS: dict[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}


def clock_name(device: torch.device, helpers: bool = False) -> str:
    """``cpu`` (this process's time, whatever the neighbours do) if that sees it all, else ``wall``.

    On a quiet machine the two agree. ``helpers``: other processes take part.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1 and not helpers
    return "cpu" if alone else "wall"


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
