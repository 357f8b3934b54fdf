"""A sparse LSTM layer as one batch of recurrences: N heads of D units with G = 4 gates.

    g_t = W x_t + b + R h_{t-1},    i, f, g, o = g_t

This is the layout of FlashRNN (Pöppel, Beck & Hochreiter 2024, arXiv 2412.07752), whose heads are
the blocks of a block-diagonal W_hh; its gates stand in the order of ``nn.LSTM``. Axes: B batch,
T time, G gates, N heads, D units, P units of the step before (D), w inputs of a window. Blocks of
fewer units, and windows of fewer inputs, are filled up with weights of zero: such a unit stays 0,
and its gradients are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.bench.peers import Unavailable
from sparsecore.errors import install_hint
from sparsecore.layers.sparse_rnn import SparseLSTM

G = 4
Recurrence = Callable[[Tensor, Tensor, Tensor], Tensor]  # B T G N D, G N D P, G N D -> B T N D
Cell = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class PackedLSTM(nn.Module):
    """The weights of a sparse layer of one direction in three tensors.

    Args:
        sparse: the layer.
        recurrence: what runs the heads.
        multiple: the units of a head are filled up to a multiple of it.
    """

    def __init__(self, sparse: SparseLSTM, recurrence: Recurrence, multiple: int = 1) -> None:
        super().__init__()
        self.recurrence = recurrence
        self.windows = sparse.windows[0]
        self.sizes = [unit.stop - unit.start for unit in sparse.units]
        self.widths = [window.stop - window.start for window in self.windows]
        N, D, w = len(self.sizes), -(-max(self.sizes) // multiple) * multiple, max(self.widths)
        like = next(sparse.parameters()).new_zeros
        self.weight_ih = nn.Parameter(like(N, G, D, w))
        self.weight_hh = nn.Parameter(like(G, N, D, D))
        self.bias = nn.Parameter(like(G, N, D))
        with torch.no_grad():
            for n, block in enumerate(sparse.blocks):
                w_ih, w_hh, b_ih, b_hh = (each for _, each in block.named_parameters())
                ih, hh, b = self.entries(dict(self.named_parameters()), n)
                ih.copy_(w_ih.view_as(ih))
                hh.copy_(w_hh.view_as(hh))
                b.copy_((b_ih + b_hh).view_as(b))

    def forward(self, x: Tensor) -> Tensor:
        """T B i -> T B h."""
        T, B, _ = x.shape
        N, _, D, w = self.weight_ih.shape
        parts = [
            F.pad(x[..., window], (0, w - width)).flatten(0, 1)
            for window, width in zip(self.windows, self.widths, strict=True)
        ]
        Wx = torch.bmm(torch.stack(parts), self.weight_ih.flatten(1, 2).mT)  # N T·B G·D
        Wx = Wx.view(N, T, B, G, D).permute(2, 1, 3, 0, 4)
        h = self.recurrence(Wx, self.weight_hh, self.bias)
        y = torch.cat([h[:, :, n, :size] for n, size in enumerate(self.sizes)], -1)
        return y.transpose(0, 1)

    def entries(self, tensors: Mapping[str, Tensor], n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of block n the entries G s w, G s s and G s of three tensors like the parameters."""
        s, w = self.sizes[n], self.widths[n]
        ih, hh, b = (tensors[name] for name in ("weight_ih", "weight_hh", "bias"))
        return ih[n, :, :s, :w], hh[:, n, :s, :s], b[:, n, :s]

    def as_in(self, sparse: SparseLSTM, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gradients of the three tensors, named and shaped as those of the sparse layer."""
        found = {}
        for n, block in enumerate(sparse.blocks):
            ih, hh, b = self.entries(gradients, n)
            for (name, own), entries in zip(block.named_parameters(), (ih, hh, b, b), strict=True):
                found[f"blocks.{n}.{name}"] = entries.reshape(own.shape)
        return found


def cell(g: Tensor, h: Tensor, c: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
    """A time step of all heads: g, N B G·D; h and c, N B D; R, N P G·D."""
    i, f, z, o = torch.baddbmm(g, h, R).chunk(G, -1)
    c = f.sigmoid() * c + i.sigmoid() * z.tanh()
    return o.sigmoid() * c.tanh(), c


def loop(step: Cell) -> Recurrence:
    """The recurrence as a loop over time that calls ``step`` (such as :func:`cell`)."""

    def recurrence(Wx: Tensor, R: Tensor, b: Tensor) -> Tensor:
        B, _, _, N, D = Wx.shape
        g = (Wx + b).permute(1, 3, 0, 2, 4).flatten(3)  # T N B G·D
        R = R.permute(1, 3, 0, 2).flatten(2)
        h = c = Wx.new_zeros(N, B, D)
        outputs = []
        for g_t in g.unbind(0):
            h, c = step(g_t, h, c, R)
            outputs.append(h)
        return torch.stack(outputs).permute(2, 0, 1, 3)

    return recurrence


def flash_recurrence(backend: str, dtype: str) -> Recurrence:
    """FlashRNN's LSTM, from states of zero.

    Args:
        backend: ``cuda`` multiplies and applies the gates in turn, ``cuda_fused`` in one kernel;
            both are compiled by nvcc when they are called first. ``vanilla`` is plain PyTorch.
        dtype: of all tensors, in the words of the package.

    Raises:
        Unavailable: the package is not installed.
    """
    try:
        from flashrnn import flashrnn
    except ImportError as error:
        raise Unavailable(f"{install_hint('flashrnn')} brings it; {error}") from error
    run: Any = flashrnn

    def recurrence(Wx: Tensor, R: Tensor, b: Tensor) -> Tensor:
        states, _ = run(Wx, R, b, function="lstm", backend=backend, dtype=dtype)
        return states[0]  # h of h and c, each B T N D

    return recurrence
