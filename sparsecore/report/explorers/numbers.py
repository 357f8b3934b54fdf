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


def eight_bits(values: ArrayLike) -> dict[str, Any]:
    """A matrix (or a vector, taken as one row) in 8 bits a number; a row's largest is 127 steps.

    The error of a number is at most half a step: 1/254 of the largest in its row.
    """
    whole, steps = _rounded(values)
    return {
        "values": base64.b64encode(whole.tobytes()).decode("ascii"),
        "scales": base64.b64encode(steps.tobytes()).decode("ascii"),
        "columns": whole.shape[1],
    }


def from_eight_bits(values: ArrayLike) -> NDArray[np.float32]:
    """The numbers as the page has them after :func:`eight_bits`, in the shape of ``values``."""
    whole, steps = _rounded(values)
    return (whole * steps[:, None]).astype(np.float32).reshape(np.shape(values))


def _rounded(values: ArrayLike) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    steps = (np.abs(rows).max(axis=1) / 127).astype("<f4")
    steps[steps == 0] = 1.0
    return np.clip(np.rint(rows / steps[:, None]), -127, 127).astype("i1"), steps
