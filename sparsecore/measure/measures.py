"""Measures of a vector beside chi, by name: (..., D) -> (...).

Each takes floating-point vectors along the last axis and ignores their order; NaN says that a
vector has no value, and is left out of means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from torch import Tensor

from sparsecore.errors import InputError, check_choice
from sparsecore.measure.chi import effective_units, hoyer

Measure = Callable[[Tensor], Tensor]


def zero_share(v: Tensor) -> Tensor:
    """Share of the entries that are exactly 0, in [0, 1].

    >>> import torch
    >>> zero_share(torch.tensor([0.0, 0.0, 3.0, 1.0]))
    tensor(0.5000)
    """
    return (v == 0).to(v.dtype).mean(-1)


def near_zero_share(v: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Share of the entries with |x| < ``epsilon``, in [0, 1].

    >>> import torch
    >>> near_zero_share(torch.tensor([0.0, 1e-4, 3.0, 1.0]))
    tensor(0.5000)
    """
    return (v.abs() < epsilon).to(v.dtype).mean(-1)


def top_share(v: Tensor, k: int = 10) -> Tensor:
    """Share of ||v||1 that the ``k`` largest magnitudes hold, in [0, 1]; NaN for a zero vector.

    >>> import torch
    >>> top_share(torch.tensor([8.0, -1.0, 0.5, 0.5]), k=1)
    tensor(0.8000)
    """
    size = v.abs()
    size = size / size.amax(-1, keepdim=True)
    return size.topk(min(k, v.shape[-1]), -1).values.sum(-1) / size.sum(-1)


def kurtosis(v: Tensor) -> Tensor:
    """m4 / m2^2 of the entries about their mean: 3 for a Gaussian; NaN for equal entries.

    >>> import torch
    >>> kurtosis(torch.tensor([1.0, -1.0, 1.0, -1.0]))
    tensor(1.)
    """
    centred = v - v.mean(-1, keepdim=True)
    centred = centred / centred.abs().amax(-1, keepdim=True)
    square = centred.square()
    return square.square().mean(-1) / square.mean(-1).square()


MEASURES: dict[str, Measure] = {
    "effective_units": effective_units,
    "hoyer": hoyer,
    "zero_share": zero_share,
    "near_zero_share": near_zero_share,
    "top_share": top_share,
    "kurtosis": kurtosis,
}
"""The measures that ``sc.track(measures=…)`` knows by name."""

TABLE = ("word", "frequency", "layer", "signal", "role", "chi", "l1", "count", "word_id")


def find_measures(measures: Iterable[str] | Mapping[str, str | Measure]) -> dict[str, Measure]:
    """Measures by the column that they have in the table.

    Args:
        measures: names from :data:`MEASURES`, or a mapping from columns to such names or functions
            (..., D) -> (...); ``functools.partial`` sets ``epsilon`` and ``k``.

    Raises:
        InputError: an unknown name, a column that the table has already, or not a function.
    """
    if isinstance(measures, str):
        measures = [measures]
    pairs = (
        measures.items() if isinstance(measures, Mapping) else [(name, name) for name in measures]
    )
    found: dict[str, Measure] = {}
    for column, measure in pairs:
        if isinstance(measure, str):
            check_choice("measure", measure, MEASURES)
            measure = MEASURES[measure]
        elif not callable(measure):
            raise InputError(
                f"measure {column!r} must be a name or a function (..., D) -> (...), "
                f"got {measure!r:.60}"
            )
        if not isinstance(column, str) or column in TABLE or ":" in column:
            raise InputError(f"a measure cannot be called {column!r}; give it another column")
        found[column] = cast(Measure, measure)
    return found
