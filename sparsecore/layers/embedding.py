"""Word embeddings whose length follows the word's frequency (Demeester et al. 2018, §4).

The V x k matrix is a staircase: its columns are cut into M bins, and bin m belongs to the r_m most
frequent words alone. Only what stands below the stairs is stored, updated and saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from sparsecore.errors import InputError, near_match
from sparsecore.layers.dropout import check_probability, word_mask
from sparsecore.layers.geometry import bin_rows, bin_widths
from sparsecore.ops.autocast import autocast_dtype
from sparsecore.ops.staircase import (
    column_layout,
    naive_dense,
    staircase_logits,
    staircase_lookup,
)

INITIAL_RANGE = 0.1  # weights start as U(±0.1)


def _most_frequent_first(counts: Tensor) -> Tensor:
    by_count = torch.argsort(counts, descending=True, stable=True)
    return torch.empty_like(by_count).scatter_(
        0, by_count, torch.arange(len(counts), device=counts.device)
    )


ORDERS: dict[str, Callable[[Tensor], Tensor]] = {
    "up": lambda counts: len(counts) - 1 - _most_frequent_first(counts),
    "down": _most_frequent_first,
    "none": lambda counts: torch.arange(len(counts), device=counts.device),
}


def frequency_order(counts: ArrayLike | Tensor, order: str = "up") -> Tensor:
    """The row of each word in a :class:`SparseEmbedding`; the last rows have the most dimensions.

    Args:
        counts: (V,) how often each word id occurs in the training text: a list, an array, a tensor,
            or a pandas Series, whose values are taken in their order, whatever its index says.
        order: ``"up"``, the paper's choice: least to most frequent, so frequent words have long
            embeddings; ``"down"``, its reverse: frequent words have short ones; ``"none"``: row =
            word id, whatever the counts. Of words equally frequent, the one with the smaller id
            counts as the more frequent.

    Returns:
        A permutation, (V,) int64, with the row of word id i at place i.

    Raises:
        InputError: an unknown order, or counts that are not one number a word.

    Source: Demeester et al. 2018, §4.2 and Table 3.

    >>> frequency_order([5, 90, 1]).tolist()
    [1, 2, 0]
    """
    if order not in ORDERS:
        raise InputError(f"order: {order!r} is unknown{near_match(order, ORDERS)}")
    return ORDERS[order](_numbers("counts", counts))


NARROW = (torch.uint8, torch.int8, torch.int16, torch.uint16, torch.uint32, torch.uint64)
INDICES = (*NARROW, torch.int32, torch.int64)


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

    Second derivatives (``create_graph=True``) are right, of lookup and tied output.

    On a GPU the gradients of a word that occurs several times are added in no fixed order, so their
    last bits differ from call to call, unless ``torch.use_deterministic_algorithms(True)`` is set.

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
        order: ArrayLike | Tensor | None = None,
        word_dropout: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        rows = bin_rows(num_embeddings, embedding_dim, density, num_bins)
        check_probability("word_dropout", word_dropout)
        if order is not None:
            order = _checked_order(order, num_embeddings)
            order = order.to(device=device, dtype=torch.int64, copy=True)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.num_bins = len(rows)
        self.word_dropout = word_dropout
        self.tables = nn.ParameterList(
            torch.empty(r, width, device=device, dtype=dtype)
            for r, width in zip(rows, bin_widths(embedding_dim, len(rows)), strict=True)
        )
        self.register_buffer("order", order)
        self.register_buffer("layout", None, persistent=False)
        self.register_load_state_dict_post_hook(_renew_layout)
        self.reset_parameters()

    def __prepare_scriptable__(self) -> SparseEmbedding:
        """What ``torch.jit.script`` calls first, of a layer inside a larger model too."""
        raise InputError(
            "SparseEmbedding is not scripted (torch.jit.script): put nn.Embedding.from_pretrained("
            "embedding.dense()), which looks up the same, in its place; torch.compile and "
            "torch.export take SparseEmbedding"
        )

    def reset_parameters(self) -> None:
        """Draw every table from U(±0.1)."""
        self._set_layout()
        for table in self.tables:
            nn.init.uniform_(table, -INITIAL_RANGE, INITIAL_RANGE)

    def _set_layout(self) -> None:
        """Compute the buffer that is never saved: it follows from the shapes of the tables."""
        tables = self._parts()
        self.layout = column_layout([table.shape for table in tables]).to(tables[0].device)

    def _apply(self, *arguments: Any, **options: Any) -> SparseEmbedding:
        super()._apply(*arguments, **options)  # of to_empty, say, which leaves buffers undefined
        self._set_layout()
        return self

    @property
    def density(self) -> float:
        """Stored entries over V·k, which is δ up to half a bin's width over V."""
        entries = sum(table.numel() for table in self.tables)
        return entries / (self.num_embeddings * self.embedding_dim)

    def forward(self, ids: Tensor) -> Tensor:
        """(...) word ids -> (..., k) vectors.

        Raises:
            InputError: ids that are not a tensor of whole numbers.
        """
        if not isinstance(ids, Tensor) or ids.dtype not in INDICES:
            got = ids.dtype if isinstance(ids, Tensor) else type(ids).__name__
            raise InputError(f"ids must be a tensor of whole numbers, such as int64, got {got}")
        if ids.dtype in NARROW:  # no indices to PyTorch, or a mask
            ids = ids.long()
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

        Raises:
            InputError: shapes that do not fit; outside autocast another type than that of the
                tables.
        """
        if hidden.shape[-1] != self.embedding_dim:
            raise InputError(
                f"hidden must have shape (..., {self.embedding_dim}), got {tuple(hidden.shape)}"
            )
        if bias is not None and bias.shape != (self.num_embeddings,):
            raise InputError(
                f"bias must have shape {(self.num_embeddings,)}, got {tuple(bias.shape)}"
            )
        tables = self._parts()
        if hidden.dtype != tables[0].dtype and not autocast_dtype(hidden):
            raise InputError(
                f"hidden must be of the type of the tables, {tables[0].dtype}, got "
                f"{hidden.dtype}: convert one of them with .to(…)"
            )
        if self.order is None:
            return staircase_logits(hidden, tables, bias)
        logits = staircase_logits(hidden, tables, None)[..., self.order]
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

        The entries above the stairs are left out. It is frozen if ``weight`` is a frozen parameter,
        such as that of ``nn.Embedding.from_pretrained``. ``options``: ``order``, ``word_dropout``.

        Raises:
            InputError: not a matrix; a geometry outside its legal range.
        """
        if not isinstance(weight, Tensor) or weight.dim() != 2:
            got = tuple(weight.shape) if isinstance(weight, Tensor) else type(weight).__name__
            raise InputError(f"weight must be a (V, k) tensor, such as embedding.weight, got {got}")
        frozen = isinstance(weight, nn.Parameter) and not weight.requires_grad
        options = {"device": weight.device, "dtype": weight.dtype, **options}
        num_embeddings, embedding_dim = weight.shape
        embedding = cls(num_embeddings, embedding_dim, density, num_bins, **options)
        if embedding.order is not None:
            weight = weight[torch.argsort(embedding.order)]
        widths = [table.shape[1] for table in embedding.tables]
        with torch.no_grad():
            for table, columns in zip(embedding.tables, weight.split(widths, 1), strict=True):
                table.copy_(columns[num_embeddings - len(table) :])
        return embedding.requires_grad_(not frozen)

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return (
            f"{self.num_embeddings}, {self.embedding_dim}, density={self.density:.4g}, "
            f"num_bins={self.num_bins}"
        )


def _renew_layout(embedding: SparseEmbedding, _incompatible_keys: Any) -> None:
    embedding._set_layout()  # loaded tensors may be on another device


def _numbers(name: str, values: Any) -> Tensor:
    """(V,) numbers of a list, an array, a tensor or a Series, by position, on the CPU."""
    if not isinstance(values, Tensor):
        array = np.asarray(values)
        if array.dtype.kind not in "iufb":
            raise InputError(f"{name} must be numbers of shape (V,), got {type(values).__name__}")
        kind = np.float64 if array.dtype.kind == "f" else np.int64  # PyTorch has few unsigned types
        values = torch.from_numpy(np.ascontiguousarray(array.astype(kind)))
    if values.dim() != 1:
        raise InputError(f"{name} must have shape (V,), got {tuple(values.shape)}")
    if values.is_floating_point() and bool(values.isnan().any()):
        place = int(values.isnan().nonzero()[0])
        raise InputError(f"{name} must be numbers, got nan at place {place}")
    return values.detach().cpu()


def _checked_order(values: Any, num_embeddings: int) -> Tensor:
    order = _numbers("order", values)
    expected = torch.arange(num_embeddings, device="cpu")  # whatever torch.device(…) says
    if order.shape != (num_embeddings,) or not torch.equal(order.long().sort()[0], expected):
        raise InputError(
            f"order must hold each row in [0, {num_embeddings}) once, got shape "
            f"{tuple(order.shape)}; sc.frequency_order makes it from counts"
        )
    return order
