"""Numbers as text for the browser: base64 of integers of 16 bits, little endian, or of 8."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST = 65_535
MISSING = LARGEST  # stands for a number that is not there


def unsigned(values: ArrayLike) -> str:
    """Whole numbers from 0 to 65,535."""
    return base64.b64encode(np.asarray(values).astype("<u2").tobytes()).decode("ascii")


def in_steps(values: ArrayLike, step: float) -> str:
    """Numbers from 0 on in whole steps, ``MISSING`` where one is NaN."""
    steps = np.asarray(values, dtype=np.float64) / step
    return unsigned(np.where(np.isnan(steps), MISSING, np.rint(steps)))


def eight_bits(values: ArrayLike) -> dict[str, Any]:
    """A matrix (or a vector, taken as one row) in 8 bits a number; a row's largest is 127 steps.

    The error of a number is at most half a step: 1/254 of the largest in its row.
    """
    whole, steps = rounded(values)
    return {
        "values": base64.b64encode(whole.tobytes()).decode("ascii"),
        "scales": base64.b64encode(steps.tobytes()).decode("ascii"),
        "columns": whole.shape[1],
    }


def from_eight_bits(values: ArrayLike) -> NDArray[np.float32]:
    """The numbers as the page has them after :func:`eight_bits`, in the shape of ``values``."""
    return from_steps(*rounded(values)).reshape(np.shape(values))


def from_steps(whole: NDArray[np.int8], steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The numbers that :func:`rounded` made: a matrix row by row, a vector with its one step."""
    return (whole * (steps[:, None] if whole.ndim == 2 else steps)).astype(np.float32)


def rounded(values: ArrayLike) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix (or a vector, as one row) in whole steps from −127 to 127, and each row's step."""
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    steps = (np.abs(rows).max(axis=1) / 127).astype("<f4")
    steps[steps == 0] = 1.0
    return np.clip(np.rint(rows / steps[:, None]), -127, 127).astype("i1"), steps
