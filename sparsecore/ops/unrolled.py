"""A one-layer recurrent module step by step, so that each hidden state is a tensor of its own.

A tap on the output of a fused ``nn.LSTM`` sees only what the layers above pass down. The total
gradient of h_t also comes back from step t + 1; to see it, every h_t must be a node of the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsecore.errors import InputError

CELLS: dict[type[nn.RNNBase], Callable[..., Tensor | tuple[Tensor, Tensor]]] = {
    nn.LSTM: torch.lstm_cell,
    nn.GRU: torch.gru_cell,
}


def check_unrollable(module: nn.Module, name: str) -> None:
    """Raise :class:`InputError` unless ``module`` is one that :func:`unroll` can follow."""
    if type(module) not in CELLS:
        raise InputError(
            f"total gradients need layer {name!r} to be nn.LSTM or nn.GRU, "
            f"got {type(module).__name__}; use gradient='upward'"
        )
    assert isinstance(module, nn.RNNBase)
    if module.num_layers != 1 or module.bidirectional or module.proj_size:
        raise InputError(
            f"total gradients need layer {name!r} to have one layer, one direction and no "
            f"projection, got num_layers={module.num_layers}, "
            f"bidirectional={module.bidirectional}, proj_size={module.proj_size}; "
            "make each layer a module of its own"
        )


def unroll(
    module: nn.RNNBase, x: Tensor, state: Tensor | tuple[Tensor, Tensor] | None
) -> tuple[list[Tensor], Tensor | tuple[Tensor, Tensor]]:
    """The module's hidden states as T tensors (B, H) and its final state.

    Args:
        module: passes :func:`check_unrollable`.
        x: its input, (T, B, E), (B, T, E) if it is ``batch_first``, or (T, E) with B = 1.
        state: its initial state as the module takes it, or None for zeros.

    Raises:
        InputError: a packed sequence.
    """
    if isinstance(x, PackedSequence):
        raise InputError(
            "total gradients need padded sequences, got a packed one; use gradient='upward' or "
            "pad_packed_sequence"
        )
    is_lstm, alone = isinstance(module, nn.LSTM), x.ndim == 2
    cell = CELLS[type(module)]
    steps = x.unsqueeze(1).unbind(0) if alone else x.unbind(1 if module.batch_first else 0)
    zeros = x.new_zeros(1, steps[0].shape[0], module.hidden_size)
    if state is None:
        state = (zeros, zeros) if is_lstm else zeros
    states = state if isinstance(state, tuple) else (state,)
    carried: Any = tuple(s if s.ndim == 2 else s.squeeze(0) for s in states)
    carried = carried if is_lstm else carried[0]
    outputs = []
    for x_t in steps:
        carried = cell(x_t, carried, *module._flat_weights)
        outputs.append(carried[0] if is_lstm else carried)
    if alone:
        return outputs, carried  # pyrefly: ignore[bad-return]
    # pyrefly: ignore[bad-return, missing-attribute]
    return outputs, tuple(s.unsqueeze(0) for s in carried) if is_lstm else carried.unsqueeze(0)


def stack_steps(module: nn.RNNBase, x: Tensor, steps: list[Tensor]) -> Tensor:
    """T tensors (B, H) as the module's output for ``x``: (T, B, H), (B, T, H) or (T, H)."""
    return torch.cat(steps) if x.ndim == 2 else torch.stack(steps, 1 if module.batch_first else 0)
