"""What a few words weigh: how far the most frequent words carry Pearson's rho on raw frequency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from sparsecore.errors import InputError
from sparsecore.stats.bootstrap import weighted_correlation
from sparsecore.stats.tables import EXCLUDED, group_columns, select_words, word_blocks


def without_most_frequent(
    table: pd.DataFrame,
    drop: Iterable[int] = (0, 1, 3, 10, 30, 100, 300),
    by: Sequence[str] | None = None,
    value: str = "chi",
    *,
    min_frequency: float = 0,
    exclude: Iterable[str] = EXCLUDED,
) -> pd.DataFrame:
    """Pearson's rho on raw frequency once the k most frequent words are left out.

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
    drop = sorted(set(drop))
    if any(k < 0 for k in drop):
        raise InputError(f"drop must hold numbers of words of 0 or more, not {drop}")
    by = group_columns(table, by)
    rows = []
    for block in word_blocks(table, value, by, exclude=exclude, min_frequency=min_frequency):
        order = np.argsort(-block.frequency, kind="stable")
        total = block.frequency.sum()
        for k in drop:
            kept = order[k:]
            if len(kept) < 3:
                continue
            rho = _rho(block.frequency[kept], block.values[kept])
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


def word_influence(
    table: pd.DataFrame,
    value: str = "chi",
    top: int = 10,
    *,
    min_frequency: float = 0,
    exclude: Iterable[str] = EXCLUDED,
) -> pd.DataFrame:
    """The words of one group without which rho would differ most.

    Columns: word, frequency, the value, rho_without (Pearson on raw frequency without this word),
    influence (rho - rho_without), largest absolute influence first, ``top`` rows.
    Raises InputError where the table holds more than one group (a word occurs twice).
    """
    chosen = select_words(table, value, exclude=exclude, min_frequency=min_frequency)
    (block,) = word_blocks(chosen, value, [], exclude=exclude, min_frequency=min_frequency, least=4)
    n = len(block.words)
    rho = _rho(block.frequency, block.values)[0]
    without = np.empty(n)
    for start in range(0, n, 512):  # leave one out: weights of one, and one zero
        width = min(512, n - start)
        weights = np.ones((n, width))
        weights[start + np.arange(width), np.arange(width)] = 0.0
        without[start : start + width] = weighted_correlation(
            weights, block.frequency, block.values, np.empty((n, 0))
        )[:, 0]
    result = pd.DataFrame(
        {
            "word": block.words,
            "frequency": block.frequency,
            value: block.values[:, 0],
            "rho_without": without,
            "influence": rho - without,
        }
    )
    order = np.argsort(-result["influence"].abs().to_numpy(), kind="stable")
    return result.iloc[order[:top]].reset_index(drop=True)


def _rho(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return weighted_correlation(np.ones((len(x), 1)), x, y, np.empty((len(x), 0)))[0]
