"""Two groups of words: whose mean is higher, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from sparsecore.errors import InputError, near_match
from sparsecore.stats.bootstrap import percentile_interval, resample_weights
from sparsecore.stats.tables import (
    EXCLUDED,
    describe_group,
    group_columns,
    require_columns,
    select_words,
)


def mean_difference(
    table: pd.DataFrame,
    a: str = "closed",
    b: str = "open",
    group: str = "word_class",
    by: Sequence[str] | None = None,
    value: str = "chi",
    *,
    min_frequency: float = 0,
    exclude: Iterable[str] = EXCLUDED,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """mean over words of ``a`` minus mean over words of ``b``, with a 95 % bootstrap interval.

    Words are resampled within each group, so both keep their size. Columns: the by-columns,
    value, a, b (names), mean_a, mean_b, difference, low, high, words_a, words_b.
    Raises InputError for a missing column, an unknown group, or fewer than 2 words in one.

    >>> table = pd.DataFrame({"word": list("abcd"), "frequency": 9, "chi": [1, 3, 5, 7],
    ...                       "word_class": ["open", "open", "closed", "closed"]})
    >>> mean_difference(table, n_boot=0).loc[0, ["mean_a", "mean_b", "difference"]].tolist()
    [6.0, 2.0, 4.0]
    """
    require_columns(table, [group, value])
    known = sorted(str(name) for name in table[group].dropna().unique())
    for name in (a, b):
        if name not in known:
            raise InputError(f"{group} has no {name!r}{near_match(name, known)}")
    by = group_columns(table, by)
    chosen = select_words(table, value, exclude=exclude, min_frequency=min_frequency)
    groups = chosen.groupby(by, sort=True, observed=True) if by else [((), chosen)]
    rows = []
    for key, part in groups:
        named = dict(zip(by, key, strict=True))
        sides = [part.loc[part[group] == name, value].to_numpy(dtype=float) for name in (a, b)]
        for name, side in zip((a, b), sides, strict=True):
            if len(side) < 2:
                where = describe_group(by, list(named.values()))
                raise InputError(f"{where} has {len(side)} {name} words; a mean needs 2 or more")
        draws = [_resampled_means(side, n_boot, seed + shift) for shift, side in enumerate(sides)]
        difference = np.array([sides[0].mean() - sides[1].mean()])
        low, high = percentile_interval((draws[0] - draws[1])[:, None], difference)
        rows.append(
            {
                **named,
                "value": value,
                "a": a,
                "b": b,
                "mean_a": sides[0].mean(),
                "mean_b": sides[1].mean(),
                "difference": difference[0],
                "low": low[0],
                "high": high[0],
                "words_a": len(sides[0]),
                "words_b": len(sides[1]),
            }
        )
    return pd.DataFrame(rows)


def _resampled_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means of bootstrap resamples: R."""
    parts = [
        weights.T @ values / len(values)
        for weights in resample_weights(len(values), resamples, seed)
    ]
    return np.concatenate([np.empty(0), *parts])
