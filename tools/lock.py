"""Tidy `requirements.lock` after `uv pip compile`, and write `environment.yml` from it.

The lock pins every package for every platform, with two things left out: the local version of a
CPU build (`torch==2.13.0+cpu` becomes `torch==2.13.0`, so that the same line finds the CPU or the
CUDA build, whichever the reader's index offers), and the CUDA libraries, which PyTorch's CUDA
build asks for itself in the versions it needs.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
ENVIRONMENT = ROOT / "environment.yml"

_CUDA = re.compile(r"(nvidia|cuda)-|triton==")
_LOCAL_VERSION = re.compile(r"(==[^+\s;]+)\+\w+")
_HEADER = "# Every package, pinned; made by `make lock` from pyproject.toml.\n"


def tidy(lock: str) -> list[str]:
    """The pins of a lock file, one requirement a string, comments and CUDA libraries left out.

    >>> tidy("# made by uv\\ntorch==2.13.0+cpu\\nnvidia-nccl-cu13==2.29.7\\nzipp==3.0 ; a < '3'\\n")
    ['torch==2.13.0', "zipp==3.0 ; a < '3'"]
    """
    lines = (line.rstrip() for line in lock.splitlines())
    return [
        _LOCAL_VERSION.sub(r"\1", line)
        for line in lines
        if line and not line.lstrip().startswith("#") and not _CUDA.match(line)
    ]


def environment(pins: list[str]) -> str:
    """The conda environment of the same pins: Python from conda, everything else through pip."""
    packages = "".join(f"      - {_quoted(pin)}\n" for pin in [*pins, "-e ."])
    return (
        "# conda env create -f environment.yml; made by `make lock` from requirements.lock.\n"
        "name: sparsecore\n"
        "channels: [conda-forge]\n"
        "dependencies:\n"
        "  - python>=3.11,<3.14\n"
        "  - pip\n"
        "  - pip:\n"
        f"{packages}"
    )


def _quoted(pin: str) -> str:
    return f'"{pin}"' if ";" in pin else pin


def main() -> None:
    """Rewrite both files in place."""
    pins = tidy(LOCK.read_text(encoding="utf-8"))
    LOCK.write_text(_HEADER + "\n".join(pins) + "\n", encoding="utf-8")
    ENVIRONMENT.write_text(environment(pins), encoding="utf-8")


if __name__ == "__main__":
    main()
