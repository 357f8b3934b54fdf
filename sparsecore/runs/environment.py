"""Where and with what a run was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sparsecore
from sparsecore import __version__

ALLOCATOR = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "LD_PRELOAD")
PACKAGES = ("torch", "numpy", "pandas", "scipy", "spacy", "transformers")


def describe_environment(identity: dict[str, Any], inputs: Any) -> dict[str, Any]:
    """Versions, machine, processes, date, and what the prepared inputs say of themselves."""
    from sparsecore.training.distributed import world

    return {
        **describe_machine(identity.get("device", "cpu")),
        "processes": world().size,
        "identity": identity,
        "corpus": {"name": inputs.name, "sha256": inputs.sha256, **inputs.info},
    }


def describe_machine(device: str) -> dict[str, Any]:
    """Versions, machine, threads, the allocator's settings, date."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else processor()
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "sparsecore": __version__,
        **{package: _version(package) for package in PACKAGES},
        "device": device,
        "device_name": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "allocator": {name: os.environ[name] for name in ALLOCATOR if os.environ.get(name)},
    }


def _version(package: str) -> str | None:
    """None where an optional package is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's model name, where the system tells it."""
    told = next(iter(_cpuinfo("model name")), "")
    return told or platform.processor() or platform.machine()


def megahertz() -> float | None:
    """The frequency of the processor's fastest core now, where the system tells it."""
    return max(map(float, _cpuinfo("cpu MHz")), default=None)


def _cpuinfo(field: str) -> list[str]:
    """What Linux says of each core; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.split(":", 1)[1].strip() for line in lines if line.startswith(field)]


def commit() -> str:
    """The commit of the checkout that the library lies in, with ``+`` where files differ from it.

    Empty where the library is installed without one, or there is no git.
    """
    top = Path(sparsecore.__file__).parents[1]
    if not (top / ".git").exists():
        return ""
    command = ["git", "-C", str(top), "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
