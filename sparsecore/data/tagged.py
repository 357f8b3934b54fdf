"""Text with a part of speech for every word, as arrays: for the tagging experiment.

Three places it can come from: the ``embedded`` text with the labels of the tagger that ships with
the package (*silver*: they are a machine's), a download (``ud-english-ewt``), or files of your own.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.cache import cached
from sparsecore.data.language import check_ids
from sparsecore.data.locate import EMBEDDED, Source, find_source, say_dropped
from sparsecore.data.silver import silver
from sparsecore.data.tagged_files import COLUMNS, Tagged, find_files, read_tagged
from sparsecore.data.tagging import tagger_sha256
from sparsecore.data.vocabulary import Vocabulary
from sparsecore.errors import InputError, near_match
from sparsecore.files import read_json, write_json
from sparsecore.home import REMAKE

VERSION = 1  # raise when the same files would give other arrays
KIND = "parts of speech"
PAD, UNK = "<pad>", "<unk>"
PAD_ID, UNK_ID = 0, 1
SPLITS = ("train", "dev", "test")
HELD_OUT = 10  # where a part is missing, one sentence in ten is set aside for it
SILVER_SHARE = 5  # dev and test of the embedded text: a fifth of the training sentences each
SILVER_SENTENCES = 20_000  # of the embedded text, unless max_sentences says otherwise


@dataclass(frozen=True)
class Sentences:
    """One split: the ids of all words, the ids of their tags, and how long each sentence is."""

    words: NDArray[np.int32]
    tags: NDArray[np.int32]
    lengths: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True)
class TaggedCorpus:
    """A prepared tagged corpus. Words keep their case.

    Id 0 is ``<pad>``, id 1 ``<unk>`` (every word that the training split does not have); the words
    of the training split follow by descending count, ties alphabetically. ``counts`` are those in
    the training split, so the first two are 0. ``tags`` are sorted. ``sha256`` names the content
    and the settings of the preparation; ``info`` says where it came from and counts it.
    """

    name: str
    sha256: str
    words: list[str] = field(repr=False)
    counts: NDArray[np.int64] = field(repr=False)
    tags: list[str] = field(repr=False)
    train: Sentences = field(repr=False)
    dev: Sentences = field(repr=False)
    test: Sentences = field(repr=False)
    info: dict[str, Any] = field(repr=False)


def prepare_tagged(
    corpus: str, column: str = "xpos", *, max_sentences: int | None = None, progress: bool = True
) -> TaggedCorpus:
    """The tagged corpus at a name or path, from the cache or read now.

    Args:
        corpus: ``embedded``; ``ud-english-ewt`` (fetch it first); a folder with a train, a test and
            perhaps a dev file; or one file. A missing dev part is the last tenth of the training
            sentences; one file gives its last tenth to test, the tenth before to dev.
        column: ``xpos`` (the treebank's own tags) or ``upos`` (universal ones). A word/tag file has
            one column, which is taken either way; the embedded text has ``upos`` alone.
        max_sentences: cap on the training sentences, the first ones; None for all (20,000 of the
            embedded text).

    Raises:
        InputError: bad arguments, unreadable or malformed files (path and line), an empty column.
    """
    if column not in COLUMNS:
        raise InputError(f"tags must be one of {', '.join(COLUMNS)}{near_match(column, COLUMNS)}")
    if max_sentences is not None and max_sentences < 1:
        raise InputError(f"max_sentences must be at least 1, or none for all; got {max_sentences}")
    source = _find(corpus, column, progress)
    settings: dict[str, Any] = {
        "content": source.content(),
        "column": column,
        "max_sentences": max_sentences,
        "version": VERSION,
    }
    if source.name == EMBEDDED:
        settings["tagger"] = tagger_sha256()

    def make(folder: Path) -> None:
        dropped: Counter[str] = Counter()
        if source.name == EMBEDDED:
            cap = SILVER_SENTENCES if max_sentences is None else max_sentences
            other = -(-cap // SILVER_SHARE)
            splits = silver(source, {"dev": other, "test": other, "train": cap}, progress)
        else:
            splits = _read(source, column, dropped)
            splits["train"] = splits["train"][:max_sentences]
        _save(folder, source, splits, {**settings, "dropped": dropped})
        say_dropped(source.name, dropped)

    return cached("tagged", settings, make, partial(_load, source.name))


def _find(corpus: str, column: str, progress: bool) -> Source:
    if corpus == EMBEDDED and column != "upos":
        raise InputError(
            f"the embedded text has universal tags only (of the shipped tagger): "
            f"use tags='upos', not {column!r}"
        )
    source = find_source(corpus, progress, KIND, find_files)
    if source.name != EMBEDDED:
        return source
    what = "silver tags, given by the tagger that ships with sparsecore"
    return replace(source, description=f"{source.description}; {what}")


def _read(source: Source, column: str, dropped: Counter[str]) -> dict[str, list[Tagged]]:
    """The three splits; a missing one is cut off the end of the one that is there."""
    splits: dict[str, list[Tagged]] = {}
    for part, path in source.files.items():
        splits.setdefault(part.partition("/")[0], []).extend(read_tagged(path, column, dropped))
    if "all" in splits:
        splits["train"], splits["test"] = _cut(splits.pop("all"), HELD_OUT, source)
        splits["train"], splits["dev"] = _cut(splits["train"], HELD_OUT - 1, source)
    elif "dev" not in splits:
        splits["train"], splits["dev"] = _cut(splits["train"], HELD_OUT, source)
    return splits


def _cut(sentences: list[Tagged], parts: int, source: Source) -> tuple[list[Tagged], list[Tagged]]:
    held_out = len(sentences) // parts
    if not held_out:
        raise InputError(
            f"corpus {source.name} has {len(sentences)} sentences where {parts} or more are needed "
            "to set some aside: give a train, a dev and a test file"
        )
    return sentences[:-held_out], sentences[-held_out:]


def _save(
    folder: Path, source: Source, splits: dict[str, list[Tagged]], settings: dict[str, Any]
) -> None:
    seen = Counter(word for words, _ in splits["train"] for word in words)
    for special in (PAD, UNK):
        seen.pop(special, None)
    ordered = sorted(seen, key=lambda word: (-seen[word], word))
    words = [PAD, UNK, *ordered]
    tags = sorted({tag for part in splits.values() for _, labels in part for tag in labels})
    arrays = {split: _encode(part, words, tags) for split, part in splits.items()}
    counts = np.bincount(arrays["train"].words, minlength=len(words))
    counts[:2] = 0
    info = {
        "name": source.name,
        "source": source.description,
        "licence": source.licence,
        **settings,
        "dev": "a file of its own" if "dev" in source.files else "set aside from the training text",
        "types": len(ordered),
        "tags": len(tags),
        "sentences": {split: len(part) for split, part in arrays.items()},
        "tokens": {split: len(part.words) for split, part in arrays.items()},
        "unk_share": {
            split: float(np.mean(part.words == UNK_ID)) for split, part in arrays.items()
        },
    }
    for split, part in arrays.items():
        np.savez(folder / f"{split}.npz", **vars(part))
    Vocabulary(words, counts).save(folder / "words.parquet")
    write_json(folder / "tags.json", tags)
    write_json(folder / "info.json", info)


def _encode(sentences: list[Tagged], words: list[str], tags: list[str]) -> Sentences:
    word_id = {word: number for number, word in enumerate(words)}
    tag_id = {tag: number for number, tag in enumerate(tags)}
    lengths = np.array([len(part) for part, _ in sentences], np.int32)
    total = int(lengths.sum())
    flat_words = (word_id.get(word, UNK_ID) for part, _ in sentences for word in part)
    flat_tags = (tag_id[tag] for _, part in sentences for tag in part)
    return Sentences(
        np.fromiter(flat_words, np.int32, total), np.fromiter(flat_tags, np.int32, total), lengths
    )


def _load(name: str, folder: Path) -> TaggedCorpus:
    vocabulary = Vocabulary.load(folder / "words.parquet")
    words, counts = vocabulary.words, vocabulary.counts
    tags = json.loads((folder / "tags.json").read_text(encoding="utf-8"))
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("tags.json is not a list of tags")
    splits = {}
    for split in SPLITS:
        path = folder / f"{split}.npz"  # opened here: NumPy leaves a damaged one open
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            part = Sentences(arrays["words"], arrays["tags"], arrays["lengths"])
        check_ids(part.words, len(words), f"{split}.npz")
        check_ids(part.tags, len(tags), f"the tags of {split}.npz")
        check_ids(part.lengths, len(part.words) + 1, f"the lengths of {split}.npz")
        if not len(part.words) == len(part.tags) == part.lengths.sum():
            raise ValueError(f"{split}.npz has not as many words as tags")
        splits[split] = part
    info = read_json(folder / "info.json", REMAKE)
    return TaggedCorpus(name, folder.name, words, counts, tags, **splits, info=info)
