"""Words split into two types, or thinned, at random per occurrence: only their frequency changes.

Condition    What happens to each occurrence of the word, independently
split-r      becomes a second type with probability 1/(1 + r), r in 1, 4, 19
thin-r       becomes <unk> with probability 1 - 1/r, r in 4, 19
intact       stays

Meaning, word class and contexts of the two types of a split word are the same in distribution, so
that a difference between them is an effect of frequency. In a split the second type competes with
the first as a wrong word; thinning is the control without a competitor.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsecore.data.encode import UNK_ID
from sparsecore.errors import InputError

Ids = NDArray[np.integer]

CONDITIONS: dict[str, tuple[str, float]] = {
    "split-1": ("split", 1.0),
    "split-4": ("split", 4.0),
    "split-19": ("split", 19.0),
    "thin-4": ("thin", 4.0),
    "thin-19": ("thin", 19.0),
    "intact": ("intact", 1.0),
}


def draw_conditions(first_rank: int, num_types: int, num_words: int, seed: int) -> pd.DataFrame:
    """Draw words and give each a condition at random, equally many each.

    Words are drawn without replacement, with weights 1/rank, from the ids ``first_rank`` …
    ``num_types`` - 1. Columns: ``word_id``; ``condition``; ``twin``, the id of the second type
    (from ``num_types`` on, -1 for none); ``dose``, by how many nats the rarer type is rarer.

    Raises:
        InputError: fewer words than asked for.
    """
    candidates = np.arange(first_rank, num_types)
    if len(candidates) < num_words:
        raise InputError(
            f"num_words must be at most the {len(candidates)} words from rank {first_rank} on, "
            f"got {num_words}"
        )
    generator = np.random.default_rng([seed, 1])
    weights = 1 / candidates
    drawn = generator.choice(candidates, num_words, replace=False, p=weights / weights.sum())
    names = list(CONDITIONS)
    condition = np.array(names, dtype=object)[generator.permutation(num_words) % len(names)]
    kinds = [CONDITIONS[name] for name in condition]
    split = np.array([kind == "split" for kind, _ in kinds])
    twin = np.where(split, num_types + np.cumsum(split) - 1, -1)
    dose = [math.log(ratio) for _, ratio in kinds]
    columns = {"word_id": drawn, "condition": condition, "twin": twin, "dose": dose}
    return pd.DataFrame(columns).sort_values("word_id", ignore_index=True)


def alias_text(ids: Ids, words: pd.DataFrame, seed: int) -> NDArray[np.int64]:
    """The text with every occurrence of the assigned words split or thinned as drawn."""
    size = int(ids.max()) + 1
    chance, becomes = np.zeros(size), np.arange(size)
    for word, twin, condition in zip(
        words["word_id"], words["twin"], words["condition"], strict=True
    ):
        kind, ratio = CONDITIONS[condition]
        if word < size and kind != "intact":
            chance[word] = 1 / (1 + ratio) if kind == "split" else 1 - 1 / ratio
            becomes[word] = twin if kind == "split" else UNK_ID
    moved = np.random.default_rng([seed, 2]).random(len(ids)) < chance[ids]
    return np.where(moved, becomes[ids], ids).astype(np.int64)
