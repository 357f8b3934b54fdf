"""The order in which the states of a layer are kept while it runs.

Outside, states stand WFSA by WFSA: (d=0, i=1), (d=0, i=2), …. Inside they stand position by
position, all first states, then all second states, …, and within a position the longer WFSAs first.
Then the states of a position and those before them are two slices of the same array, so that a
step of the recurrence is a few operations on whole slices, for WFSAs of any lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.ops.compilers import is_traced

Pairs = tuple[tuple[slice, slice], ...]


@dataclass(frozen=True)
class Layout:
    """Where states are, inside and outside, for WFSAs of the given lengths.

    Attributes:
        lengths: transitions of each WFSA, in the order of the caller.
        wfsas: (D,) the WFSA that stands at each inner place, longest first.
        rows: (S,) the outer row of each inner state.
        blocks: for each position i = 1, 2, …, the slice of its states inside.
        spans: (states, their predecessors), the latter as slices of an array with the D start
            states in front; the fewest pairs that cover every state.
        links: the same for the states whose predecessor is not a start state, without those.
    """

    lengths: tuple[int, ...]
    wfsas: tuple[int, ...]
    rows: tuple[int, ...]
    blocks: tuple[slice, ...]
    spans: Pairs
    links: Pairs

    def inside(self, states: Tensor, dim: int = 0) -> Tensor:
        """Outer order → inner order of states along ``dim``."""
        return states.index_select(dim, on_device(self.rows, states.device))

    def outside(self, states: Tensor, dim: int = 0) -> Tensor:
        """Inner order → outer order of states along ``dim``."""
        return states.index_select(dim, on_device(inverse(self.rows), states.device))

    def wfsas_inside(self, scores: Tensor, dim: int = 0) -> Tensor:
        """Outer order → inner order of WFSAs along ``dim``."""
        return scores.index_select(dim, on_device(self.wfsas, scores.device))

    def wfsas_outside(self, scores: Tensor, dim: int = 0) -> Tensor:
        """Inner order → outer order of WFSAs along ``dim``."""
        return scores.index_select(dim, on_device(inverse(self.wfsas), scores.device))

    def last_rows(self, chosen: Sequence[bool]) -> list[int]:
        """The inner rows of the last states of the WFSAs that are ``chosen``."""
        return [
            self.blocks[self.lengths[d] - 1].start + place
            for place, d in enumerate(self.wfsas)
            if chosen[d]
        ]


class Recurrence(NamedTuple):
    """What every implementation of the recurrence takes, and the order of its gradients.

    Attributes:
        x: (T, B, E) token vectors.
        main, loop: (S, E) weights, WFSA by WFSA.
        bias: (S,) of the self-loops.
        c0: (B, S) states before the first token.
        final: (S,) weights of the states in the scores; None for 1 each.
        mask: (T, B), False where a position is padding; None for no padding.
        layout: of the states.
        fixed: the inner rows whose self-loop is the semiring's one.
    """

    x: Tensor
    main: Tensor
    loop: Tensor
    bias: Tensor
    c0: Tensor
    final: Tensor | None
    mask: Tensor | None
    layout: Layout
    fixed: list[int]


class Gradients(NamedTuple):
    """Of each field of a :class:`Recurrence`; None for what has none."""

    x: Tensor | None
    main: Tensor
    loop: Tensor
    bias: Tensor
    c0: Tensor
    final: Tensor | None
    mask: None = None
    layout: None = None
    fixed: None = None


_KEPT: dict[tuple[tuple[int, ...], torch.device, torch.dtype], Tensor] = {}


def on_device(
    values: tuple[int, ...], device: torch.device, dtype: torch.dtype = torch.int64
) -> Tensor:
    """``values`` as a tensor; on a GPU kept, for copying them there anew waits for the device.

    A CUDA graph can then be captured of what uses it, once that has run before.
    """
    key = (values, device, dtype)
    if is_traced() or key not in _KEPT:
        with torch.inference_mode(False):  # else no later backward pass could keep it
            made = torch.tensor(values, dtype=dtype, device=device)
        if device.type != "cuda" or type(made) is not Tensor or is_traced():
            return made
        _KEPT[key] = made
    return _KEPT[key]


@lru_cache(maxsize=512)
def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes ``order``.

    >>> inverse((2, 0, 1))
    (1, 2, 0)
    """
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def check_lengths(lengths: Sequence[int]) -> tuple[int, ...]:
    """``lengths`` as a tuple; :class:`InputError` unless it holds integers of at least 1."""
    if isinstance(lengths, int) or len(lengths) == 0 or any(int(n) != n or n < 1 for n in lengths):
        raise InputError(
            f"lengths must hold one integer of at least 1 per WFSA, as in [4] * 24, got {lengths!r}"
        )
    return tuple(int(n) for n in lengths)


@lru_cache(maxsize=256)
def layout_of(lengths: tuple[int, ...]) -> Layout:
    """The layout for WFSAs of these lengths."""
    wfsas = tuple(sorted(range(len(lengths)), key=lambda d: -lengths[d]))
    starts = [sum(lengths[:d]) for d in range(len(lengths))]
    rows: list[int] = []
    blocks: list[slice] = []
    previous: list[slice] = []  # of each block, counted with the start states
    for position in range(max(lengths)):
        longer = [d for d in wfsas if lengths[d] > position]
        before = len(lengths) + blocks[-1].start if blocks else 0
        previous.append(slice(before, before + len(longer)))
        blocks.append(slice(len(rows), len(rows) + len(longer)))
        rows += [starts[d] + position for d in longer]
    inner = [slice(s.start - len(lengths), s.stop - len(lengths)) for s in previous]
    return Layout(
        lengths,
        wfsas,
        tuple(rows),
        tuple(blocks),
        _joined(blocks, previous),
        _joined(blocks[1:], inner[1:]),
    )


def _joined(states: Sequence[slice], previous: Sequence[slice]) -> Pairs:
    """Neighbouring pairs of slices as one, where both go on where the last ended."""
    pairs: list[tuple[slice, slice]] = []
    for to, source in zip(states, previous, strict=True):
        if pairs and pairs[-1][1].stop == source.start:
            to = slice(pairs[-1][0].start, to.stop)
            source = slice(pairs.pop()[1].start, source.stop)
        pairs.append((to, source))
    return tuple(pairs)
