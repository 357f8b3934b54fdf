"""Open and closed word classes, and samples of both that are equally frequent.

Which words are content words (open classes, to which new words are added freely) and which are
function words (closed classes) follows Saphra & Lopez (2019, §3 and footnotes 1–2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sparsecore.data.tagging import UPOS
from sparsecore.errors import InputError, whole_number
from sparsecore.stats.tables import EXCLUDED

OPEN: tuple[str, ...] = ("ADJ", "ADV", "INTJ", "NOUN", "PROPN", "VERB")
"""Open classes (the paper's footnote 1, which writes PROP for PROPN)."""

CLOSED: tuple[str, ...] = ("ADP", "AUX", "CCONJ", "DET", "PART", "PRON", "SCONJ")
"""Closed classes (the paper's footnote 2)."""


def word_classes(
    words: Sequence[str],
    counts: np.ndarray,
    tags: np.ndarray,
    min_count: int = 100,
    majority: float = 0.5,
) -> pd.DataFrame:
    """The part of speech and the class of each word; row = word id.

    A word belongs to a part of speech if more than ``majority`` of its tagged occurrences, and at
    least ``min_count`` of them, carry it (Saphra & Lopez 2019, §3: "the majority (at least 100) of
    its occurrences").

    ``counts`` (``[V]``) is how often each word occurs in the training text and ``tags``
    (``[V, 17]``, columns as :data:`~sparsecore.data.tagging.UPOS`) how often it carries each tag;
    the tagged text may be a part of the training text.

    Columns: ``word``; ``frequency`` (from ``counts``); ``pos``, ``""`` if there is none; ``share``
    of the tagged occurrences that carry the most common tag, NaN for a word that was never tagged;
    ``word_class``: ``"open"``, ``"closed"`` or ``"none"`` (no part of speech, or one that is in
    neither class: NUM, PUNCT, SYM, X). ``<unk>`` and ``<eos>`` are never of a class.

    Raises :class:`~sparsecore.errors.InputError` if the shapes do not fit, a tag count is negative,
    ``min_count`` is no whole number from 1 on or ``majority`` is not in [0, 1).
    """
    counts, tags = np.asarray(counts), np.asarray(tags)
    if counts.shape != (len(words),) or tags.shape != (len(words), len(UPOS)):
        raise InputError(
            f"counts must have shape ({len(words)},) and tags ({len(words)}, {len(UPOS)}) for "
            f"{len(words)} words; got {counts.shape} and {tags.shape}"
        )
    if tags.size and tags.min() < 0:
        raise InputError("tags must be counts; a negative number was given")
    whole_number(min_count, "min_count", 1)
    if not 0 <= majority < 1:
        raise InputError(f"majority must be at least 0 and below 1; got {majority}")
    total = tags.sum(axis=1)
    best = tags.argmax(axis=1)
    most = tags[np.arange(len(tags)), best]
    share = np.divide(most, total, out=np.full(len(tags), np.nan), where=total > 0)
    names = np.asarray(words, dtype=object)
    special = np.isin(names, EXCLUDED)
    member = (most >= min_count) & (most > majority * total) & ~special
    pos = np.where(member, np.array(UPOS, dtype=object)[best], "")
    word_class = np.select([np.isin(pos, OPEN), np.isin(pos, CLOSED)], ["open", "closed"], "none")
    return pd.DataFrame(
        {
            "word": names,
            "frequency": counts.astype(np.int64),
            "pos": pos,
            "share": share,
            "word_class": word_class,
        }
    )


def matched_samples(table: pd.DataFrame, size: int = 120, tolerance: float = 0.01) -> pd.DataFrame:
    """``size`` open-class and ``size`` closed-class words of nearly the same mean frequency.

    The paper sorts "all open and closed class words by frequency, then choos[es] a range of each
    sorted list with a similar average frequency" (Saphra & Lopez 2019, §3), ``size`` = 120. It does
    not say which range. Here every pair of ranges is considered, ``size`` neighbours in each list
    sorted from most to least frequent (ties in order of the alphabet). Of the pairs whose two mean
    frequencies differ by at most ``tolerance`` (1 %), the most frequent one is taken, because its
    words are measured best; if no pair is that close, the closest, by the ratio of the means.
    ``tolerance=0`` asks for the closest pair wherever it lies.

    ``table`` has the columns ``word``, ``frequency`` and ``word_class``, as :func:`word_classes`
    gives; the result has these three, open words first, each class from most to least frequent.
    Deterministic: the order of the rows of ``table`` does not matter.

    Raises :class:`~sparsecore.errors.InputError` if a column is missing, ``size`` is no whole
    number from 1 on, ``tolerance`` is negative or a class has fewer than ``size`` words of
    frequency 1 or more.
    """
    columns = ["word", "word_class", "frequency"]
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(f"table has no column {missing[0]!r}; word_classes() makes such a table")
    whole_number(size, "size", 1)
    if not 0 <= tolerance < np.inf:
        raise InputError(f"tolerance must be at least 0; got {tolerance}")
    lists = {name: _sorted(table.loc[table["word_class"] == name, columns]) for name in _CLASSES}
    for name, rows in lists.items():
        if len(rows) < size:
            raise InputError(
                f"matched samples need {size} {name}-class words and there are {len(rows)}; give a "
                "smaller size, a larger corpus or a lower min_count"
            )
    sums = {name: _range_sums(rows["frequency"].to_numpy(), size) for name, rows in lists.items()}
    found = _closest(sums["open"], sums["closed"], tolerance)
    starts = dict(zip(_CLASSES, found, strict=True))
    chosen = [lists[name].iloc[starts[name] : starts[name] + size] for name in _CLASSES]
    return pd.concat(chosen, ignore_index=True)


def matched_words(table: pd.DataFrame, most: int = 120, fewest: int = 10) -> pd.DataFrame:
    """:func:`matched_samples` of ``most`` words, or of as many as the smaller class has.

    Without ``<unk>`` and ``<eos>``; no rows where a class has fewer than ``fewest`` words.
    """
    known = table[~table["word"].isin(EXCLUDED)]
    counts = known.loc[known["frequency"] > 0, "word_class"].value_counts()
    size = int(min(most, counts.get("open", 0), counts.get("closed", 0)))
    if size < fewest:
        return known.iloc[:0][["word", "word_class", "frequency"]]
    return matched_samples(known, size)


_CLASSES = ("open", "closed")


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["frequency"] > 0]
    return rows.sort_values(["frequency", "word"], ascending=[False, True], ignore_index=True)


def _range_sums(frequency: np.ndarray, size: int) -> np.ndarray:
    """Sum over each range of ``size`` neighbours; descending, as ``frequency`` is."""
    total = np.concatenate([[0], np.cumsum(frequency, dtype=np.int64)])
    return total[size:] - total[:-size]


def _closest(a: np.ndarray, b: np.ndarray, tolerance: float) -> tuple[int, int]:
    """Indices of the entries of two descending positive vectors whose ratio is closest to 1.

    Ratios within ``1 + tolerance`` count as equal; of equal pairs the one with the largest sum is
    taken, then the smallest indices. For each entry of ``a`` only three entries of ``b`` can be
    best: the largest within the tolerance and the two neighbours. Hence N log N.
    """
    first = np.searchsorted(-b, -b, side="left")  # of equal entries the first
    below = np.searchsorted(-b, -a, side="left")  # the first entry that is not above a's
    within = np.searchsorted(-b, -a * (1 + tolerance), side="left")
    j = first[np.clip(np.concatenate([within, below, below - 1]), 0, len(b) - 1)]
    i = np.tile(np.arange(len(a)), 3)
    ratio = np.maximum(a[i], b[j]) / np.minimum(a[i], b[j])
    distance = np.where(ratio <= 1 + tolerance, 1.0, ratio)
    best = np.lexsort((j, i, -(a[i] + b[j]), distance))[0]
    return int(i[best]), int(j[best])
