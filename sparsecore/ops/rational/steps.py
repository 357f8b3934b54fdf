"""What the recurrences of all semirings share: chunks of time, the backward loop, states to scores.

Arrays of a chunk are [states, time, B] in the inner order of :mod:`sparsecore.ops.rational.layout`,
so that one matrix product writes the projections, another reads their gradients, and a step touches
slices [states, B] with contiguous rows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sparsecore.ops.autocast import widest
from sparsecore.ops.rational.layout import Gradients, Layout

CHUNK = 1024  # columns (time x batch) of a chunk: what fits the cache


def chunks_of(x: Tensor) -> list[slice]:
    """Stretches of time, of odd lengths lest all rows fall on the same lines of the cache."""
    T, B, _ = x.shape
    size = (CHUNK // B - 1) | 1 if B < CHUNK else 1
    return [slice(start, min(start + size, T)) for start in range(0, T, size)]


def projections(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """x·main and x·loop, each S k B, for k steps ``x`` and the ``weight`` of both, 2S E."""
    k, B, E = x.shape
    main, loop = torch.mm(weight, x.reshape(k * B, E).t()).view(2, -1, k, B)
    return main, loop


class ProjectionGradients:
    """Gradients of x, of the ``weight`` of both projections, 2S E, and of the bias, chunk by chunk.

    Args:
        x: T B E.
        weight: as :func:`projections` takes it.
        need_x: whether the gradient of x is wanted.
    """

    def __init__(self, x: Tensor, weight: Tensor, need_x: bool) -> None:
        self._x, self._weight = x, weight
        self.x = torch.empty_like(x, memory_format=torch.contiguous_format) if need_x else None
        self._sum = weight.new_zeros(weight.shape[::-1], dtype=widest(x))  # of many chunks
        self.bias = x.new_zeros(len(weight) // 2)

    def add(self, part: slice, gradient: Tensor) -> None:
        """Take in a chunk: ``gradient``, 2 S k B, is of x·main and of x·loop + bias."""
        inputs, matrix = self._x[part].flatten(0, 1), gradient.view(len(self._weight), -1)
        self._sum += torch.mm(inputs.t(), matrix.t())  # faster than its transpose
        self.bias += gradient[1].sum((1, 2))
        if self.x is not None:
            torch.mm(matrix.t(), self._weight, out=self.x[part].view_as(inputs))

    @property
    def main(self) -> Tensor:
        """S E."""
        return self._sum[:, : len(self.bias)].t().contiguous().to(self._x.dtype)

    @property
    def loop(self) -> Tensor:
        """S E."""
        return self._sum[:, len(self.bias) :].t().contiguous().to(self._x.dtype)

    def outside(self, layout: Layout, returning: Tensor, final: Tensor | None) -> Gradients:
        """In outer order, with ``returning`` (S B), that of c0, and that of ``final``."""
        return Gradients(
            self.x,
            layout.outside(self.main),
            layout.outside(self.loop),
            layout.outside(self.bias),
            layout.outside(returning).t(),
            None if final is None else layout.outside(final),
        )


class GradientBuffers(NamedTuple):
    """Where the gradient of a chunk's states goes, with a view of every step, made only once.

    ``g``: S k B; ``steps``: k + 1 views S B, the first for what goes back beyond the chunk;
    ``links``: for each of the layout's links the views (later, earlier) of its rows.
    """

    g: Tensor
    steps: list[Tensor]
    links: list[tuple[list[Tensor], list[Tensor]]]


def buffers_for(like: Tensor, layout: Layout) -> GradientBuffers:
    """Buffers for the gradient of states like ``like``, S k B."""
    S, k, B = like.shape
    buffers = like.new_empty(k + 1, S, B)
    return GradientBuffers(
        buffers[1:].transpose(0, 1),
        list(buffers.unbind(0)),
        [
            (list(buffers[:, to].unbind(0)), list(buffers[:, before].unbind(0)))
            for to, before in layout.links
        ],
    )


def run_backward(stay: Tensor, come: Tensor, buffers: GradientBuffers, layout: Layout) -> Tensor:
    """The transpose of c_t = stay_t ∘ c_{t-1} + come_t ∘ prev(c_{t-1}), all S k B.

    Adds to each ``buffers.g[:, t]`` what comes back from step t + 1, and returns what goes back
    beyond the first step, S B.
    """
    _, steps, links = buffers
    steps[0].zero_()
    all_stay = stay.unbind(1)
    all_come = [come[to].unbind(1) for to, _ in layout.links]
    for t in range(len(all_stay) - 1, -1, -1):
        steps[t].addcmul_(all_stay[t], steps[t + 1])
        for come_to, (later, earlier) in zip(all_come, links, strict=True):
            earlier[t].addcmul_(come_to[t], later[t + 1])
    return steps[0]


def sum_states(states: Tensor, weights: Tensor | None, layout: Layout) -> Tensor:
    """The score of each WFSA, D T B: the (weighted) sum of its states, S T B."""
    if weights is not None:
        states = states * weights[:, None, None]
    if layout.lengths.count(len(layout.blocks)) == len(layout.lengths):
        return states.unflatten(0, (len(layout.blocks), -1)).sum(0)
    scores = states[layout.blocks[0]].clone()
    for block in layout.blocks[1:]:
        scores[: block.stop - block.start] += states[block]
    return scores


def spread(own: Tensor, layout: Layout, out: Tensor) -> Tensor:
    """What stands at each WFSA, D T B, at each of its states, S T B."""
    for block in layout.blocks:
        out[block] = own[: block.stop - block.start]
    return out
