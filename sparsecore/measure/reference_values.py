"""What values chi takes for vectors that one can picture: yardsticks for the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sparsecore.errors import InputError

POINTS = 40  # of a width, at most


def gaussian_chi(width: int) -> float:
    """chi of D independent normal numbers, √(π/2D), up to a term of order 1/D.

    >>> round(gaussian_chi(200), 3)
    0.089
    """
    return math.sqrt(math.pi / (2 * width))


def part_table(widths: Sequence[int] = (20, 200, 1150)) -> pd.DataFrame:
    """chi = 1/√n of vectors with n of their D entries equal and the others 0.

    Columns: width (D), used (n/D), chi, gaussian (chi of D independent normal numbers).

    Raises:
        InputError: a width below 1.
    """
    rows = []
    for width in widths:
        if width < 1:
            raise InputError(f"widths must be at least 1, got {width}")
        counts = np.unique(np.rint(np.geomspace(1, width, POINTS)).astype(int))
        rows += [
            {"width": width, "used": n / width, "chi": 1 / math.sqrt(n),
             "gaussian": gaussian_chi(width)}
            for n in counts
        ]  # fmt: skip
    return pd.DataFrame(rows)
