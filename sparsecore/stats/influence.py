"""How far a few words, the most frequent ones, carry a correlation with frequency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from sparsecore.errors import whole_number
from sparsecore.stats.bootstrap import weighted_correlation
from sparsecore.stats.tables import group_columns, word_blocks


def without_most_frequent(
    table: pd.DataFrame,
    drop: Iterable[int] = (0, 1, 3, 10, 30, 100, 300),
    by: Sequence[str] | None = None,
    *,
    log_frequency: bool = False,
) -> pd.DataFrame:
    """Pearson's rho of chi on raw (or log) frequency once the k most frequent words are left out.

    Columns: the by-columns, dropped (k), rho, words (left), frequency_share (of all occurrences in
    the group, the share that the k words had). A k that leaves fewer than 3 words is skipped.
    Raises InputError as :func:`~sparsecore.stats.correlation.frequency_correlation`.

    >>> table = pd.DataFrame({"word": list("abcd"), "frequency": [1000, 3, 2, 1],
    ...                       "chi": [0.4, 0.1, 0.2, 0.3]})
    >>> without_most_frequent(table, drop=[0, 1])[["dropped", "rho"]].round(2)
       dropped   rho
    0        0  0.77
    1        1 -1.00
    """
    drop = sorted({whole_number(k, "each number of words in drop") for k in drop})
    by = group_columns(table, by)
    rows = []
    for block in word_blocks(table, "chi", by):
        order = np.argsort(-block.frequency, kind="stable")
        total = block.frequency.sum()
        for k in drop:
            kept = order[k:]
            if len(kept) < 3:
                continue
            frequency = block.frequency[kept]
            rho = _rho(np.log(frequency) if log_frequency else frequency, block.values[kept])
            share = block.frequency[order[:k]].sum() / total
            for g, key in enumerate(block.keys):
                group = dict(zip(by, key, strict=True))
                rows.append(
                    {
                        **group,
                        "dropped": k,
                        "rho": rho[g],
                        "words": len(kept),
                        "frequency_share": share,
                    }
                )
    result = pd.DataFrame(rows)
    return result.sort_values([*by, "dropped"], kind="stable", ignore_index=True)


def _rho(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return weighted_correlation(np.ones((len(x), 1)), x, y, np.empty((len(x), 0)))[0]
