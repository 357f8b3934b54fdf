"""The cells of recurrent layers: one step as equations.

With a = W_ih x_t + b_ih and r = W_hh h_{t-1} + b_hh, each cut into the gates of PyTorch's order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

States = tuple[Tensor, ...]  # (h,), or (h, c) of an LSTM
Step = Callable[[Tensor, Tensor, States], States]


def lstm_step(a: Tensor, r: Tensor, state: States) -> States:
    """i, f, g, o = a + r;  c_t = σ(f) ∘ c_{t-1} + σ(i) ∘ tanh(g);  h_t = σ(o) ∘ tanh(c_t)."""
    i, f, g, o = (a + r).chunk(4, -1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(a: Tensor, r: Tensor, state: States) -> States:
    """z = σ(a_z + r_z);  n = tanh(a_n + σ(a_r + r_r) ∘ r_n);  h_t = (1 − z) ∘ n + z ∘ h_{t-1}."""
    (ra, za, na), (rr, zr, nr) = a.chunk(3, -1), r.chunk(3, -1)
    z, n = (za + zr).sigmoid(), (na + (ra + rr).sigmoid() * nr).tanh()
    return ((1 - z) * n + z * state[0],)


def tanh_step(a: Tensor, r: Tensor, state: States) -> States:
    """h_t = tanh(a + r)."""
    return ((a + r).tanh(),)


def relu_step(a: Tensor, r: Tensor, state: States) -> States:
    """h_t = max(0, a + r)."""
    return ((a + r).relu(),)


STEPS: dict[str, Step] = {  # by nn.RNNBase.mode
    "LSTM": lstm_step,
    "GRU": gru_step,
    "RNN_TANH": tanh_step,
    "RNN_RELU": relu_step,
}
GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def num_directions(layer: Any) -> int:
    """D: 2 where a layer also reads backwards."""
    return 2 if layer.bidirectional else 1


def zero_states(module: nn.RNNBase, x: Tensor, batch: int) -> States:
    """The states from which a one-layer module starts by itself: D B s each, of x's type."""
    shape = (num_directions(module), batch, module.hidden_size)
    return tuple(x.new_zeros(shape) for _ in range(2 if module.mode == "LSTM" else 1))
