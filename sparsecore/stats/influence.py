"""How far a few words, the most frequent ones, carry a correlation with frequency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from sparsecore.errors import whole_number
from sparsecore.stats.bootstrap import weighted_correlation
from sparsecore.stats.correlation import correlation_replicates
from sparsecore.stats.tables import EXCLUDED, FEWEST, group_columns, word_blocks
from sparsecore.stats.two_level import LEAST_SEEDS, interval_of

LEFT_OUT = (0, 3, 10, 20, 30, 50, 100)  # of the most frequent words
COMMONEST = 20


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


def without_table(exposed: pd.DataFrame) -> pd.DataFrame:
    """Rho of some words without the most frequent of them, after every trained epoch.

    Columns as :func:`without_most_frequent` by epoch, and method; without rows where there are
    hardly any words. ``exposed``: epoch, word, frequency, chi.
    """
    trained = exposed[(exposed["epoch"] > 0) & ~exposed["word"].isin(EXCLUDED)]
    if trained["word"].nunique() < FEWEST:
        columns = ["epoch", "dropped", "rho", "words", "frequency_share", "method"]
        return pd.DataFrame(columns=pd.Index(columns))
    parts = [
        without_most_frequent(trained, LEFT_OUT, ["epoch"], log_frequency=on_log).assign(method=m)
        for m, on_log in (("pearson", False), ("pearson_log", True))
    ]
    return pd.concat(parts, ignore_index=True)


def commonest(table: pd.DataFrame, count: int) -> pd.Series:
    """So many words of a table, the most frequent ones, without ``<unk>`` and ``<eos>``."""
    known = table[~table["word"].isin(EXCLUDED)].drop_duplicates("word")
    return known.nlargest(count, "frequency")["word"]


def left_out_table(exposed: pd.DataFrame, n_boot: int = 1000) -> pd.DataFrame:
    """Rho over the words of ``exposed``, with and without the twenty commonest, in every epoch.

    On raw and on log frequency and in ranks, each with its interval over seeds and words, and its
    change since the first epoch. No rows for fewer than three seeds, or hardly any words.
    ``exposed``: seed, epoch, word, frequency, chi.
    """
    trained = exposed[(exposed["epoch"] > 0) & ~exposed["word"].isin(EXCLUDED)]
    common = commonest(trained, COMMONEST)
    rows = []
    if trained["seed"].nunique() >= LEAST_SEEDS and trained["word"].nunique() >= FEWEST:
        for dropped, words in ((0, trained), (COMMONEST, trained[~trained["word"].isin(common)])):
            for method in ("pearson", "pearson_log", "spearman"):
                rhos = [
                    correlation_replicates(one, ["epoch"], method, n_boot=n_boot)
                    for _, one in words.groupby("seed")
                ]
                for epoch in sorted(trained["epoch"].unique()):
                    terms = {"rho": {(epoch,): 1.0}}
                    if epoch > 1:
                        terms["change since epoch 1"] = {(epoch,): 1.0, (1,): -1.0}
                    for statistic, contrast in terms.items():
                        interval = interval_of([rho.combined(contrast) for rho in rhos])
                        rows.append((int(epoch), method, dropped, statistic, *interval))
    columns = ["epoch", "method", "dropped", "statistic", "value", "low", "high"]
    return pd.DataFrame(rows, columns=pd.Index(columns))
