"""While a tracker is open compiled code runs eagerly, since it would not call the hooks.

PyTorch has one stance for all threads. The first tracker to open takes it and the last to close
gives it back, in whatever order they close.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import torch

_lock = threading.Lock()
_holders = 0
_stance: Any = None


def hold() -> None:
    """Code compiled by ``torch.compile`` runs eagerly from now on."""
    global _holders, _stance
    with _lock:
        _holders += 1
        if _stance is None and "torch._dynamo" in sys.modules:  # else nothing is compiled
            _stance = torch.compiler.set_stance("force_eager")


def release() -> None:
    """As it was, once everybody who held it has released it."""
    global _holders, _stance
    with _lock:
        _holders -= 1
        if not _holders and _stance is not None:
            _stance.__exit__(None, None, None)
            _stance = None
