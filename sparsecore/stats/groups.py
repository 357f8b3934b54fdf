"""Groups of words: their means, and whose is higher, by how much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sparsecore.errors import InputError, near_match
from sparsecore.stats.bootstrap import Estimate, resample_weights
from sparsecore.stats.tables import (
    EXCLUDED,
    check_counts,
    describe_group,
    group_columns,
    groups_of,
    require_columns,
    select_words,
)

GIVEN = ("log_frequency",)


def group_means(
    table: pd.DataFrame,
    by: Sequence[str],
    *,
    n_boot: int = 1000,
) -> pd.DataFrame:
    """Mean chi over the words of each group, with a 95 % bootstrap interval over words.

    Columns: the by-columns, value (``chi``), mean, low, high, words.

    Raises:
        InputError: a missing column, or n_boot that is no whole number of 0 or more.
    """
    check_counts(n_boot=n_boot)
    by = group_columns(table, by)
    chosen = select_words(table, "chi", exclude=EXCLUDED, min_frequency=0)
    rows = []
    for key, part in groups_of(chosen, by):
        values = part["chi"].to_numpy(dtype=float)
        mean = values.mean()
        draws = _resample(values, np.empty((len(values), 0)), n_boot, 0)[:, 0]
        _, low, high = Estimate(mean, draws).interval()
        named = dict(zip(by, key, strict=True))
        rows.append(
            {**named, "value": "chi", "mean": mean, "low": low, "high": high, "words": len(values)}
        )
    return pd.DataFrame(rows)


def mean_difference(
    table: pd.DataFrame,
    a: str = "closed",
    b: str = "open",
    by: Sequence[str] | None = None,
    given: str | None = None,
    *,
    n_boot: int = 1000,
) -> pd.DataFrame:
    """Mean chi of the words of class ``a`` minus that of ``b``, with a 95 % bootstrap interval.

    With ``given="log_frequency"`` the two are compared at the same log frequency: the coefficient
    of membership in ``a`` in the least-squares fit of chi on membership and log frequency.
    Words are resampled within each group, so both keep their size. Columns: the by-columns,
    value, a, b (names), mean_a, mean_b, difference, low, high, words_a, words_b.
    Raises InputError for a missing column, an unknown group, or fewer than 2 words in one.

    >>> table = pd.DataFrame({"word": list("abcd"), "frequency": 9, "chi": [1, 3, 5, 7],
    ...                       "word_class": ["open", "open", "closed", "closed"]})
    >>> mean_difference(table, n_boot=0).loc[0, ["mean_a", "mean_b", "difference"]].tolist()
    [6.0, 2.0, 4.0]
    """
    require_columns(table, ["word_class", "chi"])
    known = sorted(str(name) for name in table["word_class"].dropna().unique())
    for name in (a, b):
        if name not in known:
            raise InputError(f"word_class has no {name!r}{near_match(name, known)}")
    if given is not None and given not in GIVEN:
        raise InputError(f"given must be None or 'log_frequency', not {given!r}")
    check_counts(n_boot=n_boot)
    by = group_columns(table, by)
    chosen = select_words(table, "chi", exclude=EXCLUDED, min_frequency=0)
    rows = []
    for key, part in groups_of(chosen, by):
        named = dict(zip(by, key, strict=True))
        sides = [part[part["word_class"] == name] for name in (a, b)]
        for name, side in zip((a, b), sides, strict=True):
            if len(side) < 2:
                where = describe_group(by, list(named.values()))
                raise InputError(f"{where} has {len(side)} {name} words; a mean needs 2 or more")
        values = [side["chi"].to_numpy(dtype=float) for side in sides]
        difference, low, high = _difference(sides, values, given, n_boot).interval()
        rows.append(
            {
                **named,
                "value": "chi",
                "a": a,
                "b": b,
                "mean_a": values[0].mean(),
                "mean_b": values[1].mean(),
                "difference": difference,
                "low": low,
                "high": high,
                "words_a": len(values[0]),
                "words_b": len(values[1]),
            }
        )
    return pd.DataFrame(rows)


def difference_replicates(
    table: pd.DataFrame, given: str | None = None, *, n_boot: int = 1000
) -> Estimate:
    """Closed minus open as in :func:`mean_difference`, and its replicates.

    Tables over the same words have the same resamples, so that the draws of several seeds go
    together into :func:`sparsecore.stats.two_level.interval_of`.
    """
    check_counts(n_boot=n_boot)
    chosen = select_words(table, "chi", exclude=EXCLUDED, min_frequency=0)
    chosen = chosen.sort_values("word", kind="stable")
    sides = [chosen[chosen["word_class"] == name] for name in ("closed", "open")]
    values = [side["chi"].to_numpy(dtype=float) for side in sides]
    return _difference(sides, values, given, n_boot)


def _difference(
    sides: list[pd.DataFrame],
    values: list[np.ndarray],
    given: str | None,
    n_boot: int,
) -> Estimate:
    """Difference of (adjusted) means, and the same in every resample.

    The adjusted difference is mean(y_a) - mean(y_b) - slope · (mean(x_a) - mean(x_b)), with the
    slope common to both groups (x: log frequency).
    """
    controls = [
        np.log(side[["frequency"]].to_numpy(dtype=float)) if given else np.empty((len(side), 0))
        for side in sides
    ]
    estimate = _adjusted(
        [_moments(np.ones((len(v), 1)), v, c) for v, c in zip(values, controls, strict=True)]
    )
    moments = [
        _resample(v, c, n_boot, seed)
        for seed, (v, c) in enumerate(zip(values, controls, strict=True))
    ]
    return Estimate(float(estimate[0]), _adjusted(moments))


def _moments(weights: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Per resample (rows): mean of y, and with a control x its mean, S_xx and S_xy: R × 1 or 4."""
    share = weights.T / len(y)
    mean_y = share @ y
    if not x.shape[1]:
        return mean_y[:, None]
    mean_x = share @ x[:, 0]
    s_xx = len(y) * (share @ x[:, 0] ** 2 - mean_x**2)
    s_xy = len(y) * (share @ (x[:, 0] * y) - mean_x * mean_y)
    return np.stack([mean_y, mean_x, s_xx, s_xy], axis=1)


def _adjusted(moments: list[np.ndarray]) -> np.ndarray:
    a, b = moments
    plain = a[:, 0] - b[:, 0]
    if a.shape[1] == 1:
        return plain
    s_xx = a[:, 2] + b[:, 2]
    slope = np.where(s_xx > 1e-12, (a[:, 3] + b[:, 3]) / np.where(s_xx > 1e-12, s_xx, 1), 0.0)
    return plain - slope * (a[:, 1] - b[:, 1])


def _resample(y: np.ndarray, x: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """:func:`_moments` of bootstrap resamples."""
    parts = [_moments(w, y, x) for w in resample_weights(len(y), resamples, seed)]
    return np.concatenate([np.empty((0, 1 if not x.shape[1] else 4)), *parts])
