"""Labelled documents for a two-way decision: read, tokenised, folded, cached.

Three sources: ``embedded`` (does a paragraph of documentation describe a parameter or a returned
value?), the registry's reviews, or files of one's own (see :mod:`sparsecore.data.review_files`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.cache import cached
from sparsecore.data.language import check_ids
from sparsecore.data.locate import EMBEDDED, Source, find_source, say_dropped
from sparsecore.data.review_files import Review, find_categories, read_reviews
from sparsecore.data.review_folds import FOLDS, Folds, cap, embedded_folds, last_words, make_folds
from sparsecore.errors import InputError, near_match
from sparsecore.files import read_json, write_json, write_text
from sparsecore.home import REMAKE

VERSION = 1  # raise when the same text would be divided otherwise
READER = 2  # raise when the same files would give other documents
MIX = "mix"
KIND = "sentiment"


@dataclass(frozen=True)
class Documents:
    """Documents one after the other: word ids, where each ends, and its label, 0 or 1."""

    ids: NDArray[np.int32] = field(repr=False)
    ends: NDArray[np.int64] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Words of each document."""
        return np.diff(self.ends, prepend=0)

    def words(self, number: int) -> NDArray[np.int32]:
        """The word ids of one document."""
        return self.ids[self.ends[number] - self.lengths[number] : self.ends[number]]


@dataclass(frozen=True)
class ReviewCorpus:
    """A prepared two-way decision task.

    ``words`` is the vocabulary of all documents, most frequent first; ``labels`` the two labels as
    they stand in the files, in sorted order; ``info`` counts what was kept and what was dropped.
    """

    name: str
    sha256: str
    folder: Path
    words: list[str] = field(repr=False)
    labels: tuple[str, str]
    train: Documents
    dev: Documents
    test: Documents
    info: dict[str, Any] = field(repr=False)

    def tokens(self, split: str, number: int) -> list[str]:
        """The words of one document of a split (``train``, ``dev`` or ``test``)."""
        return [self.words[i] for i in getattr(self, split).words(number)]


def prepare_reviews(
    corpus: str,
    category: str | None = None,
    *,
    max_documents: int | None = None,
    max_length: int | None = None,
    drop_empty: bool = False,
    titles: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> ReviewCorpus:
    """Read, tokenise and fold labelled documents.

    ``corpus`` is ``"embedded"``, a name of the registry (fetch it first), or a path: a folder or a
    file of a format that :mod:`sparsecore.data.review_files` reads. Raw text is lower-cased and
    cleaned to letters, digits and ``(),!?'``; tokenised text keeps its tokens, lower-cased.

    ``category`` is one of the folder's, the beginning of one, or ``"mix"`` for all; it may be left
    out where there is only one. Train, dev and test files are used as they are, except that a text
    of the test file is dropped from the two others, and one of the dev file from train. Without a
    dev file a fifth of train becomes dev, in an order drawn from ``seed``; without a test file a
    fifth of all becomes test first. Equal texts always stay together. ``max_documents`` caps train,
    and dev at a quarter of it; of longer documents than ``max_length`` words only the last ones are
    read. A document without words is refused, or with ``drop_empty`` left out. With ``titles`` the
    title of a review stands before its text, whose last words are then fewer by its length.

    The result is cached by content and settings. Raises :class:`~sparsecore.errors.InputError`,
    with nothing written, for files of the wrong form, labels other than two, or splits that lack
    one of them.
    """
    if max_documents is not None and max_documents < 4:
        raise InputError(f"max_documents must be at least 4 (or None for all), not {max_documents}")
    if max_length is not None and max_length < 1:
        raise InputError(f"max_length must be at least 1 (or None for all), not {max_length}")
    if seed < 0:
        raise InputError(f"seed must be 0 or more, not {seed}")
    source = _find(corpus, category, progress)
    untitled = [p.name for p in source.files.values() if ".review" not in p.suffixes]
    if titles and untitled:
        raise InputError(
            f"titles=True needs .review files; {untitled[0]} of {source.name} has none"
        )
    settings: dict[str, Any] = {
        "content": source.content(),
        "max_documents": max_documents,
        "max_length": max_length,
        "drop_empty": drop_empty,
        "seed": seed,
        "version": VERSION,
    }
    if corpus != EMBEDDED:
        settings["reader"] = READER
    if titles:
        settings["titles"] = True

    def make(folder: Path) -> None:
        if corpus == EMBEDDED:
            folds = embedded_folds(source.files[EMBEDDED], seed, max_length)
        else:
            folds = _read(source, drop_empty, max_length, titles, seed)
        if max_documents is not None:
            folds = cap(folds, max_documents, seed)
        labels = _two_labels(folds, source.name)
        _save(folder, folds, labels, source, settings)
        say_dropped(source.name, folds.dropped)

    return cached("reviews", settings, make, partial(_load, source.name))


@dataclass(frozen=True)
class Collection:
    """All categories of a corpus together."""

    name: str
    sha256: str
    categories: list[str]


def collection_of(corpus: str, progress: bool = True) -> Collection:
    """The name, the hash and the categories (none for ``embedded``) of a whole corpus."""
    if corpus == EMBEDDED:
        source = _find(corpus, None, progress)
        return Collection(EMBEDDED, source.content()[EMBEDDED], [])
    source = find_source(corpus, progress, KIND, _every_file)
    sha256 = hashlib.sha256(" ".join(sorted(source.content().values())).encode()).hexdigest()
    return Collection(source.name, sha256, sorted({part.split("/")[0] for part in source.files}))


def _find(corpus: str, category: str | None, progress: bool) -> Source:
    """The files of one category or of all, each as ``category/split/name``."""
    if corpus == EMBEDDED:
        from sparsecore.data.embedded import harvest

        if category is not None:
            raise InputError(f"the embedded documents have no categories, got {category!r}")
        path = harvest(progress) / "paragraphs.parquet"
        what = "paragraphs of documentation: of a parameter, or of a returned value"
        return Source(EMBEDDED, {EMBEDDED: path}, what, "that of each package")
    source = find_source(corpus, progress, KIND, _every_file)
    if category == MIX:
        return replace(source, name=MIX)
    names = list(dict.fromkeys(part.split("/")[0] for part in source.files))
    name = _choose(names, category, corpus)
    files = {part: path for part, path in source.files.items() if part.split("/")[0] == name}
    return replace(source, name=name, files=files)


def _every_file(path: Path) -> dict[str, Path]:
    return {
        f"{category}/{split}/{file.name}": file
        for category, files in find_categories(path).items()
        for split, paths in files.items()
        for file in paths
    }


def _choose(names: list[str], category: str | None, corpus: str) -> str:
    if category is None:
        if len(names) == 1:
            return names[0]
        raise InputError(f"{corpus} has {len(names)} categories; choose one of {names} or {MIX!r}")
    begun = [name for name in names if name.startswith(category)]
    if category in names or len(begun) == 1:
        return category if category in names else begun[0]
    raise InputError(f"{corpus} has no category {category!r}{near_match(category, [*names, MIX])}")


def _read(
    source: Source, drop_empty: bool, max_length: int | None, titles: bool, seed: int
) -> Folds:
    read: dict[str, list[Review]] = {}
    empty = 0
    for part, path in source.files.items():
        category, split, _ = part.split("/")
        for review in read_reviews(path, category):
            if not titles:  # else equal texts are compared whole, whatever their titles
                review = last_words(replace(review, title=()), max_length)
            if review.tokens:
                read.setdefault(f"{category}/{split}", []).append(review)
            elif drop_empty:
                empty += 1
            else:
                raise InputError(
                    f"{review.where} has no words; remove it, or leave such documents out with "
                    "drop_empty"
                )
    folds = make_folds(read, seed)
    splits = {
        split: [last_words(review, max_length) for review in fold]
        for split, fold in folds.splits.items()
    }
    return Folds(splits, {**folds.dropped, "empty documents": empty})


def _two_labels(folds: Folds, name: str) -> tuple[str, str]:
    found = sorted({r.label for fold in folds.splits.values() for r in fold})
    if len(found) != 2:
        shown = ", ".join(repr(label) for label in found[:6]) + (", …" if len(found) > 6 else "")
        raise InputError(f"{name} has {len(found)} labels ({shown}) where there must be two")
    for split in FOLDS:
        for label in found:
            if not any(r.label == label for r in folds.splits[split]):
                raise InputError(f"the {split} documents of {name} have none labelled {label!r}")
    return found[0], found[1]


def _save(
    folder: Path, folds: Folds, labels: Sequence[str], source: Source, settings: dict[str, Any]
) -> None:
    texts = {split: [r.title + r.tokens for r in fold] for split, fold in folds.splits.items()}
    counts = Counter(word for fold in texts.values() for text in fold for word in text)
    words = sorted(counts, key=lambda word: (-counts[word], word))
    index = {word: number for number, word in enumerate(words)}
    info = {
        "source": source.description,
        "licence": source.licence,
        **settings,
        "categories": sorted({r.category for r in folds.splits["train"]}),
        "labels": list(labels),
        "types": len(words),
        "documents": {split: len(fold) for split, fold in folds.splits.items()},
        "tokens": {split: sum(map(len, fold)) for split, fold in texts.items()},
        "dropped": folds.dropped,
    }
    for split, fold in folds.splits.items():
        arrays = {
            "ids": np.array([index[w] for text in texts[split] for w in text], dtype=np.int32),
            "ends": np.cumsum([len(text) for text in texts[split]], dtype=np.int64),
            "labels": np.array([labels.index(r.label) for r in fold], dtype=np.int64),
        }
        for name, array in arrays.items():
            np.save(folder / f"{split}.{name}.npy", array)
    write_text(folder / "words.txt", "\n".join(words) + "\n")
    write_json(folder / "info.json", info)


def _checked(documents: Documents, size: int, split: str) -> Documents:
    """The documents, if their arrays fit one another; else ValueError."""
    check_ids(documents.ids, size, f"{split}.ids.npy")
    check_ids(documents.ends, len(documents.ids) + 1, f"{split}.ends.npy")
    check_ids(documents.labels, 2, f"{split}.labels.npy")
    if documents.lengths.min() < 1 or documents.ends[-1] != len(documents.ids):
        raise ValueError(f"{split}.ends.npy does not hold the ends of documents")
    if len(documents.labels) != len(documents):
        raise ValueError(f"{split}.labels.npy has not a label for each document")
    return documents


def _load(name: str, folder: Path) -> ReviewCorpus:
    info = read_json(folder / "info.json", REMAKE)
    words = (folder / "words.txt").read_text(encoding="utf-8").split("\n")[:-1]
    if len(words) != info["types"]:
        raise ValueError(f"words.txt has {len(words)} words, not {info['types']}")
    splits = {}
    for split in FOLDS:
        parts = (
            np.load(folder / f"{split}.{part}.npy", allow_pickle=False)
            for part in ("ids", "ends", "labels")
        )
        splits[split] = _checked(Documents(*parts), len(words), split)
    first, second = map(str, info["labels"])
    return ReviewCorpus(name, folder.name, folder, words, (first, second), **splits, info=info)
