"""How fast something grows: the exponent of a power law, fitted where the sizes are large."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

LARGEST = 3  # points that are fitted: below them, what a call costs in any case still shows


def exponent(sizes: Sequence[float] | pd.Series, values: Sequence[float] | pd.Series) -> float:
    """b of value = a · size^b, by least squares on logarithms, over the three largest sizes.

    1: twice the size takes twice as much; 0: as much. NaN with fewer than two known points.

    >>> exponent([10, 20, 40, 80], [9, 8, 16, 32])
    1.0
    """
    points = sorted(
        (size, value) for size, value in zip(sizes, values, strict=True) if size > 0 < value
    )[-LARGEST:]
    if len(points) < 2:
        return math.nan
    x, y = np.log(np.array(points, float)).T
    x, y = x - x.mean(), y - y.mean()
    return round(float(x @ y / (x @ x)), 6)
