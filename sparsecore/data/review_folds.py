"""Train, dev and test parts of labelled documents, without a text that stands in two of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsecore.data.review_files import Review
from sparsecore.data.text import tokenize
from sparsecore.errors import InputError
from sparsecore.files import reading
from sparsecore.home import REMAKE

FOLDS = ("train", "dev", "test")
SHARE = 0.2  # of all documents for test, then of the rest for dev
EMBEDDED_DOCUMENTS = 6000
KINDS = ("parameter", "returned")


@dataclass(frozen=True)
class Folds:
    """The documents of each split, and how many were dropped for which reason."""

    splits: dict[str, list[Review]]
    dropped: dict[str, int]


def make_folds(read: Mapping[str, Sequence[Review]], seed: int) -> Folds:
    """Fold documents that were read as ``category/split``: split is all, train, dev or test.

    Each category is folded by itself, so that a mix holds exactly the folds of its categories; a
    text that two of them share is then kept in one split.
    """
    splits: dict[str, list[Review]] = {split: [] for split in FOLDS}
    for category in sorted({name.rpartition("/")[0] for name in read}):
        given = {split: list(read.get(f"{category}/{split}", [])) for split in ("all", *FOLDS)}
        if given["all"]:
            given["train"], given["test"] = _divide(given["all"], seed)
        test = {review.tokens for review in given["test"]}
        if not given["dev"]:
            rest = [review for review in given["train"] if review.tokens not in test]
            shared = [review for review in given["train"] if review.tokens in test]
            given["train"], given["dev"] = _divide(rest, seed)
            given["train"] += shared  # dropped, and counted, below
        for split in FOLDS:
            splits[split] += given[split]
    return _apart(splits)


def cap(folds: Folds, max_documents: int, seed: int) -> Folds:
    """At most ``max_documents`` documents of train, a quarter as many of dev, drawn at random."""
    sizes = {"train": max_documents, "dev": max_documents // 4}
    splits = dict(folds.splits)
    for split, size in sizes.items():
        order = np.random.default_rng(seed).permutation(len(splits[split]))[:size]
        splits[split] = [splits[split][i] for i in sorted(order)]
    return Folds(splits, folds.dropped)


def last_words(review: Review, max_length: int | None) -> Review:
    """The review cut down to its title and last words, at least one."""
    if max_length is None or len(review.title) + len(review.tokens) <= max_length:
        return review
    title = review.title[: max_length - 1]
    return dataclasses.replace(review, title=title, tokens=review.tokens[len(title) - max_length :])


def embedded_folds(path: Path, seed: int, max_length: int | None = None) -> Folds:
    """Paragraphs about a parameter and about a returned value, as many of one as of the other.

    ``path``: the table of the harvested paragraphs. A module is wholly in one split; an equal text
    is taken once.
    """
    import pandas as pd

    splits: dict[str, list[Review]] = {split: [] for split in FOLDS}
    shares = {"test": SHARE, "dev": SHARE * (1 - SHARE), "train": (1 - SHARE) ** 2}
    seen: set[tuple[str, ...]] = set()
    with reading(path.parent, REMAKE):
        table = pd.read_parquet(path)
        table = table[table["kind"].isin(KINDS)]
        modules = np.array(sorted(table["module"].unique()))
        order = np.random.default_rng(seed).permutation(len(modules))
        names = iter(modules[order].tolist())
        by_module = {
            str(name): list(zip(part["kind"], part["text"], strict=True))
            for name, part in table.groupby("module")
        }
        for split, share in shares.items():
            wanted = int(share * EMBEDDED_DOCUMENTS / 2)
            chosen: dict[str, list[Review]] = {kind: [] for kind in KINDS}
            while min(map(len, chosen.values())) < wanted and (module := next(names, None)):
                for kind, text in by_module[module]:
                    review = Review(kind, tuple(tokenize(text)), module, module)
                    review = last_words(review, max_length)
                    if review.tokens not in seen:
                        seen.add(review.tokens)
                        chosen[kind].append(review)
            size = min(wanted, *map(len, chosen.values()))
            splits[split] = [review for kind in KINDS for review in chosen[kind][:size]]
    return Folds(splits, {})


def _divide(reviews: Sequence[Review], seed: int) -> tuple[list[Review], list[Review]]:
    """Most of the documents, and a fifth of them; equal texts on one side."""
    groups: dict[tuple[str, ...], list[Review]] = {}
    for review in reviews:
        groups.setdefault(review.tokens, []).append(review)
    if len(groups) < 2:
        raise InputError(
            f"{reviews[0].category if reviews else 'the corpus'} has {len(groups)} different "
            "documents, too few to set some aside"
        )
    keys = list(groups)
    order = np.random.default_rng(seed).permutation(len(keys))
    aside: list[Review] = []
    rest: list[Review] = []
    for index in order:
        small = len(aside) < SHARE * len(reviews)
        (aside if small else rest).extend(groups[keys[index]])
    return rest, aside


def _apart(splits: dict[str, list[Review]]) -> Folds:
    """Drop from dev what test holds, and from train what either holds."""
    test, dev = ({review.tokens for review in splits[split]} for split in ("test", "dev"))
    kept = {
        "train": [r for r in splits["train"] if r.tokens not in test and r.tokens not in dev],
        "dev": [r for r in splits["dev"] if r.tokens not in test],
        "test": splits["test"],
    }
    dropped = {
        "train documents whose text is in test": sum(r.tokens in test for r in splits["train"]),
        "dev documents whose text is in test": len(splits["dev"]) - len(kept["dev"]),
        "train documents whose text is in dev": sum(
            r.tokens in dev and r.tokens not in test for r in splits["train"]
        ),
    }
    return Folds(kept, dropped)
