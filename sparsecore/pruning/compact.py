"""The smaller automata left when states without weight are gone (Dodge et al. 2019, §2)."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN
from sparsecore.ops.cells import num_directions
from sparsecore.ops.weights import reading_weights, refresh
from sparsecore.pruning.groups import cells_of, group_norms

THRESHOLD = 0.1  # of the paper


def check_threshold(threshold: Any, norms: Tensor) -> None:
    """Raise :class:`InputError` unless it is a finite number of at least 0 that norms can pass."""
    if not isinstance(threshold, numbers.Real | Tensor):
        raise InputError(f"threshold must be a number of at least 0, got {threshold!r}")
    if not 0 <= float(threshold) < math.inf:
        raise InputError(f"threshold must be at least 0, got {threshold}")
    if norms.isnan().any():
        raise InputError("what is to be pruned has a weight that is NaN: a norm is NaN")


def kept_lengths(rnn: RationalRNN, threshold: float = THRESHOLD) -> list[list[int]]:
    """How many states each WFSA keeps, 0 if none: one list for each of ``rnn.cells()``.

    A state is kept if its group norm is above the threshold and all earlier ones of its WFSA are
    kept: behind a state that is gone no other can be reached. With ``final="last"`` only the last
    state counts, so a WFSA is kept whole or not at all.

    Source: Dodge et al. 2019, §2 and footnote 5.
    """
    sizes = [len(cell.bias) for cell in rnn.cells()]
    with torch.no_grad():
        norms = group_norms(rnn)
    check_threshold(threshold, norms)
    return [
        [
            _prefix((part > threshold).tolist(), whole=rnn.final == "last")
            for part in values.split(list(cell.lengths))
        ]
        for cell, values in zip(rnn.cells(), norms.split(sizes), strict=True)
    ]


def kept_wfsas(rnn: RationalRNN, threshold: float = THRESHOLD) -> list[int]:
    """The scores (0 … D − 1) of ``rnn`` that ``compact(rnn, threshold)`` still has, in its order.

    A linear layer above keeps these columns: ``weight[:, kept_wfsas(rnn)]``.
    """
    last = kept_lengths(rnn, threshold)[-num_directions(rnn) :]
    return [d for d, n in enumerate(n for lengths in last for n in lengths) if n]


@torch.inference_mode(False)  # else its parameters could not be trained
def compact(rnn: RationalRNN, threshold: float = THRESHOLD) -> RationalRNN:
    """The smaller layer without the states whose weights are (nearly) zero.

    A state stays if its group norm is above ``threshold`` and all earlier states of its WFSA stay;
    WFSAs left without states are gone, their scores and all that read them in further layers with
    them. What stays is carried over exactly: the scores equal those of ``rnn`` with the removed
    states' weights set to zero. See :func:`kept_wfsas` for the classifier above.

    Returns:
        A new layer of the same options, type and device, frozen where ``rnn`` is; ``rnn`` is not
        touched.

    Raises:
        InputError: no state is left (in some layer or direction); the semiring is not plus_times,
            where weights of zero do not silence a state.

    Source: Dodge et al. 2019, §2.

    >>> rnn = RationalRNN(2, [3, 2])
    >>> rnn.main.data = torch.tensor([[1.0, 0], [1, 0], [0, 0], [0, 0], [1, 0]])
    >>> rnn.loop.data.zero_();
    tensor(...)
    >>> compact(rnn).lengths
    (2,)
    """
    cells = cells_of(rnn)
    if rnn.semiring != "plus_times":
        raise InputError(
            f"compact needs semiring plus_times, got {rnn.semiring}: there a state whose weights "
            "are 0 still counts"
        )
    with reading_weights(rnn):
        for cell in cells:
            refresh(cell)
    lengths = kept_lengths(rnn, threshold)
    for cell, kept in zip(cells, lengths, strict=True):
        if not any(kept):
            with torch.no_grad():
                largest = group_norms(cell)[: len(cell.bias)].max().item()
            where = (
                "" if len(cells) == 1 else f" of the {cells.index(cell) + 1}. layer or direction"
            )
            raise InputError(
                f"threshold {threshold} leaves no state{where}: the largest norm is {largest:.3g}"
            )
    small = RationalRNN(
        rnn.input_size,
        [[n for n in kept if n] for kept in lengths],
        batch_first=rnn.batch_first,
        final=rnn.final,
        last_loop_one=[
            [
                one and kept == length
                for one, kept, length in zip(cell.last_loop_one, kept, cell.lengths, strict=True)
                if kept
            ]
            for cell, kept in zip(cells, lengths, strict=True)
        ],
        num_layers=rnn.num_layers,
        bidirectional=rnn.bidirectional,
    ).to(rnn.main)
    directions = num_directions(rnn)
    columns = list(range(rnn.input_size))
    for number, (source, target) in enumerate(zip(cells, small.cells(), strict=True)):
        if number and number % directions == 0:
            below = [n for kept in lengths[number - directions : number] for n in kept]
            columns = [d for d, n in enumerate(below) if n]
        _carry_over(source, target, lengths[number], columns)
    return small.train(rnn.training)


@torch.no_grad()
def _carry_over(
    source: RationalRNN, target: RationalRNN, kept: Sequence[int], columns: Sequence[int]
) -> None:
    """Copy the rows of the first ``kept`` states of each WFSA, and of each row these columns."""
    starts = [0, *accumulate(source.lengths)]
    rows = [starts[d] + i for d, n in enumerate(kept) for i in range(n)]
    for name, parameter in target.named_parameters(recurse=False):
        value = getattr(source, name)
        parameter.requires_grad_(value.requires_grad)
        parameter.copy_(value[rows][:, columns] if value.ndim == 2 else value[rows])


def _prefix(above: Sequence[bool], whole: bool) -> int:
    """The number of leading True; with ``whole`` all or none."""
    count = next((i for i, kept in enumerate(above) if not kept), len(above))
    return 0 if whole and count < len(above) else count
