"""Several LSTMs at once: the blocks of a predefined-sparse layer, in both directions.

``block_lstm`` picks the fast path for the device, ``naive`` is the reference implementation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.ops.block_lstm.naive import naive_block_lstm
from sparsecore.ops.compilers import installed
from sparsecore.ops.self_check import self_check

__all__ = ["block_lstm", "fuses", "naive_block_lstm"]

Results = list[tuple[Tensor, tuple[Tensor, Tensor]]]
NAMES = ("x", "h0", "c0", "W_ih", "W_hh", "b_ih", "b_hh")


def block_lstm(
    xs: Sequence[Tensor],
    weights: Sequence[Sequence[Tensor]],
    states: Sequence[tuple[Tensor, Tensor]] | None = None,
) -> Results:
    """Outputs and final states of G independent LSTMs ("blocks") on sequences of equal length.

        i, f, g, o = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
        c_t = σ(f) ∘ c_{t-1} + σ(i) ∘ tanh(g),    h_t = σ(o) ∘ tanh(c_t)

    The blocks of one layer, both directions of it (the second on flipped inputs), or those of
    layers with other weights altogether: a block knows nothing of the others. On a CPU they run
    one after the other; on a GPU with Triton each step is one kernel for all of them.

    Args:
        xs: of each block T B w; its own w, the same T and B.
        weights: of each block W_ih (4s w), W_hh (4s s) and, all blocks or none, b_ih, b_hh (4s);
            its own s.
        states: of each block (h0, c0), each B s; None for zeros.

    Returns:
        Of each block its outputs, T B s, and (hn, cn), each B s.

    Raises:
        InputError: shapes that do not match.
    """
    check_shapes(xs, weights, states)
    if fuses(xs[0]):
        from sparsecore.ops.block_lstm.triton import block_lstm_triton

        return block_lstm_triton(xs, weights, states)
    return one_by_one(xs, weights, states)


def fuses(x: Tensor) -> bool:
    """Whether the kernels serve tensors like ``x``: installed, and right when tried."""
    if not x.is_cuda or x.dtype not in (torch.float32, torch.float64) or x.numel() == 0:
        return False
    if torch.is_autocast_enabled("cuda") or not installed("triton", "gpu"):
        return False
    return self_check("blocks of LSTMs", x, _matches_reference)


def _matches_reference(device: torch.device, dtype: torch.dtype) -> bool:
    from sparsecore.ops.block_lstm.triton import matches_reference

    return matches_reference(device, dtype)


def one_by_one(
    xs: Sequence[Tensor],
    weights: Sequence[Sequence[Tensor]],
    states: Sequence[tuple[Tensor, Tensor]] | None,
) -> Results:
    """PyTorch's own LSTM for each block."""
    results: Results = []
    for n, (x, own) in enumerate(zip(xs, weights, strict=True)):
        zeros = x.new_zeros(x.shape[1], own[1].shape[1])
        h, c = (zeros, zeros) if states is None else states[n]
        begin = (h.unsqueeze(0), c.unsqueeze(0))
        y, hn, cn = torch.lstm(x, begin, list(own), len(own) == 4, 1, 0.0, True, False, False)
        results.append((y, (hn[0], cn[0])))
    return results


def check_shapes(
    xs: Sequence[Tensor],
    weights: Sequence[Sequence[Tensor]],
    states: Sequence[tuple[Tensor, Tensor]] | None,
) -> None:
    """Raise :class:`InputError` where shapes do not match."""
    if not xs or len(xs) != len(weights) or (states is not None and len(states) != len(xs)):
        raise InputError(
            f"xs, weights and states must be of as many blocks, at least 1, got {len(xs)}, "
            f"{len(weights)} and {'None' if states is None else len(states)}"
        )
    if xs[0].dim() != 3 or 0 in xs[0].shape:
        raise InputError(f"xs[0] must be T B w, each at least 1, got {tuple(xs[0].shape)}")
    T, B, _ = xs[0].shape
    for n, (x, own) in enumerate(zip(xs, weights, strict=True)):
        if len(own) != len(weights[0]) or len(own) not in (2, 4):
            raise InputError(
                f"weights[{n}] must be W_ih, W_hh and, in all blocks or none, b_ih, b_hh, "
                f"got {len(own)} tensors"
            )
        s, w = own[1].shape[-1], x.shape[-1]
        shapes = ((T, B, w), (B, s), (B, s), (4 * s, w), (4 * s, s), (4 * s,), (4 * s,))
        state = (None, None) if states is None else states[n]
        for name, tensor, shape in zip(NAMES, (x, *state, *own), shapes, strict=False):
            if tensor is not None and tensor.shape != shape:
                raise InputError(
                    f"{name} of block {n} must have shape {shape}, got {tuple(tensor.shape)}"
                )
