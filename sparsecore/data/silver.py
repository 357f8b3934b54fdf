"""The embedded text with the parts of speech that the shipped tagger gives it: *silver* labels.

They are a machine's guesses, so a model trained on them learns to imitate that tagger; good enough
to try the experiment without any download, never for a result. Words are lower-cased, as the tagger
expects them.
"""

from __future__ import annotations

import numpy as np

from sparsecore.data.encode import EOS_ID
from sparsecore.data.language import load_tokens
from sparsecore.data.locate import Source
from sparsecore.data.tagged_files import Tagged
from sparsecore.data.tagging import OWN_FOLDER, UPOS, fast_tagger, load_tagger
from sparsecore.data.text import EOS
from sparsecore.errors import InputError
from sparsecore.files import sha256_file

LONGEST = 60  # words; longer "sentences" of documentation are mostly lists


def tagger_sha256() -> str:
    """What the labels depend on beside the text."""
    return sha256_file(OWN_FOLDER / "tagger" / "model")


def silver(source: Source, sizes: dict[str, int], progress: bool = True) -> dict[str, list[Tagged]]:
    """Tagged sentences of the embedded text for each split, as many as ``sizes`` says.

    Whole modules are dealt out, in an order that is always the same, so that no module stands in
    two splits. Sentences of more than 60 words are left out.
    """
    tokens, words, _ = load_tokens(source, source.content(), progress)
    ids, ends = np.asarray(tokens["all"].ids), tokens["all"].documents
    starts = np.concatenate([[0], ends[:-1]])
    modules = iter(np.random.default_rng(0).permutation(len(ends)).tolist())
    tag = _Labeller(words)
    splits: dict[str, list[Tagged]] = {}
    for split, size in sizes.items():
        found: list[np.ndarray] = []
        while len(found) < size and (module := next(modules, None)) is not None:
            text = ids[starts[module] : ends[module]]
            parts = np.split(text, np.flatnonzero(text == EOS_ID) + 1)
            found += [part for part in parts if 1 < len(part) <= LONGEST + 1]
        if not found:
            raise InputError(f"the embedded text is too short for a {split} split")
        splits[split] = tag(found[:size])
    return splits


class _Labeller:
    """The shipped tagger on sentences of word ids."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.tagger = load_tagger()

    def __call__(self, sentences: list[np.ndarray]) -> list[Tagged]:
        ids = np.concatenate(sentences)
        used, local = np.unique(ids, return_inverse=True)
        words = [self.words[i] for i in used]
        label = fast_tagger(self.tagger, words)
        end = words.index(EOS)
        found: list[Tagged] = []
        for part in np.split(local, np.flatnonzero(local == end)[:-1] + 1):
            tags = label(part)[:-1]
            found.append(([words[i] for i in part[:-1]], [UPOS[i] for i in tags]))
        return found
