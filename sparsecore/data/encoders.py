"""Hugging Face models as encoders of words: loaded without running their code, aligned by offsets.

The words of a text are joined by blanks and tokenised as the text that they are, so that every
tokenizer sees what it was trained on: WordPiece, byte-level BPE (whose words begin with a blank)
and SentencePiece alike. A piece belongs to the words whose characters it covers. Of an
encoder-decoder model (BART, T5) the encoder is taken.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparsecore.errors import InputError, check_installed, is_out_of_memory

if TYPE_CHECKING:
    import torch

HUB = "hub:"
MOST_LAYERS = 1000
_RESERVED = 2  # positions: RoBERTa's begin at 2
_OVERLONG = 512  # pieces of a window where the encoder does not say how many it can read
_SAFE = {"trust_remote_code": False}  # nothing of the folder is run


def load_encoder(encoder: str, device: str) -> tuple[Any, Any]:
    """Tokenizer and model (in eval mode, float32) of a folder or of ``hub:NAME``.

    The tokenizer's ``model_max_length`` is what a window may have at most. Raises
    :class:`InputError` where transformers is missing, the folder cannot be read or lacks weights,
    or there is no fast tokenizer.
    """
    name = encoder.removeprefix(HUB)
    kit = import_transformers()
    with loading(f"the encoder {encoder} cannot be read"):
        config = kit.AutoConfig.from_pretrained(name, **_SAFE)
        layers = getattr(config, "num_hidden_layers", 0)
        if not isinstance(layers, int) or not 0 <= layers <= MOST_LAYERS:
            raise ValueError(f"config.json says {layers!r} layers")
        tokenizer = kit.AutoTokenizer.from_pretrained(name, use_fast=True, **_SAFE)
        # safetensors alone: other weights are pickles
        model, about = kit.AutoModel.from_pretrained(
            name, config=config, use_safetensors=True, output_loading_info=True, **_SAFE
        )
    unused = ["pooler."]  # many encoders are saved without
    if config.is_encoder_decoder:
        model = model.get_encoder()
        unused.append("decoder.")
    lacks = sorted(key for key in about["missing_keys"] if not key.startswith(tuple(unused)))
    if lacks:
        raise InputError(f"the encoder {encoder} lacks weights: {', '.join(lacks[:3])}")
    if not tokenizer.is_fast:
        raise InputError(f"the encoder {encoder} has no fast tokenizer, which tells words apart")
    tokenizer.padding_side = tokenizer.truncation_side = "right"  # positions are counted from 0
    if tokenizer.pad_token is None:  # masked, so that it does not matter which
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    longest = min(tokenizer.model_max_length, _longest(model))
    if longest <= tokenizer.num_special_tokens_to_add():
        raise InputError(f"the encoder {encoder} reads {longest} pieces at most: too few")
    tokenizer.model_max_length = longest
    return tokenizer, model.eval().float().to(device)


def commit_of(name: str, revision: str | None = None) -> str:
    """The commit that a name on the hub stands for now; empty where it cannot be told."""
    kit = import_transformers()
    given = {**_SAFE, **({} if revision is None else {"revision": revision})}
    with loading(f"{HUB}{name}{f'@{revision}' if revision else ''} cannot be read"):
        return str(getattr(kit.AutoConfig.from_pretrained(name, **given), "_commit_hash", ""))


@contextlib.contextmanager
def loading(failed: str) -> Iterator[None]:
    """Quietly; what transformers raises inside becomes one line that begins with ``failed``."""
    try:
        with quiet():
            yield
    except Exception as error:  # its parsers raise what they like
        if is_out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{failed}: {reason}") from error


def encode_windows(
    windows: Sequence[Sequence[str]], tokenizer: Any, model: Any, pooling: str
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """For each window (words, E) vectors, and which words have a piece; the others get zeros.

    ``pooling`` is ``first`` piece or ``mean`` of the pieces.
    """
    import torch

    coded = tokenizer(
        [" ".join(window) for window in windows],
        padding=True,
        truncation=True,
        return_offsets_mapping=True,
        return_attention_mask=True,
        return_tensors="pt",
        verbose=False,
    )
    takes = inspect.signature(model.forward).parameters
    given = {name: value.to(model.device) for name, value in coded.items() if name in takes}
    if "return_dict" in takes or "kwargs" in takes:
        given["return_dict"] = True
    with torch.inference_mode():
        hidden = _last_hidden(model(**given), coded["input_ids"]).float().cpu()
    for index, window in enumerate(windows):
        inside = [part is not None for part in coded.sequence_ids(index)]
        pieces = _words_of(coded["offset_mapping"][index].tolist(), inside, window)
        vectors, count = _pool(hidden[index], pieces, len(window), pooling)
        yield vectors.numpy(), count.numpy() > 0


def _last_hidden(output: Any, ids: torch.Tensor) -> torch.Tensor:
    """The last hidden layer (B, T, E) of whatever dataclass or tuple a model returns."""
    found = getattr(output, "last_hidden_state", None)
    if found is None:
        values = output.values() if hasattr(output, "values") else output
        found = next((v for v in values if getattr(v, "ndim", 0) == 3), None)
    if found is None or found.shape[:2] != ids.shape:
        raise InputError(f"it returns {type(output).__name__} without a vector for each piece")
    return found


def _words_of(
    offsets: Sequence[Sequence[int]], inside: Sequence[bool], window: Sequence[str]
) -> list[list[int]]:
    """The words that each piece covers: none for special pieces, blanks and padding."""
    starts = np.cumsum([0, *(len(word) + 1 for word in window)])
    text = " ".join(window)
    words: list[list[int]] = []
    for (begin, end), real in zip(offsets, inside, strict=True):
        while begin < end and text[begin] == " ":  # byte-level pieces begin with the blank
            begin += 1
        covered: list[int] = []
        if real and begin < end:
            first = int(np.searchsorted(starts, begin, "right")) - 1
            last = int(np.searchsorted(starts, end - 1, "right")) - 1
            covered = list(range(first, last + 1))
        words.append(covered)
    return words


def _pool(
    hidden: torch.Tensor, words_of: Sequence[Sequence[int]], count: int, pooling: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """First piece, or mean of the pieces, of each of ``count`` words; and how many were used."""
    result = hidden.new_zeros(count, hidden.shape[1])
    pieces = hidden.new_zeros(count)
    for position, words in enumerate(words_of):
        for word in words:
            if pooling == "mean" or not pieces[word]:
                result[word] += hidden[position]
                pieces[word] += 1
    return result / pieces.clamp_min(1)[:, None], pieces


def _longest(model: Any) -> int:
    """Pieces that the encoder can read, or that are worth reading at once."""
    config = model.config
    known = getattr(config, "max_position_embeddings", None)
    if not isinstance(known, int) or known < 1:  # relative positions: no limit
        return _OVERLONG
    first = getattr(config, "pad_token_id", None)  # RoBERTa's positions begin after it
    absolute = any(
        getattr(part, "padding_idx", None) is not None
        for name, part in model.named_modules()
        if name.endswith("position_embeddings")
    )
    reserved = first + 1 if absolute and isinstance(first, int) else _RESERVED
    return min(known, _OVERLONG) - reserved


def import_transformers() -> Any:
    """The library, which is an extra."""
    check_installed("transformers", "transformers")
    import transformers

    return transformers


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither bars nor advice while a model is loaded; what matters is said by an error."""
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
