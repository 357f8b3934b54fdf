"""Claims and tables as they are committed, read once a build and not once a number."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sparsecore.runs import claims, reference
from sparsecore.runs.claims import Claim
from sparsecore.runs.reference import Summary


def read_claims(path: Path) -> list[Claim]:
    """The claims of a file, as :func:`sparsecore.runs.claims.read_claims` reads them."""
    return _claims(path, _changed(path))


def read_summary(folder: Path) -> Summary | None:
    """The tables of a folder, as :func:`sparsecore.runs.reference.read_summary` reads them."""
    return _summary(folder, _changed(folder / "provenance.json"))


def _changed(path: Path) -> int:
    """When a file was changed; 0 where there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=4)
def _claims(path: Path, changed: int) -> list[Claim]:
    return claims.read_claims(path)


@lru_cache(maxsize=64)
def _summary(folder: Path, changed: int) -> Summary | None:
    return reference.read_summary(folder)
