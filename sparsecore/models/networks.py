"""Networks for the same language model: what differs is the layer between embedding and output.

Every layer is called as a one-layer ``nn.LSTM``: ``layer(x, state) -> (y, state)``; x is T B i, y
T B h.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.layers.sparse_rnn import SparseLSTM


class MinGRU(nn.Module):
    """The minimal GRU: gate and candidate do not look at the state.

        z_t = σ(W_z x_t),  c_t = W_h x_t,  h_t = (1 - z_t) h_{t-1} + z_t c_t

    Args:
        input_size: i.
        hidden_size: h.

    Source: Feng et al. 2024, §3.1.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.gate = nn.Linear(input_size, hidden_size)
        self.candidate = nn.Linear(input_size, hidden_size)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(T, B, i) -> (T, B, h) and the last state (B, h)."""
        z, candidate = torch.sigmoid(self.gate(x)), self.candidate(x)
        h = torch.zeros_like(candidate[0]) if state is None else state
        outputs = []
        for keep, new in zip(1 - z, z * candidate, strict=True):
            h = keep * h + new
            outputs.append(h)
        return torch.stack(outputs), h


class CausalBlock(nn.Module):
    """A Transformer block that looks back within the window: attention, then a perceptron.

    Pre-norm, with a penalty on distance of its own per head in place of position embeddings
    (attention with linear biases, Press et al. 2022). There is no state: a window sees itself only.

    Args:
        input_size, hidden_size: equal.
        heads: of the attention.
    """

    def __init__(self, input_size: int, hidden_size: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(input_size), nn.LayerNorm(hidden_size)])
        self.qkv = nn.Linear(input_size, 3 * hidden_size)
        self.out = nn.Linear(hidden_size, hidden_size)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_size, 4 * hidden_size),
            nn.GELU(),
            nn.Linear(4 * hidden_size, hidden_size),
        )

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """(T, B, h) -> (T, B, h), None."""
        length = len(x)
        parts = self.qkv(self.norms[0](x)).chunk(3, -1)
        q, k, v = (
            p.unflatten(-1, (self.heads, -1)).permute(1, 2, 0, 3) for p in parts
        )  # B heads T d
        position = torch.arange(length, device=x.device)
        distance = position[:, None] - position[None]
        slopes = 2.0 ** (-8 * torch.arange(1, self.heads + 1, device=x.device) / self.heads)
        bias = torch.where(distance >= 0, -slopes[:, None, None] * distance, -torch.inf)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(x.dtype))
        x = x + self.out(mixed.permute(2, 0, 1, 3).flatten(-2))
        return x + self.mlp(self.norms[1](x)), None


NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "mingru": MinGRU,
    "transformer": CausalBlock,
    "sparse": partial(SparseLSTM, num_blocks=4, gamma=0.5),
}
