"""Train, valid and test parts of a corpus: by document, and cut to a size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.encode import EOS_ID, Tokens
from sparsecore.errors import InputError

SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}


def split_documents(tokens: Tokens, seed: int) -> dict[str, NDArray[np.int32]]:
    """Shuffle the documents and give 70, 10 and 20 % of the tokens to train, valid and test.

    A document is never divided, so the shares hold up to one document. Raises
    :class:`InputError` if there are fewer than three documents.
    """
    ends = tokens.documents
    number = len(ends)
    if number < 3:
        raise InputError(
            f"the text has {number} document{'s' * (number > 1)}, but a split into train, valid "
            "and test needs 3 or more: separate them by blank lines, or put one a line"
        )
    starts = np.concatenate([[0], ends[:-1]])
    order = np.random.default_rng(seed).permutation(number)
    total = np.cumsum((ends - starts)[order])
    first = int(np.searchsorted(total, SHARES["train"] * total[-1])) + 1
    first = min(first, number - 2)
    second = int(np.searchsorted(total, (SHARES["train"] + SHARES["valid"]) * total[-1])) + 1
    second = min(max(second, first + 1), number - 1)
    parts = np.split(order, [first, second])
    return {
        split: np.concatenate([tokens.ids[starts[i] : ends[i]] for i in part])
        for split, part in zip(SHARES, parts, strict=True)
    }


def head(ids: NDArray[np.int32], tokens: int) -> NDArray[np.int32]:
    """The first whole sentences of ``ids`` that hold at most ``tokens`` tokens."""
    if len(ids) <= tokens:
        return ids
    ends = np.flatnonzero(ids[:tokens] == EOS_ID)
    return ids[: ends[-1] + 1] if len(ends) else ids[:0]
