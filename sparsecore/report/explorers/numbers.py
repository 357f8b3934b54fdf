"""Numbers as text for the browser: base64 of 16-bit integers, little endian."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST = 65_535
MISSING = LARGEST  # stands for a number that is not there
WHOLE = 32_767


def unsigned(values: ArrayLike) -> str:
    """Whole numbers from 0 to 65,535."""
    return base64.b64encode(np.asarray(values).astype("<u2").tobytes()).decode("ascii")


def in_steps(values: ArrayLike, step: float) -> str:
    """Numbers from 0 on in whole steps, ``MISSING`` where one is NaN."""
    steps = np.asarray(values, dtype=np.float64) / step
    return unsigned(np.where(np.isnan(steps), MISSING, np.rint(steps)))


def packed(values: NDArray[Any]) -> dict[str, Any]:
    """Numbers of either sign, and what one step stands for: the largest is 32,767 of them."""
    scale = float(np.abs(values).max(initial=0.0)) / WHOLE or 1.0
    whole = np.rint(np.asarray(values, dtype=np.float64) / scale).astype("<i2")
    return {"values": base64.b64encode(whole.tobytes()).decode("ascii"), "scale": scale}
