"""The reference implementation: block by block, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparsecore.ops.cells import lstm_step


def naive_block_lstm(
    xs: Sequence[Tensor],
    weights: Sequence[Sequence[Tensor]],
    states: Sequence[tuple[Tensor, Tensor]] | None = None,
) -> list[tuple[Tensor, tuple[Tensor, Tensor]]]:
    """As :func:`~sparsecore.ops.block_lstm.block_lstm`, in plain operations."""
    results = []
    for n, (x, (w_ih, w_hh, *biases)) in enumerate(zip(xs, weights, strict=True)):
        zeros = x.new_zeros(x.shape[1], w_hh.shape[1])
        h, c = (zeros, zeros) if states is None else states[n]
        over_time = []
        for x_t in x:
            h, c = lstm_step(x_t @ w_ih.t() + sum(biases), h @ w_hh.t(), (h, c))
            over_time.append(h)
        results.append((torch.stack(over_time), (h, c)))
    return results
