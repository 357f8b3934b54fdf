"""Several sparse LSTMs of one geometry at once, such as one for each seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.layers.block_stack import check_shapes, cut, dropped, join, joined
from sparsecore.layers.block_sweep import sweep_blocks, sweeps
from sparsecore.layers.sparse_rnn import SparseLSTM

States = tuple[Tensor, ...]
ALIKE = ("windows", "units", "num_layers", "bias", "batch_first", "bidirectional")


def run_together(
    layers: Sequence[SparseLSTM],
    inputs: Sequence[Tensor],
    states: Sequence[tuple[Tensor, Tensor]] | None = None,
) -> list[tuple[Tensor, States]]:
    """What ``[layer(x, state) for …]`` gives, each random mask drawn in another order.

    Where the kernels run (see :mod:`~sparsecore.ops.block_lstm`), S layers of N blocks are one
    sweep of S·N blocks, so S small models take the time of a few large ones; elsewhere each layer
    is called.

    Args:
        layers: S layers of the same sizes and geometry, with weights of their own.
        inputs: of each layer its own, T B i (B T i with ``batch_first``), of equal shape.
        states: of each layer its own (h0, c0), as it takes them; None for zeros.

    Raises:
        InputError: layers or inputs that are not alike.

    >>> import torch
    >>> seeds = [SparseLSTM(8, 6, num_blocks=2, gamma=0.75) for _ in range(3)]
    >>> xs = [torch.randn(5, 4, 8) for _ in seeds]
    >>> [y.shape for y, _ in run_together(seeds, xs)][0]
    torch.Size([5, 4, 6])
    """
    begin: list[States | None] = [None] * len(layers) if states is None else list(states)
    check_alike(layers, inputs, begin)
    first, xs = layers[0], list(inputs)
    every = [block for layer in layers for block in layer.blocks]
    if xs[0].dim() != 3 or not sweeps(every, xs, begin):
        return [layer(x, state) for layer, x, state in zip(layers, xs, begin, strict=True)]
    N, finals = first.num_blocks, [[] for _ in layers]
    for index in range(first.num_layers):
        blocks, weights, parts, starts = [], [], [], []
        for n, (layer, state) in enumerate(zip(layers, begin, strict=True)):
            if index and layer.training and layer.dropout:
                xs[n] = F.dropout(xs[n], layer.dropout)
            own, seen, start = cut(layer, index, xs[n], state)
            blocks += own
            weights += [dropped(block, layer.weight_drop * layer.training) for block in own]
            parts += seen
            starts += start
        results = sweep_blocks(blocks, weights, parts, starts)
        for n, layer in enumerate(layers):
            xs[n], final = joined(layer, xs[n], results[n * N : (n + 1) * N])
            finals[n].append(final)
    ends = [tuple(join(list(each), 0) for each in zip(*final, strict=True)) for final in finals]
    return list(zip(xs, ends, strict=True))


def check_alike(
    layers: Sequence[SparseLSTM], inputs: Sequence[Tensor], states: Sequence[States | None]
) -> None:
    """One clear line where layers, inputs and states do not go together."""
    if not layers or not len(layers) == len(inputs) == len(states):
        raise InputError(
            "layers, inputs and states must be of as many models, at least 1, "
            f"got {len(layers)}, {len(inputs)} and {len(states)}"
        )
    for n, (layer, x, state) in enumerate(zip(layers, inputs, states, strict=True)):
        check_shapes(layer, x, state)
        for name in ALIKE:
            if getattr(layer, name) != getattr(layers[0], name):
                raise InputError(f"layers[{n}] and layers[0] differ in {name}")
        if x.shape != inputs[0].shape:
            right = tuple(inputs[0].shape)
            raise InputError(f"inputs[{n}] must have shape {right}, got {tuple(x.shape)}")
