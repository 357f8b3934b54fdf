"""The embedded text with the parts of speech that the shipped tagger gives it: *silver* labels.

They are a machine's guesses, so a model trained on them learns to imitate that tagger; good enough
to try the experiment without any download, never for a result. Words are lower-cased, as the tagger
expects them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparsecore.data.encode import EOS_ID
from sparsecore.data.language import load_tokens
from sparsecore.data.locate import Source
from sparsecore.data.tagged_files import Tagged
from sparsecore.data.tagging import UPOS, fast_tagger, load_tagger
from sparsecore.data.text import EOS
from sparsecore.errors import InputError

if TYPE_CHECKING:
    from spacy.language import Language

LONGEST = 60  # words; longer "sentences" of documentation are mostly lists


def silver(source: Source, sizes: dict[str, int], progress: bool = True) -> dict[str, list[Tagged]]:
    """Tagged sentences of the embedded text for each split, as many as ``sizes`` says.

    Whole modules are dealt out, in an order that is always the same, so that no module stands in
    two splits. Sentences of more than 60 words are left out.
    """
    tokens, words, _ = load_tokens(source, source.content(), progress)
    ids, ends = np.asarray(tokens["all"].ids), tokens["all"].documents
    starts = np.concatenate([[0], ends[:-1]])
    modules = iter(np.random.default_rng(0).permutation(len(ends)).tolist())
    tagger = load_tagger()
    splits: dict[str, list[Tagged]] = {}
    for split, size in sizes.items():
        found: list[np.ndarray] = []
        while len(found) < size and (module := next(modules, None)) is not None:
            text = ids[starts[module] : ends[module]]
            parts = np.split(text, np.flatnonzero(text == EOS_ID) + 1)
            found += [part for part in parts if 1 < len(part) <= LONGEST + 1]
        if not found:
            raise InputError(f"the embedded text is too short for a {split} split")
        splits[split] = _tagged(found[:size], words, tagger)
    return splits


def _tagged(sentences: list[np.ndarray], words: list[str], tagger: Language) -> list[Tagged]:
    """Sentences of word ids with the tags that the shipped tagger gives them."""
    used, local = np.unique(np.concatenate(sentences), return_inverse=True)
    own = [words[i] for i in used]
    label = fast_tagger(tagger, own)
    ends = np.flatnonzero(local == own.index(EOS))
    return [
        ([own[i] for i in part[:-1]], [UPOS[i] for i in label(part)[:-1]])
        for part in np.split(local, ends[:-1] + 1)
    ]
