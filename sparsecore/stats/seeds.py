"""Several runs that differ in their seed alone: means, spread and trends over training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t

from sparsecore.errors import InputError
from sparsecore.stats.tables import require_columns


def over_seeds(
    table: pd.DataFrame, value: str, by: Sequence[str], unit: str = "seed"
) -> pd.DataFrame:
    """Mean of ``value`` over runs, for each group of the by-columns.

    Columns: the by-columns, mean, low, high (95 % Student interval of the mean over seeds; NaN with
    one seed), lowest, highest (the extreme seeds), seeds (how many).
    Raises InputError where a seed occurs twice in a group.
    """
    by = list(by)
    require_columns(table, [*by, unit, value])
    known = table[table[value].notna()]
    repeated = known.duplicated([*by, unit])
    if repeated.any():
        row = known[repeated].iloc[0]
        where = ", ".join(f"{column}={row[column]}" for column in by) or "the table"
        raise InputError(f"{unit} {row[unit]} occurs more than once in {where}")
    groups = known.groupby(by, sort=True, observed=True) if by else [((), known)]
    rows = []
    for key, part in groups:
        values = part[value].to_numpy(dtype=float)
        rows.append({**dict(zip(by, key, strict=True)), **_summary(values)})
    columns = [*by, "mean", "low", "high", "lowest", "highest", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def trend(
    table: pd.DataFrame,
    value: str = "rho",
    over: str = "epoch",
    by: Sequence[str] = (),
    unit: str = "seed",
    first: float | None = None,
) -> pd.DataFrame:
    """Does ``value`` grow over epochs? For each group and over the seeds.

    Per seed: slope (least squares, per epoch), rank (Spearman's correlation of value and epoch: 1
    if it only ever rises), change (last epoch less first). Returns one row a group and statistic:
    the by-columns, statistic (slope|rank|change), mean, low, high, lowest, highest, seeds, as
    :func:`over_seeds`. ``first`` leaves out the epochs before it. A seed with fewer than 3 epochs
    is an InputError; a value that never changes has slope 0 and no row for rank.

    >>> table = pd.DataFrame({"seed": 0, "epoch": [0, 1, 2], "rho": [0.0, 0.1, 0.3]})
    >>> trend(table)[["statistic", "mean"]].round(2)
      statistic  mean
    0    change  0.30
    1      rank  1.00
    2     slope  0.15
    """
    by = list(by)
    require_columns(table, [*by, unit, over, value])
    known = table[table[value].notna()]
    if first is not None:
        known = known[known[over] >= first]
    rows = []
    for key, part in known.groupby([*by, unit], sort=True, observed=True):
        part = part.sort_values(over)
        if part[over].nunique() < 3 or part[over].duplicated().any():
            named = ", ".join(f"{c}={k}" for c, k in zip([*by, unit], key, strict=True))
            raise InputError(
                f"{named} has {part[over].nunique()} values of {over} in {len(part)} rows;"
                " a trend needs 3 or more, each once"
            )
        x = part[over].to_numpy(dtype=float)
        y = part[value].to_numpy(dtype=float)
        found = {"slope": _slope(x, y), "rank": _rank(x, y), "change": y[-1] - y[0]}
        for statistic, number in found.items():
            group = dict(zip([*by, unit], key, strict=True))
            rows.append({**group, "statistic": statistic, "number": number})
    if not rows:
        raise InputError(f"no rows with a {value!r} to find a trend in")
    return over_seeds(pd.DataFrame(rows), "number", [*by, "statistic"], unit)


def _summary(values: np.ndarray) -> dict[str, float]:
    n, mean = len(values), float(values.mean())
    half = np.nan
    if n > 1:
        half = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return {
        "mean": mean,
        "low": mean - half,
        "high": mean + half,
        "lowest": float(values.min()),
        "highest": float(values.max()),
        "seeds": n,
    }


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    centred = x - x.mean()
    return float(centred @ (y - y.mean()) / (centred @ centred))


def _rank(x: np.ndarray, y: np.ndarray) -> float:
    if y.max() == y.min():
        return np.nan
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
