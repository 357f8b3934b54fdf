"""A language-modelling corpus from a name or a path: tokenised, filtered, split, memory-mapped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.cache import cached
from sparsecore.data.encode import UNK_ID, Tokens, encode_file, new_index
from sparsecore.data.locate import EMBEDDED, Source, find_source, say_dropped
from sparsecore.data.readers import TOKENISED
from sparsecore.data.splits import SPLITS, head, split_documents
from sparsecore.data.vocabulary import Filtered, Vocabulary, filter_rare, keep_commonest
from sparsecore.errors import InputError
from sparsecore.files import read_json, write_json
from sparsecore.home import REMAKE

THRESHOLD = 100  # the paper's
VERSION = 2  # raise when the same text would give other tokens or splits
TOKENS_VERSION = 3  # of what is cached between the text and its corpora


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus. Words are lower-cased; every sentence ends in ``<eos>`` (id 1).

    ``train``, ``valid`` and ``test`` are memory-mapped int32 vectors of word ids (copy on write);
    ``sha256`` names the content and the settings of the preparation, ``folder`` where it lies, and
    ``info`` counts what was kept (tokens, types, sentences, share of ``<unk>``) and says where the
    text came from.
    """

    name: str
    sha256: str
    folder: Path
    vocabulary: Vocabulary = field(repr=False)
    train: NDArray[np.int32] = field(repr=False)
    valid: NDArray[np.int32] = field(repr=False)
    test: NDArray[np.int32] = field(repr=False)
    info: dict[str, Any] = field(repr=False)


def prepare_corpus(
    corpus: str,
    *,
    threshold: int | None = None,
    max_types: int | None = None,
    max_tokens: int | None = None,
    seed: int = 0,
    tokenised: bool = False,
    progress: bool = True,
) -> Corpus:
    """Tokenise, lower-case, split and filter a corpus as Saphra & Lopez (2019, §3) do.

    ``corpus`` is ``"embedded"`` (documentation strings of Python and installed packages), a name
    of the download registry (fetch it first), or a local path: a text file (plain, ``.gz`` or
    ``.xz``), split 70/10/20 by document in an order drawn from ``seed``, or a folder with a train,
    a valid and a test file. Files hold documents separated by blank lines, or, if no line is blank,
    one document or sentence a line.

    Every sentence with a word seen fewer than ``threshold`` (100) times in the training split is
    dropped; words still rarer than that are then ``<unk>``. With ``max_types`` instead, no sentence
    is dropped: the ``max_types`` commonest words of the training split are kept, the others are
    ``<unk>``. ``max_tokens`` caps the training split before either, the valid and test splits at
    1/7 and 2/7 of it.

    ``tokenised`` takes the text as it is: words are what spaces separate, in their case, and every
    line ends in ``<eos>``, as language models of the Penn Treebank and of WikiText are compared.

    The result is cached by the content of the text and these settings. Raises
    :class:`~sparsecore.errors.InputError`, with nothing written, if the text cannot be read, is too
    short, or nothing passes the filter.
    """
    if max_types is None:
        threshold = THRESHOLD if threshold is None else threshold
    elif threshold is not None:
        raise InputError(
            f"threshold={threshold} drops sentences with rare words and max_types={max_types} "
            "keeps them; give one of the two"
        )
    elif max_types < 2:
        raise InputError(f"max_types must be at least 2 words, not {max_types}")
    if threshold is not None and threshold < 1:
        raise InputError(f"threshold must be at least 1, not {threshold}")
    if max_tokens is not None and max_tokens < 1:
        raise InputError(f"max_tokens must be at least 1 (or None for all), not {max_tokens}")
    if seed < 0:
        raise InputError(f"seed must be 0 or more, not {seed}")
    if tokenised and corpus == EMBEDDED:
        raise InputError(
            "tokenised=True needs a text whose words are separated by spaces; 'embedded' is not one"
        )
    source = find_source(corpus, progress)
    if tokenised:
        source = replace(source, form=TOKENISED)
    content = source.content()
    settings = {
        "content": content,
        "threshold": threshold,
        "max_tokens": max_tokens,
        "seed": seed if "all" in content else None,
        "version": VERSION,
    }
    if tokenised:
        settings["tokenised"] = True
    if max_types is not None:
        settings["max_types"] = max_types

    def make(folder: Path) -> None:
        tokens, words, dropped = load_tokens(source, content, progress)
        if "all" in tokens:
            splits = split_documents(tokens["all"], seed)
        else:
            splits = {split: np.asarray(tokens[split].ids) for split in SPLITS}
        if max_tokens is not None:
            splits = _cap(splits, max_tokens, source)
        if threshold is not None:
            result = filter_rare(splits, words, threshold)
        else:
            assert max_types is not None
            result = keep_commonest(splits, words, max_types)
        _check(result, splits, words, threshold, source)
        _save(folder, source, result, {**settings, "dropped": dropped})
        say_dropped(source.name, dropped)

    return cached("corpora", settings, make, partial(_load, source.name))


def load_tokens(
    source: Source, content: dict[str, str], progress: bool
) -> tuple[dict[str, Tokens], list[str], dict[str, int]]:
    """The ids of every word of the source, the words, and how many lines were left out; cached."""
    from tqdm.auto import tqdm

    def make(folder: Path) -> None:
        index = new_index()
        dropped: Counter[str] = Counter()
        size = sum(path.stat().st_size for path in source.files.values())
        show: dict[str, Any] = {"unit": "B", "unit_scale": True, "desc": f"reading {source.name}"}
        with tqdm(total=size, disable=not progress, delay=0.5, **show) as bar:
            for split, path in source.files.items():
                ids = folder / f"{split}.ids"
                ends = encode_file(path, index, ids, bar.update, source.form, dropped=dropped)
                if not len(ends):
                    raise InputError(f"corpus file {path} has no words")
                np.save(folder / f"{split}.documents.npy", ends)
        (folder / "words.txt").write_text("\n".join(index), encoding="utf-8")
        write_json(folder / "dropped.json", dropped)

    def load(folder: Path) -> tuple[dict[str, Tokens], list[str], dict[str, int]]:
        words = (folder / "words.txt").read_text(encoding="utf-8").split("\n")
        tokens = {}
        for split in source.files:
            ids = np.memmap(folder / f"{split}.ids", "<i4", "r")
            documents = np.load(folder / f"{split}.documents.npy", allow_pickle=False)
            check_ids(ids, len(words), f"{split}.ids")
            rising = documents.ndim == 1 and len(documents) and (np.diff(documents) > 0).all()
            if not (rising and documents.dtype.kind == "i" and documents[0] > 0):
                raise ValueError(f"{split}.documents.npy does not hold the ends of documents")
            if documents[-1] != len(ids):
                raise ValueError(f"{split}.ids has {len(ids)} words, not {documents[-1]}")
            tokens[split] = Tokens(ids, documents)
        dropped = {what: int(n) for what, n in read_json(folder / "dropped.json", REMAKE).items()}
        return tokens, words, dropped

    return cached("tokens", [content, TOKENS_VERSION, source.form], make, load)


def check_ids(ids: NDArray[Any], size: int, what: str) -> None:
    """Raise ValueError unless ``ids`` are whole numbers in [0, size), at least one of them."""
    if ids.ndim != 1 or ids.dtype.kind != "i" or not len(ids):
        raise ValueError(f"{what} does not hold word ids")
    if ids.min() < 0 or ids.max() >= size:
        raise ValueError(f"{what} has ids outside the {size} words")


def _cap(
    splits: dict[str, NDArray[np.int32]], max_tokens: int, source: Source
) -> dict[str, NDArray[np.int32]]:
    caps = {"train": max_tokens, "valid": -(-max_tokens // 7), "test": -(-2 * max_tokens // 7)}
    capped = {split: head(ids, caps[split]) for split, ids in splits.items()}
    for split, ids in capped.items():
        if not len(ids):
            raise InputError(
                f"max_tokens={max_tokens} is too small: the {split} split of {source.name} has no "
                f"whole sentence within {caps[split]} tokens"
            )
    return capped


def _check(
    result: Filtered,
    splits: dict[str, NDArray[np.int32]],
    words: list[str],
    threshold: int | None,
    source: Source,
) -> None:
    """Raise :class:`InputError` if nothing useful passed the filter, naming what would."""
    lack = _lack(result)
    if not lack:
        return
    if threshold is None:
        raise InputError(f"{source.name} has {lack}: the text is too short")
    smaller = threshold
    while smaller > 1:
        smaller //= 2
        trial = filter_rare(splits, words, smaller)
        if not _lack(trial):
            share = trial.kept["train"] / (trial.kept["train"] + trial.dropped["train"])
            raise InputError(
                f"threshold={threshold} leaves {lack} of {source.name}; threshold={smaller} would "
                f"keep {share:.0%} of its training sentences and {len(trial.vocabulary)} words"
            )
    raise InputError(
        f"threshold={threshold} leaves {lack} of {source.name}, and no smaller one helps: "
        "the text is too short"
    )


def _lack(result: Filtered) -> str:
    """What is missing after the filter; empty if nothing is."""
    for split in SPLITS:
        if not len(result.splits[split]):
            return f"no sentence in the {split} split"
    if len(result.vocabulary) < 4:  # <unk>, <eos> and two words
        return "fewer than 2 words in the vocabulary"
    return ""


def _save(folder: Path, source: Source, result: Filtered, settings: dict[str, Any]) -> None:
    tokens = {split: len(ids) for split, ids in result.splits.items()}
    unknown = {split: float(np.mean(ids == UNK_ID)) for split, ids in result.splits.items()}
    info = {
        "name": source.name,
        "source": source.description,
        "licence": source.licence,
        **settings,
        "types": len(result.vocabulary),
        "types_replaced": result.replaced,
        "tokens": tokens,
        "sentences_kept": result.kept,
        "sentences_dropped": result.dropped,
        "unk_share": unknown,
    }
    for split, ids in result.splits.items():
        (folder / f"{split}.bin").write_bytes(ids.astype("<i4").tobytes())
    result.vocabulary.save(folder / "vocabulary.parquet")
    write_json(folder / "info.json", info)


def _load(name: str, folder: Path) -> Corpus:
    arrays = {split: np.memmap(folder / f"{split}.bin", "<i4", "c") for split in SPLITS}
    info = read_json(folder / "info.json", REMAKE)
    vocabulary = Vocabulary.load(folder / "vocabulary.parquet")
    for split, ids in arrays.items():
        check_ids(ids, len(vocabulary), f"{split}.bin")
        if len(ids) != info["tokens"][split]:
            raise ValueError(f"{split}.bin has {len(ids)} words, not {info['tokens'][split]}")
    return Corpus(name, folder.name, folder, vocabulary, **arrays, info=info)
