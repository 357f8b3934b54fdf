"""What says which word a position counts for: ids, masks, vocabularies and corpus counts.

Users bring tensors of any integer type, lists, arrays and Series; vocabularies as lists, arrays,
an Index, a tokenizer or its ``get_vocab()``. Here they become (…) int64 ids and lists by id.
"""

from __future__ import annotations

from collections.abc import KeysView, Mapping, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from sparsecore.errors import InputError

Ids = dict[str, Tensor]  # role -> ids


def to_ids(role: str, value: Any) -> Tensor:
    """A copy of the ids of a role as int64, so that later changes of ``value`` do not matter.

    Raises:
        InputError: not integers, or lists that do not form an array.
    """
    if isinstance(value, PackedSequence):
        value = value.data
    if not isinstance(value, Tensor):
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:
            raise InputError(f"{role}_ids must form an array of integers: {error}") from error
        if array.size and array.dtype.kind not in "iu":
            raise InputError(f"{role}_ids must be integers, got {array.dtype}")
        value = torch.from_numpy(array.astype(np.int64))
    if value.is_nested:
        value = flat_nested(value)
    if value.dtype.is_floating_point or value.dtype.is_complex or value.dtype is torch.bool:
        raise InputError(f"{role}_ids must be integers, got {value.dtype}")
    return value.detach().to(torch.int64, copy=True)


def pass_ids(
    input_ids: Any, target_ids: Any, attention_mask: Any = None, ignore_index: int | None = None
) -> Ids:
    """The ids of one forward pass; -1 where a position counts for no word."""
    given = {"input": input_ids, "target": target_ids}
    ids = {role: to_ids(role, value) for role, value in given.items() if value is not None}
    if not ids:
        raise InputError("words() needs input_ids, target_ids or both, got neither")
    shapes = {role: tuple(value.shape) for role, value in ids.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(
            f"input_ids and target_ids must have one shape, got {shapes['input']} "
            f"and {shapes['target']}"
        )
    if ignore_index is not None:
        ids = {role: x.masked_fill_(x == ignore_index, -1) for role, x in ids.items()}
    if attention_mask is not None:
        mask = torch.as_tensor(attention_mask)
        if (shape := tuple(mask.shape)) not in shapes.values():
            raise InputError(
                f"attention_mask must be shaped as the ids, {next(iter(shapes.values()))}, "
                f"1 where a token is and 0 where padding is; got {shape}"
            )
        ids = {role: x.masked_fill_(mask.to(x.device) == 0, -1) for role, x in ids.items()}
    return ids


def flatten(ids: Ids) -> Ids:
    """Ids as vectors (N,)."""
    return {role: value.flatten() for role, value in ids.items()}


def check_known(ids: Ids, num_words: int) -> None:
    """Raise :class:`InputError` for an id that is not below ``num_words``."""
    for role, value in ids.items():
        if value.numel() and (largest := int(value.max())) >= num_words:
            raise InputError(f"{role}_ids hold {largest}, but the vocabulary has {num_words} words")


def flat_nested(x: Tensor) -> Tensor:
    """A nested tensor's values one after the other: (N, …)."""
    return x.values() if x.layout is torch.jagged else torch.cat(list(x.unbind()))


def words_by_id(vocabulary: Any) -> np.ndarray | None:
    """The words of a vocabulary as an array of objects, by id.

    Args:
        vocabulary: a sequence of words by id (list, array, Index), a mapping or Series word -> id
            or id -> word, or anything with ``get_vocab()`` (a tokenizer) or ``words``. An id
            without a word is ``"[id]"``.

    Raises:
        InputError: something else, such as a set, which has no order; or one id of two words.
    """
    import pandas as pd

    if vocabulary is None:
        return None
    pairs = vocabulary.get_vocab() if hasattr(vocabulary, "get_vocab") else None
    vocabulary = getattr(vocabulary, "words", vocabulary) if pairs is None else pairs
    unordered = isinstance(vocabulary, str | bytes | Set) and not isinstance(vocabulary, KeysView)
    if unordered or not hasattr(vocabulary, "__iter__"):
        kind = type(vocabulary).__name__
        raise InputError(f"vocabulary must be the words by id, got the {kind} {vocabulary!r:.60}")
    if isinstance(vocabulary, pd.Series):
        _check_once(vocabulary, "vocabulary")
        vocabulary = vocabulary.to_dict()
    if not isinstance(vocabulary, Mapping):
        words = list(vocabulary)
        result = np.empty(len(words), dtype=object)
        result[:] = words
        return result
    if all(isinstance(key, int | np.integer) for key in vocabulary):  # id -> word
        if not all(isinstance(word, int | np.integer) for word in vocabulary.values()):
            return _words_at(list(vocabulary.values()), list(vocabulary))
    ids = list(vocabulary.values())
    if not all(isinstance(i, int | np.integer) for i in ids):
        raise InputError(f"vocabulary must map words to ids, got {vocabulary!r:.60}")
    if pairs is None and len(set(ids)) < len(ids):
        raise InputError(
            "vocabulary gives two words one id: it must map words to ids (counts=… takes counts)"
        )
    return _words_at(list(vocabulary), ids)


def _words_at(words: list[Any], at: list[int]) -> np.ndarray:
    ids = np.array(at, dtype=np.int64)
    if ids.size and ids.min() < 0:
        raise InputError(f"vocabulary gives a word the id {ids.min()}: ids start at 0")
    result = np.array([f"[{i}]" for i in range(int(ids.max()) + 1 if ids.size else 0)], object)
    result[ids] = words
    return result


def counts_by_id(counts: Any, words: np.ndarray | None) -> np.ndarray | None:
    """Corpus frequencies as an array by id.

    Args:
        counts: by id (list, array, tensor), or a mapping or Series from words to counts, in which
            words that are missing have 0; a Series or mapping of integers is taken as by id.
        words: the vocabulary, by id.
    """
    import pandas as pd

    if counts is None:
        return None
    if isinstance(counts, Mapping):
        counts = pd.Series(dict(counts))
    if isinstance(counts, pd.Series):
        _check_once(counts, "counts", ": add them up first (counts.groupby(level=0).sum())")
        keys: Any = words if counts.index.inferred_type in ("string", "mixed") else None
        if keys is None and len(counts) and counts.index.inferred_type != "integer":
            raise InputError(f"counts need words or ids as their index, got {counts.index!r:.80}")
        if keys is None:
            largest = int(counts.index.max()) + 1 if len(counts) else 0
            keys = np.arange(largest if words is None else len(words))
        counts = counts.reindex(keys).fillna(0).to_numpy()
    if isinstance(counts, Tensor):
        counts = counts.detach().cpu()
        counts = counts.double() if counts.is_floating_point() else counts  # NumPy has no bfloat16
    result = np.asarray(counts)
    if result.ndim != 1 or result.dtype.kind not in "iuf":
        raise InputError(
            f"counts must be numbers by id, or a mapping or Series by word, got {counts!r:.60}"
        )
    if words is not None and len(words) != len(result):
        raise InputError(f"{len(result)} counts do not fit {len(words)} words")
    return result


def _check_once(series: Any, name: str, remedy: str = "") -> None:
    if series.index.has_duplicates:
        twice = series.index[series.index.duplicated()][0]
        raise InputError(f"{name} has {twice!r:.60} more than once in its index{remedy}")
