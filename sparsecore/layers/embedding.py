"""Word embeddings whose length follows the word's frequency (Demeester et al. 2018, §4).

The V x k matrix is a staircase: its columns are cut into M bins, and bin m belongs to the r_m most
frequent words alone. Only what stands below the stairs is stored, updated and saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsecore.errors import InputError, near_match
from sparsecore.layers.dropout import check_probability, word_mask
from sparsecore.layers.geometry import bin_rows, bin_widths
from sparsecore.ops.staircase import (
    column_layout,
    naive_dense,
    staircase_logits,
    staircase_lookup,
)

INITIAL_RANGE = 0.1  # weights start as U(±0.1)


def _most_frequent_first(counts: Tensor) -> Tensor:
    by_count = torch.argsort(counts, descending=True, stable=True)
    return torch.empty_like(by_count).scatter_(0, by_count, torch.arange(len(counts)))


ORDERS: dict[str, Callable[[Tensor], Tensor]] = {
    "up": lambda counts: len(counts) - 1 - _most_frequent_first(counts),
    "down": _most_frequent_first,
    "none": lambda counts: torch.arange(len(counts)),
}


def frequency_order(counts: Sequence[int] | NDArray[Any] | Tensor, order: str = "up") -> Tensor:
    """The row of each word in a :class:`SparseEmbedding`; the last rows have the most dimensions.

    Args:
        counts: (V,) how often each word id occurs in the training text.
        order: ``"up"``, the paper's choice: least to most frequent, so frequent words have long
            embeddings; ``"down"``, its reverse: frequent words have short ones; ``"none"``: row =
            word id, whatever the counts. Of words equally frequent, the one with the smaller id
            counts as the more frequent.

    Returns:
        (V,) int64 permutation: row of word id i at place i.

    Raises:
        InputError: an unknown order, or counts that are not one number a word.

    Source: Demeester et al. 2018, §4.2 and Table 3.

    >>> frequency_order([5, 90, 1]).tolist()
    [1, 2, 0]
    """
    if order not in ORDERS:
        raise InputError(f"order: {order!r} is unknown{near_match(order, ORDERS)}")
    counts = torch.as_tensor(counts)
    if counts.dim() != 1:
        raise InputError(f"counts must have shape (V,), got {tuple(counts.shape)}")
    return ORDERS[order](counts.cpu())


class SparseEmbedding(nn.Module):
    """A lookup table that stores long vectors for frequent words and short ones for rare words.

    Bin m of the k dimensions belongs to the last r_m of the V rows, r = ``bin_rows(V, k, δ, M)``,
    r_0 = V; a word has zeros in the bins that it lacks. Parameters, gradients and the optimiser's
    state exist for the δ·k·V entries alone.

    Args:
        num_embeddings: V words.
        embedding_dim: k dimensions.
        density: δ, the part of the V·k entries that can be trained, in [1/M, 1].
        num_bins: M, 1 <= M <= k; by default k, a bin for every dimension. Fewer are faster, and the
            first one's width is the shortest embedding.
        order: (V,) row of each word id, from :func:`frequency_order`. By default the ids are the
            rows: id 0 the rarest word, id V - 1 the most frequent.
        word_dropout: in training, probability with which a word's vector is zero for a whole call,
            wherever the word occurs; the others are scaled by 1/(1 - p). The tied output uses all
            words.
        device, dtype: of the parameters.

    Shapes: ids (...) of integers in [0, V) -> (..., k).

    State: ``tables.{m}`` of shape (r_m, width_m), initially U(±0.1); with ``order`` also the
    buffer ``order``.

    Raises:
        InputError: δ, M, the order or the dropout outside its legal range.

    Source: Demeester et al. 2018, §4.1.

    >>> embedding = SparseEmbedding(1000, 4, density=0.5)
    >>> [tuple(table.shape) for table in embedding.tables]
    [(1000, 1), (543, 1), (295, 1), (162, 1)]
    >>> embedding(torch.tensor([0, 999])).ne(0).sum(-1)
    tensor([1, 4])
    """

    order: Tensor | None
    layout: Tensor

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        density: float,
        num_bins: int | None = None,
        *,
        order: Tensor | None = None,
        word_dropout: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        rows = bin_rows(num_embeddings, embedding_dim, density, num_bins)
        check_probability("word_dropout", word_dropout)
        if order is not None:
            _check_order(order, num_embeddings)
            order = order.to(device=device, dtype=torch.int64, copy=True)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.num_bins = len(rows)
        self.word_dropout = word_dropout
        self.tables = nn.ParameterList(
            torch.empty(r, width, device=device, dtype=dtype)
            for r, width in zip(rows, bin_widths(embedding_dim, len(rows)), strict=True)
        )
        layout = torch.empty(3, embedding_dim - self.tables[0].shape[1], dtype=torch.int64)
        self.register_buffer("order", order)
        self.register_buffer("layout", layout.to(device), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every table from U(±0.1)."""
        self.layout.copy_(column_layout([table.shape for table in self.tables]))
        for table in self.tables:
            nn.init.uniform_(table, -INITIAL_RANGE, INITIAL_RANGE)

    @property
    def density(self) -> float:
        """Stored entries over V·k, which is δ up to half a bin's width over V."""
        entries = sum(table.numel() for table in self.tables)
        return entries / (self.num_embeddings * self.embedding_dim)

    def forward(self, ids: Tensor) -> Tensor:
        """(...) word ids -> (..., k) vectors."""
        rows = ids
        if self.order is not None:
            rows = self.order.index_select(0, ids.flatten()).view(ids.shape)
        vectors = staircase_lookup(rows, self._parts(), self.layout)
        if self.training and self.word_dropout:
            mask = word_mask(self.num_embeddings, self.word_dropout, vectors)
            vectors = vectors * mask[ids].unsqueeze(-1)
        return vectors

    def _parts(self) -> list[Tensor]:
        """The tables, from where their list keeps them: asking it for each takes longer."""
        kept = self.tables._parameters  # without those that were parametrized or pruned
        whole = len(kept) == self.num_bins
        return [table for table in (kept.values() if whole else self.tables) if table is not None]

    def tied_logits(self, hidden: Tensor, bias: Tensor | None = None) -> Tensor:
        """Scores of all words under the same vectors: hidden (..., k) -> (..., V).

        hidden · Eᵀ + bias, bin by bin, without the V x k matrix E.

        Args:
            hidden: (..., k).
            bias: (V,), by word id.
        """
        if hidden.shape[-1] != self.embedding_dim:
            raise InputError(
                f"hidden must have shape (..., {self.embedding_dim}), got {tuple(hidden.shape)}"
            )
        if self.order is None:
            return staircase_logits(hidden, self._parts(), bias)
        logits = staircase_logits(hidden, self._parts(), None)[..., self.order]
        return logits if bias is None else logits + bias

    def dense(self) -> Tensor:
        """The (V, k) matrix with its zeros, by word id; gradients flow to the tables."""
        matrix = naive_dense(self._parts())
        return matrix if self.order is None else matrix[self.order]

    @classmethod
    def from_dense(
        cls, weight: Tensor, density: float, num_bins: int | None = None, **options: Any
    ) -> SparseEmbedding:
        """An embedding with the entries of a (V, k) matrix, by word id, that it has room for.

        The entries above the stairs are left out. ``options``: ``order``, ``word_dropout``.
        """
        if weight.dim() != 2:
            raise InputError(f"weight must have shape (V, k), got {tuple(weight.shape)}")
        options = {"device": weight.device, "dtype": weight.dtype, **options}
        num_embeddings, embedding_dim = weight.shape
        embedding = cls(num_embeddings, embedding_dim, density, num_bins, **options)
        if embedding.order is not None:
            weight = weight[torch.argsort(embedding.order)]
        widths = [table.shape[1] for table in embedding.tables]
        with torch.no_grad():
            for table, columns in zip(embedding.tables, weight.split(widths, 1), strict=True):
                table.copy_(columns[num_embeddings - len(table) :])
        return embedding

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return (
            f"{self.num_embeddings}, {self.embedding_dim}, density={self.density:.4g}, "
            f"num_bins={self.num_bins}"
        )


def _check_order(order: Tensor, num_embeddings: int) -> None:
    expected = torch.arange(num_embeddings)
    if order.shape != (num_embeddings,) or not torch.equal(order.cpu().long().sort()[0], expected):
        raise InputError(
            f"order must hold each row in [0, {num_embeddings}) once, got shape "
            f"{tuple(order.shape)}; sc.frequency_order makes it from counts"
        )
