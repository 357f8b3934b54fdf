"""Fixed contextual vectors: the last hidden layer of a Hugging Face model, computed once.

Every token of the corpus gets the vector of its first piece (or the mean of its pieces) where it
stands in its document. The table is kept as a memory-mapped file; row 0 is the padding, zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.cache import cached
from sparsecore.data.encoders import HUB, commit_of, encode_windows, load_encoder
from sparsecore.data.locate import say_dropped
from sparsecore.data.reviews import ReviewCorpus
from sparsecore.errors import InputError, check_installed
from sparsecore.files import local_path, read_json, sha256_file, write_json
from sparsecore.home import REMAKE

VERSION = 2  # raise when the same encoder would give other vectors
POOLINGS = ("first", "mean")
SPLITS = ("train", "dev", "test")
BATCH = 16  # windows at once


@dataclass(frozen=True)
class Contextual:
    """A table with a row for every token of a corpus, split by split; ``first`` row of each."""

    sha256: str
    table: NDArray[Any] = field(repr=False)
    first: dict[str, int]
    info: dict[str, Any] = field(repr=False)


def is_encoder(vectors: str) -> bool:
    """Whether ``vectors`` names an encoder: ``hub:NAME``, or a folder with a ``config.json``."""
    if vectors.startswith(HUB):
        return True
    return (local_path(vectors, "vectors") / "config.json").is_file()


def contextual_vectors(
    encoder: str,
    corpus: ReviewCorpus,
    *,
    pooling: str = "first",
    dtype: str = "float16",
    device: str = "cpu",
    progress: bool = True,
) -> Contextual:
    """Vectors of every token of ``corpus``, from the cache or computed now.

    ``encoder`` is a local folder (``save_pretrained``) or ``hub:NAME``. A document longer than the
    encoder can read is cut into windows of whole words. ``dtype`` is that of the file, ``float16``
    or ``float32``. Needs the ``transformers`` extra. Raises
    :class:`~sparsecore.errors.InputError` where that is missing or the encoder cannot be read.
    """
    if pooling not in POOLINGS:
        raise InputError(f"pooling must be one of {POOLINGS}, not {pooling!r}")
    if dtype not in ("float16", "float32"):
        raise InputError(f"dtype must be 'float16' or 'float32', not {dtype!r}")
    check_installed("transformers", "transformers")
    version = metadata.version("transformers")  # another one may tokenise otherwise
    settings = [_content(encoder), corpus.sha256, pooling, dtype, VERSION, version]
    tokens = {split: int(getattr(corpus, split).ends[-1]) for split in SPLITS}

    def make(folder: Path) -> None:
        with _one_line(encoder):
            _compute(folder, encoder, corpus, tokens, pooling, dtype, device, progress)

    def load(folder: Path) -> Contextual:
        info = read_json(folder / "info.json", REMAKE)
        shape = (1 + sum(tokens.values()), info["width"])
        size = (folder / "table.bin").stat().st_size
        if info["tokens"] != tokens or size != np.dtype(dtype).itemsize * shape[0] * shape[1]:
            raise ValueError("table.bin has not a vector for each token")
        table = np.memmap(folder / "table.bin", dtype, "c", shape=shape)
        starts = np.cumsum([1, *tokens.values()]).tolist()
        first: dict[str, int] = dict(zip(SPLITS, starts, strict=False))
        return Contextual(folder.name, table, first, info)

    return cached("contextual", settings, make, load)


def encode_words(
    encoder: str, words: Sequence[str], *, pooling: str = "first"
) -> NDArray[np.float32]:
    """(T, E) vectors of the words of one text, at most as long as the encoder can read."""
    with _one_line(encoder):
        tokenizer, model = load_encoder(encoder, "cpu")
        vectors, _ = next(encode_windows([list(words)], tokenizer, model, pooling))
        return vectors.astype(np.float32)


@contextlib.contextmanager
def _one_line(encoder: str) -> Iterator[None]:
    """An encoder that can be read may still fail on a text: one line then."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # tokenizers and models raise what they like
        raise InputError(f"the encoder {encoder} fails on this text: {error}") from error


def _compute(
    folder: Path,
    encoder: str,
    corpus: ReviewCorpus,
    tokens: dict[str, int],
    pooling: str,
    dtype: str,
    device: str,
    progress: bool,
) -> None:
    from tqdm.auto import tqdm

    tokenizer, model = load_encoder(encoder, device)
    windows = _windows(corpus, tokenizer)
    rows, at, without = 1 + sum(tokens.values()), 1, 0
    table: Any = None
    label = f"encoding {corpus.name}"
    with tqdm(total=rows - 1, unit="word", desc=label, disable=not progress) as bar:
        while batch := list(islice(windows, BATCH)):
            for vectors, known in encode_windows(batch, tokenizer, model, pooling):
                if table is None:
                    shape = (rows, vectors.shape[1])
                    table = np.memmap(folder / "table.bin", dtype, "w+", shape=shape)
                with np.errstate(over="ignore"):
                    part = vectors.astype(dtype)
                if not np.isfinite(part).all():
                    raise InputError(
                        f"the encoder {encoder} gives numbers that {dtype} cannot hold"
                        + ("; use float32" if dtype == "float16" else "")
                    )
                table[at : at + len(part)] = part
                without += int((~known).sum())
                at += len(part)
                bar.update(len(part))
    table.flush()
    name = encoder if encoder.startswith(HUB) else Path(encoder).resolve().name
    info = {"vectors": name, "width": table.shape[1], "pooling": pooling, "dtype": dtype}
    dropped = {"words of which the tokenizer knows no piece (their vectors are zero)": without}
    write_json(folder / "info.json", {**info, "tokens": tokens, "dropped": dropped})
    say_dropped(name, dropped)


def _windows(corpus: ReviewCorpus, tokenizer: Any) -> Iterator[list[str]]:
    """Windows of whole words, at most as long as can be read, in the order of the documents."""
    room = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add()
    sizes: dict[str, int] = {}
    for split in SPLITS:
        for number in range(len(getattr(corpus, split))):
            window: list[str] = []
            used = 0
            for word in corpus.tokens(split, number):
                if word not in sizes:
                    sizes[word] = _most_pieces(word, tokenizer)
                if window and used + sizes[word] > room:
                    yield window
                    window, used = [], 0
                window.append(word)
                used += sizes[word]
            yield window


def _most_pieces(word: str, tokenizer: Any) -> int:
    """Pieces of a word, at the begin of a text or inside it: tokenizers may tell them apart."""
    texts = [word, f"a {word}", "a"]
    coded = tokenizer(texts, add_special_tokens=False, verbose=False).input_ids
    alone, after, before = map(len, coded)
    return max(1, alone, after - before)


def _content(encoder: str) -> list[Any]:
    """What the encoder is: its name and commit on the hub, or the hashes of a folder's files."""
    if encoder.startswith(HUB):
        return [encoder, commit_of(encoder.removeprefix(HUB))]
    folder = Path(encoder).expanduser()
    return [[path.name, sha256_file(path)] for path in sorted(folder.iterdir()) if path.is_file()]
