"""What was prepared once is kept in a folder, named by the hash of what it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sparsecore.files import atomic_folder, reading
from sparsecore.home import REMAKE, cache_dir

T = TypeVar("T")


def settings_hash(settings: Any) -> str:
    """SHA-256 of settings that JSON can hold, whatever the order of their names."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def cached(
    folder: str, settings: Any, make: Callable[[Path], object], load: Callable[[Path], T]
) -> T:
    """``load`` of the cache's folder for ``settings``, which ``make`` fills where it is missing.

    Args:
        folder: of the cache, one for each kind of content.
        settings: all that the content depends on, the content of its sources and a version of the
            code that makes it included. JSON-able.
        make: writes the content to the folder it is given, which appears whole or not at all.
        load: reads it, whose name is :func:`settings_hash`; whatever it raises, it is damaged.

    Raises:
        InputError: of ``make``, with nothing written; a full disk; a damaged folder.
    """
    path = cache_dir(folder) / settings_hash(settings)
    if not path.is_dir():
        with atomic_folder(path) as temporary:
            make(temporary)
    with reading(path, REMAKE):
        return load(path)
