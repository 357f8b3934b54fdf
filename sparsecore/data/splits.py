"""Train, valid and test parts of a corpus: told by the names of files, or divided by document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.encode import EOS_ID, Tokens
from sparsecore.data.text_files import COMPRESSED
from sparsecore.errors import InputError

SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}
SPLITS = tuple(SHARES)
_ALIASES = {"train": "train", "training": "train", "valid": "valid", "validation": "valid",
            "val": "valid", "dev": "valid", "test": "test", "testing": "test"}  # fmt: skip
_TREEBANKS = (".conllu", ".conllup")


def split_of(words: Sequence[str]) -> tuple[str, int] | None:
    """The split (train, valid or test) that a word of a file's name says, and which word it is."""
    return next(((_ALIASES[word], at) for at, word in enumerate(words) if word in _ALIASES), None)


def find_splits(
    folder: Path, required: Sequence[str] = SPLITS, of: str = "text"
) -> dict[str, Path]:
    """The train, valid and test file of ``folder``, told by a word of their names.

    ``train.txt.xz``, ``ptb.valid.txt``, ``en_ewt-ud-dev.conllu``; ``dev`` and ``validation`` are
    taken for valid. Of a treebank and its text (``x-ud-dev.txt``) the treebank is taken; a treebank
    whose training part is several files (``cs_pdt-ud-train-c.conllu``, …) gives each under
    ``train/`` and its name.

    Raises:
        InputError: one that is ``required`` is missing, or several stand for one.
    """
    found: dict[str, list[Path]] = {name: [] for name in SPLITS}
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            split = split_of(re.split(r"[^a-z]+", path.name.lower()))
            if split is not None:
                found[split[0]].append(path)
    files: dict[str, Path] = {}
    for split, paths in found.items():
        if not paths and split in required:
            names = [f"a {name}" for name in required]
            raise InputError(
                f"corpus folder {folder} has no {split} file; it needs {', '.join(names[:-1])} and "
                f"{names[-1]} file of {of}, such as {split}.txt or {split}.txt.xz"
            )
        paths = _without_texts(paths)
        if len(paths) == 1:
            files[split] = paths[0]
        elif paths and _are_parts([bare_name(path.name) for path in paths]):
            files |= {f"{split}/{path.name}": path for path in paths}
        elif paths:
            names = " and ".join(path.name for path in paths)
            raise InputError(f"corpus folder {folder} has more than one {split} file: {names}")
    return files


def bare_name(name: str) -> str:
    """A file's name without the ending of its compression."""
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return name


def _are_parts(names: list[str]) -> bool:
    """Whether files are the parts of one treebank: ``cs_pdt-ud-train-c.conllu``, ``…-train-m…``."""
    found = [re.fullmatch(r"(.+-ud-[a-z]+)-[^.]+\.conllup?", name) for name in names]
    return len({match and match[1] for match in found}) == 1 and None not in found


def _without_texts(paths: list[Path]) -> list[Path]:
    """Without the plain text that stands beside a treebank of the same name."""
    bare = {path: Path(bare_name(path.name)) for path in paths}
    treebanks = tuple(name.stem for name in bare.values() if name.suffix in _TREEBANKS)
    return [
        path
        for path, name in bare.items()
        if name.suffix != ".txt" or not any(each.startswith(name.stem) for each in treebanks)
    ]


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
