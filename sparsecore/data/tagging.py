"""Parts of speech: how often each word of a corpus is used as a noun, a verb, a determiner, …

The paper tags its training text with spaCy (Saphra & Lopez 2019, §3, footnotes 1–3). Any installed
spaCy pipeline can be named; the default, ``"sparsecore"``, is a small tagger that ships with the
package (see ``data/tagger/README.md``) and needs no download.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsecore.data.cache import cached, settings_hash
from sparsecore.data.text import EOS
from sparsecore.errors import InputError, check_installed, near_match
from sparsecore.files import local_path, reading, sha256_file

if TYPE_CHECKING:
    from spacy.language import Language

    from sparsecore.data.language import Corpus

UPOS: tuple[str, ...] = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
)  # fmt: skip
"""The 17 universal part-of-speech tags (https://universaldependencies.org/u/pos), sorted."""

OWN = "sparsecore"
OWN_FOLDER = Path(__file__).parent / "tagger"
# Parts of other people's pipelines that cost time and do not touch the part of speech.
_NOT_NEEDED = ["parser", "senter", "ner", "lemmatizer", "entity_ruler", "entity_linker", "textcat"]
_BLOCK = 2048  # tokens tagged at once
_SLICE = 1 << 20  # tokens counted at once

Tagger = Callable[[np.ndarray], np.ndarray]


def load_tagger(name: str = OWN) -> Language:
    """The spaCy pipeline called ``name``; ``"sparsecore"`` is the tagger that ships with us.

    Ours writes the universal part of speech to ``token.tag_`` and expects lower-cased words; other
    pipelines are loaded by :func:`spacy.load`, without what parts of speech do not need.

    Raises :class:`~sparsecore.errors.InputError` if no such pipeline is installed or it fails to
    load.
    """
    check_installed("experiments", "spacy")
    import spacy
    from spacy.util import get_installed_models

    if name == OWN:
        with reading(OWN_FOLDER, "install sparsecore again"):
            return spacy.load(OWN_FOLDER)
    installed = name.isidentifier() and importlib.util.find_spec(name) is not None
    if not (installed or (local_path(name, "tagger") / "meta.json").is_file()):
        known = near_match(name, [OWN, *get_installed_models()])
        raise InputError(
            f"no spaCy pipeline {name!r} is installed{known}; "
            f"`python -m spacy download {name}` installs one of spaCy's own"
        )
    try:
        return spacy.load(name, exclude=_NOT_NEEDED)
    except Exception as error:  # a package of any kind may have that name
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{name!r} is not a spaCy pipeline that loads here: {reason}") from error


def tagger_sha256() -> str:
    """Of the weights of the tagger that ships with us."""
    return sha256_file(OWN_FOLDER / "tagger" / "model")


def tag_counts(
    corpus: Corpus, tagger: str = OWN, max_tokens: int | None = None, progress: bool = True
) -> np.ndarray:
    """How often each word of the training text carries each tag: int64 ``[V, 17]``.

    Entry ``[w, k]`` is the number of occurrences of word ``w`` tagged ``UPOS[k]`` in the first
    ``max_tokens`` tokens of the training text (all of them by default). Rows add up to the word's
    count there; the row of ``<eos>``, which is not a word, is zero. The text is streamed, already
    tokenised, sentence by sentence; the result is cached by corpus, tagger and ``max_tokens``.

    Raises :class:`~sparsecore.errors.InputError` if the tagger is not installed, gives no universal
    parts of speech, or ``max_tokens`` is not positive. Source: Saphra & Lopez 2019, §3.
    """
    if max_tokens is not None and max_tokens < 1:
        raise InputError(f"max_tokens must be at least 1, or None for all; got {max_tokens}")
    words = list(corpus.vocabulary.words)

    def make(folder: Path) -> None:
        nlp = load_tagger(tagger)
        tag = fast_tagger(nlp, words) if tagger == OWN else pipe_tagger(nlp, words)
        counts = count_tags(tag, corpus.train[:max_tokens], words, progress=progress)
        np.save(folder / "counts.npy", counts, allow_pickle=False)

    def load(folder: Path) -> np.ndarray:
        counts = np.load(folder / "counts.npy", allow_pickle=False)
        if counts.shape != (len(words), len(UPOS)):
            raise ValueError(f"counts.npy has the shape {counts.shape}")
        return counts

    identity = {"corpus": corpus.sha256, "tagger": _identity(tagger), "max_tokens": max_tokens}
    return cached("tags", identity, make, load)


def count_tags(
    tag: Tagger, ids: np.ndarray, words: Sequence[str], progress: bool = False
) -> np.ndarray:
    """Tags of a stream of word ids, counted per word: int64 ``[V, 17]``; see :func:`tag_counts`."""
    from tqdm.auto import tqdm

    width = len(UPOS)
    end = words.index(EOS) if EOS in words else -1
    counts = np.zeros(len(words) * width, dtype=np.int64)
    show: dict[str, Any] = {"desc": "tagging", "unit": "token", "unit_scale": True}
    with tqdm(total=len(ids), disable=not progress, **show) as bar:
        for start in range(0, len(ids), _SLICE):
            part = np.asarray(ids[start : start + _SLICE], dtype=np.int64)
            tags = np.empty(len(part), dtype=np.int64)
            for first, last in _blocks(part, end):
                tags[first:last] = tag(part[first:last])
                bar.update(last - first)
            kept = part != end
            counts += np.bincount(part[kept] * width + tags[kept], minlength=len(counts))
    return counts.reshape(len(words), width)


def pipe_tagger(nlp: Language, words: Sequence[str]) -> Tagger:
    """Word ids to tag numbers through ``nlp.pipe``: the plain way, for any spaCy pipeline."""
    from spacy.attrs import POS, TAG
    from spacy.tokens import Doc

    probe = nlp(Doc(nlp.vocab, words=["the", "house", "stands"]))
    attribute = POS if probe.has_annotation("POS") else TAG
    number = {nlp.vocab.strings[name]: index for index, name in enumerate(UPOS)}
    number[0] = number[nlp.vocab.strings["SPACE"]] = number[nlp.vocab.strings["X"]]
    if any(int(value) not in number for value in probe.to_array(attribute)) or not (
        probe.has_annotation("POS") or probe.has_annotation("TAG")
    ):
        raise InputError(
            f"spaCy pipeline {nlp.meta.get('name')!r} gives no universal parts of speech; "
            "name one with a tagger or morphologizer"
        )
    end = words.index(EOS) if EOS in words else -1

    def tag(ids: np.ndarray) -> np.ndarray:
        docs = (Doc(nlp.vocab, words=[words[i] for i in part]) for part in _sentences(ids, end))
        found = [doc.to_array(attribute) for doc in nlp.pipe(docs, batch_size=256)]
        tags = np.zeros(len(ids), dtype=np.int64)
        if found:
            tags[ids != end] = [number[int(value)] for value in np.concatenate(found)]
        return tags

    return tag


def fast_tagger(nlp: Language, words: Sequence[str]) -> Tagger:
    """The same as :func:`pipe_tagger` for a tagger like ours, with the work per word type shared.

    The network first embeds each word by itself and then mixes neighbours, so the embeddings are
    made once for the vocabulary and the mixing runs on rows gathered by word id, with as many zero
    rows between sentences as the network looks to either side (spaCy's own padding).
    """
    from spacy.tokens import Doc

    tagger: Any = nlp.get_pipe("tagger")
    tok2vec, output = tagger.model.layers
    embed, encode = tok2vec.layers
    docs = [Doc(nlp.vocab, words=list(words[i : i + 5000])) for i in range(0, len(words), 5000)]
    rows = np.concatenate(embed.predict(docs))
    table = np.concatenate([rows, np.zeros_like(rows[:1])])
    pad, zero = int(encode.attrs["pad"]), len(rows)
    number = np.array([UPOS.index(label) for label in tagger.labels])
    end = words.index(EOS) if EOS in words else -1

    def tag(ids: np.ndarray) -> np.ndarray:
        ends = ids == end
        padded = np.repeat(np.where(ends, zero, ids), np.where(ends, pad, 1))
        padded = np.concatenate([np.full(pad, zero), padded, np.full(pad, zero)])
        scores = output.predict(encode.predict(table[padded]))
        tags = np.zeros(len(ids), dtype=np.int64)
        tags[~ends] = number[scores[padded != zero].argmax(axis=1)]
        return tags

    return tag


def _blocks(ids: np.ndarray, end: int, size: int = _BLOCK) -> Iterator[tuple[int, int]]:
    """Ranges of at most ``size`` tokens that end where a sentence ends, where one does."""
    start = 0
    while start < len(ids):
        stop = min(start + size, len(ids))
        if stop < len(ids):
            ends = np.flatnonzero(ids[start:stop] == end)
            stop = start + int(ends[-1]) + 1 if len(ends) else stop
        yield start, stop
        start = stop


def _sentences(ids: np.ndarray, end: int) -> Iterator[list[int]]:
    for part in np.split(ids, np.flatnonzero(ids == end) + 1):
        part = part[part != end]
        if len(part):
            yield part.tolist()


def _identity(name: str) -> dict[str, str]:
    """What a cached count depends on: our weights, a folder's files, or a package's version."""
    import spacy
    from spacy.util import get_package_version

    if name == OWN:
        return {"name": OWN, "sha256": tagger_sha256()}
    if os.path.isdir(name):
        files = sorted(path for path in Path(name).rglob("*") if path.is_file())
        version = settings_hash([[str(p.relative_to(name)), sha256_file(p)] for p in files])
    else:
        version = str(get_package_version(name))
    return {"name": name, "version": version, "spacy": spacy.__version__}
