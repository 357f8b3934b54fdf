"""The text that the page *Train one* carries: sentences made of common words alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsecore.data.encode import UNK_ID
from sparsecore.data.language import prepare_corpus
from sparsecore.errors import InputError

SHORTEST = 4  # words of a sentence, its end counted


def common_sentences(corpus: str = "embedded", max_types: int = 800) -> dict[str, Any]:
    """Those sentences of a training text whose words are all among its ``max_types`` commonest.

    Returns:
        ``ids`` and ``words``, as :class:`sparsecore.report.explorers.TrainingExplorer` takes them.

    Raises:
        InputError: an unknown corpus, or no such sentence.
    """
    prepared = prepare_corpus(corpus, max_types=max_types, progress=False)
    vocabulary = prepared.vocabulary
    ids = np.asarray(prepared.train)
    ends = np.flatnonzero(ids == vocabulary.words.index("<eos>")) + 1
    kept = [
        sentence
        for sentence in np.split(ids, ends)
        if len(sentence) >= SHORTEST and UNK_ID not in sentence
    ]
    if not kept:
        raise InputError(
            f"max_types={max_types} leaves no sentence of {corpus} without rarer words"
        )
    used, renumbered = np.unique(np.concatenate(kept), return_inverse=True)
    return {"ids": renumbered, "words": [vocabulary.words[n] for n in used]}
