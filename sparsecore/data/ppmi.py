"""Word vectors from the embedded text: positive pointwise mutual information, then an SVD.

    PPMI(w, c) = max(0, log p(w, c) / (p(w) p(c)^0.75))        PPMI ≈ U S Vᵀ, vectors = U √S

with pairs of words at most five apart, a pair d apart counted 1/d. Source: Levy, Goldberg and
Dagan 2015, *Improving Distributional Similarity with Lessons Learned from Word Embeddings*.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sparsecore.data.cache import cached
from sparsecore.data.language import load_tokens
from sparsecore.data.locate import EMBEDDED, find_source
from sparsecore.errors import InputError, check_installed
from sparsecore.files import write_json

VERSION = 1
WINDOW = 5
MIN_COUNT = 5
MAX_TOKENS = 2_500_000
SMOOTHING = 0.75  # of the frequency of contexts
SEED = 0


def ppmi_vectors(size: int, progress: bool = True) -> tuple[NDArray[np.float32], list[str], str]:
    """Vectors (V, size), their words, and the hash of the text; made once and then cached.

    Raises :class:`InputError` if the text has no more frequent words than ``size``.
    """
    source = find_source(EMBEDDED, progress)
    content = source.content()

    def make(folder: Path) -> None:
        tokens, words, _ = load_tokens(source, content, progress)
        ids = np.asarray(tokens["all"].ids[:MAX_TOKENS], dtype=np.int64)
        table, kept = vectors_of(ids, words, size)
        np.save(folder / "table.npy", table)
        write_json(folder / "words.json", kept)

    def load(folder: Path) -> tuple[NDArray[np.float32], list[str], str]:
        kept = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        table = np.load(folder / "table.npy", allow_pickle=False)
        if table.shape != (len(kept), size) or not np.isfinite(table).all():
            raise ValueError(f"table.npy does not hold {len(kept)} vectors, {size} wide")
        return table, kept, content["all"]

    return cached("ppmi", [content["all"], size, VERSION], make, load)


def vectors_of(
    ids: NDArray[np.int64], words: list[str], size: int
) -> tuple[NDArray[np.float32], list[str]]:
    """PPMI-SVD vectors of the words seen at least five times in a text of word ids."""
    counts = np.bincount(ids, minlength=len(words))
    frequent = np.flatnonzero(counts >= MIN_COUNT)
    if len(frequent) <= size:
        raise InputError(
            f"vector_size must be less than the {len(frequent)} frequent words of the embedded "
            f"text, got {size}"
        )
    number = np.full(len(words), -1)
    number[frequent] = np.arange(len(frequent))
    matrix = ppmi(pair_counts(number[ids], len(frequent)))
    return _svd(matrix, size), [words[i] for i in frequent]


def pair_counts(ids: NDArray[np.int64], size: int) -> Any:
    """How often two words stand together, pairs d ≤ 5 apart counted 1/d: sparse (size, size).

    Ids below 0 (rare words) take a place and count for nothing.
    """
    check_installed("experiments", "scipy")
    from scipy import sparse

    total: Any = sparse.csr_matrix((size, size), dtype=np.float64)
    for distance in range(1, WINDOW + 1):
        left, right = ids[:-distance], ids[distance:]
        both = (left >= 0) & (right >= 0)
        weight = np.full(int(both.sum()), 1 / distance)
        pairs = sparse.coo_matrix((weight, (left[both], right[both])), shape=(size, size))
        total = total + pairs.tocsr()
    return (total + total.T).tocsr()


def ppmi(pairs: Any) -> Any:
    """Positive pointwise mutual information of a sparse table of pair counts."""
    row = np.asarray(pairs.sum(1)).ravel()
    smooth = row**SMOOTHING
    with np.errstate(divide="ignore"):
        log_word, log_context = np.log(row / row.sum()), np.log(smooth / smooth.sum())
    matrix = pairs.tocoo()
    values = np.log(matrix.data / row.sum()) - log_word[matrix.row] - log_context[matrix.col]
    matrix.data = np.maximum(values, 0)
    matrix = matrix.tocsr()
    matrix.eliminate_zeros()
    return matrix


def _svd(matrix: Any, size: int) -> NDArray[np.float32]:
    """U √S of the largest ``size`` singular values, with signs that are always the same."""
    from scipy.sparse.linalg import svds

    start = np.random.default_rng(SEED).uniform(-1, 1, matrix.shape[0])
    found: Any = svds(matrix, k=size, v0=start, tol=cast(Any, 1e-3))
    left, values = found[:2]
    order = np.argsort(-values)
    left, values = left[:, order], values[order]
    largest = left[np.abs(left).argmax(0), np.arange(size)]
    return (left * np.sign(largest) * np.sqrt(values)).astype(np.float32)
