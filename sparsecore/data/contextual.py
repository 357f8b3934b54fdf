"""Fixed contextual vectors: the last hidden layer of any Hugging Face encoder, computed once.

Every token of the corpus gets the vector of its first piece (or the mean of its pieces) where it
stands in its document. The table is kept as a memory-mapped file; row 0 is the padding, zero.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.reviews import ReviewCorpus
from sparsecore.errors import InputError, check_installed
from sparsecore.files import atomic_folder, local_path, read_json, reading, sha256_file, write_json
from sparsecore.home import REMAKE, cache_dir

if TYPE_CHECKING:
    import torch

HUB = "hub:"
VERSION = 1  # raise when the same encoder would give other vectors
POOLINGS = ("first", "mean")
SPLITS = ("train", "dev", "test")
BATCH = 16  # windows at once
MOST_LAYERS = 1000
_RESERVED = 2  # positions: RoBERTa's begin at 2
_OVERLONG = 512  # pieces of a window where the encoder does not say how many it can read


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
    settings = [_content(encoder), corpus.sha256, pooling, dtype, VERSION]
    sha256 = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    folder = cache_dir("contextual") / sha256
    if not (folder / "info.json").is_file():
        with _told(encoder):
            _compute(folder, encoder, corpus, pooling, dtype, device, progress)
    info = read_json(folder / "info.json", REMAKE)
    with reading(folder, REMAKE):
        tokens = {split: int(getattr(corpus, split).ends[-1]) for split in SPLITS}
        shape = (1 + sum(tokens.values()), info["width"])
        size = (folder / "table.bin").stat().st_size
        if info["tokens"] != tokens or size != np.dtype(dtype).itemsize * shape[0] * shape[1]:
            raise ValueError("table.bin has not a vector for each token")
        table = np.memmap(folder / "table.bin", dtype, "c", shape=shape)
        starts = np.cumsum([1, *tokens.values()]).tolist()
    return Contextual(sha256, table, dict(zip(SPLITS, starts, strict=False)), info)


def encode_words(
    encoder: str, words: Sequence[str], *, pooling: str = "first", device: str = "cpu"
) -> NDArray[np.float32]:
    """(T, E) vectors of the words of one text, at most as long as the encoder can read."""
    with _told(encoder):
        tokenizer, model = _load(encoder, device)
        return next(_encode([list(words)], tokenizer, model, pooling)).astype(np.float32)


@contextlib.contextmanager
def _told(encoder: str) -> Iterator[None]:
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
    pooling: str,
    dtype: str,
    device: str,
    progress: bool,
) -> None:
    from tqdm.auto import tqdm

    tokenizer, model = _load(encoder, device)
    width = int(model.config.hidden_size)
    room = _longest(model) - tokenizer.num_special_tokens_to_add() - _RESERVED
    tokens = {split: int(getattr(corpus, split).ends[-1]) for split in SPLITS}
    with atomic_folder(folder) as temporary:
        shape = (1 + sum(tokens.values()), width)
        table = np.memmap(temporary / "table.bin", dtype, "w+", shape=shape)
        at = 1
        label = f"encoding {corpus.name}"
        with tqdm(total=shape[0] - 1, unit="word", desc=label, disable=not progress) as bar:
            for windows in _batches(corpus, tokenizer, room):
                for vectors in _encode(windows, tokenizer, model, pooling):
                    table[at : at + len(vectors)] = vectors
                    at += len(vectors)
                    bar.update(len(vectors))
        table.flush()
        name = encoder if encoder.startswith(HUB) else Path(encoder).resolve().name
        write_json(
            temporary / "info.json",
            {"vectors": name, "width": width, "pooling": pooling, "dtype": dtype, "tokens": tokens},
        )


def _batches(corpus: ReviewCorpus, tokenizer: Any, room: int) -> Iterator[list[list[str]]]:
    """Windows of whole words, at most ``room`` pieces long, in the order of the documents."""
    sizes: dict[str, int] = {}
    windows: list[list[str]] = []
    for split in SPLITS:
        for number in range(len(getattr(corpus, split))):
            window: list[str] = []
            used = 0
            for word in corpus.tokens(split, number):
                if word not in sizes:
                    pieces = tokenizer.tokenize(word, verbose=False)  # no advice on its length
                    sizes[word] = max(1, len(pieces))
                if window and used + sizes[word] > room:
                    windows.append(window)
                    window, used = [], 0
                window.append(word)
                used += sizes[word]
            windows.append(window)
            while len(windows) >= BATCH:
                yield windows[:BATCH]
                windows = windows[BATCH:]
    if windows:
        yield windows


def _encode(
    windows: Sequence[list[str]], tokenizer: Any, model: Any, pooling: str
) -> Iterator[NDArray[Any]]:
    """(words, E) vectors of each window; a word that the tokenizer knows no piece of gets zeros."""
    import torch

    coded = tokenizer(
        list(windows),
        is_split_into_words=True,
        padding=True,
        truncation=True,
        return_tensors="pt",
        verbose=False,
    )
    with torch.inference_mode():
        hidden = model(**coded.to(model.device)).last_hidden_state.float().cpu()
    for index, window in enumerate(windows):
        yield _pool(hidden[index], coded.word_ids(index), len(window), pooling).numpy()


def _pool(
    hidden: torch.Tensor, word_of: Sequence[int | None], count: int, pooling: str
) -> torch.Tensor:
    """First piece, or mean of the pieces, of each of ``count`` words."""
    result = hidden.new_zeros(count, hidden.shape[1])
    pieces = hidden.new_zeros(count, 1)
    for position, word in enumerate(word_of):
        if word is not None and (pooling == "mean" or not pieces[word]):
            result[word] += hidden[position]
            pieces[word] += 1
    return result / pieces.clamp_min(1)


def _load(encoder: str, device: str) -> tuple[Any, Any]:
    check_installed("transformers", "transformers")
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    name = encoder.removeprefix(HUB)
    safe = {"trust_remote_code": False}  # nothing of the folder is run
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(name, **safe)
            layers = getattr(config, "num_hidden_layers", 0)
            if not isinstance(layers, int) or not 0 <= layers <= MOST_LAYERS:
                raise ValueError(f"config.json says {layers!r} layers")
            tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True, **safe)
            # safetensors alone: other weights are pickles
            model, about = AutoModel.from_pretrained(
                name, config=config, use_safetensors=True, output_loading_info=True, **safe
            )
    except Exception as error:  # its parsers raise what they like
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"the encoder {encoder} cannot be read: {reason}") from error
    lacks = sorted(key for key in about["missing_keys"] if not key.startswith("pooler."))
    if lacks:  # the pooler is not used, and many encoders are saved without
        raise InputError(f"the encoder {encoder} lacks weights: {', '.join(lacks[:3])}")
    if not tokenizer.is_fast:
        raise InputError(f"the encoder {encoder} has no fast tokenizer, which tells words apart")
    tokenizer.model_max_length = min(tokenizer.model_max_length, _longest(model) - _RESERVED)
    return tokenizer, model.eval().to(device)


def _longest(model: Any) -> int:
    """Pieces that the encoder can read, or that are worth reading at once."""
    return min(int(getattr(model.config, "max_position_embeddings", _OVERLONG)), _OVERLONG)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Neither bars nor advice while an encoder is loaded; what matters is said by an error."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with _no_output():
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _no_output() -> Iterator[None]:
    """Nothing reaches the standard output, not even from compiled code: tokenizers prints there."""
    try:
        output = os.dup(1)
    except OSError:  # there is none
        yield
        return
    if sys.stdout is not None:
        sys.stdout.flush()
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(output, 1)
        os.close(output)


def _content(encoder: str) -> list[Any]:
    """What the encoder is: its name on the hub, or the hashes of a folder's files."""
    if encoder.startswith(HUB):
        return [encoder]
    folder = Path(encoder).expanduser()
    return [[path.name, sha256_file(path)] for path in sorted(folder.iterdir()) if path.is_file()]
