"""Predefined-sparse recurrent layers: drop-in replacements of ``nn.LSTM``, ``nn.GRU``, ``nn.RNN``.

W_hh is block-diagonal and W_hi banded (Demeester et al. 2018, §3.1). Such a layer is the same as N
dense ones side by side, each on its own window of the inputs, with their outputs concatenated: no
zero is stored or multiplied. Public as ``sparsecore.SparseLSTM``, ``SparseGRU``, ``SparseRNN``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsecore.errors import InputError
from sparsecore.layers import block_dense, block_stack


class SparseLSTM(nn.Module):
    """N LSTMs side by side, each on a window of γ·i of the i inputs: a sparse ``nn.LSTM``.

    Parameters of one layer: the sum over its blocks of 4 s (w + s + 2), with s units and w inputs.
    With ``num_blocks=1`` it is a dense ``nn.LSTM``.

    Args:
        input_size: i.
        hidden_size: h, of each direction; cut into N blocks whose sizes differ by at most 1.
        num_blocks: N, in [1, h].
        gamma: γ, the share of the inputs that each block sees, in [1/N, 1].
        batch_first: sequences are B T i, not T B i.
        weight_drop: in training, the share of the entries of every W_hh that is zero during a
            call, drawn anew for each; the others are scaled by 1/(1 - p).
        num_layers, bias, dropout, bidirectional: as in ``nn.LSTM``. A layer above the first sees
            all outputs of the layer below (all forward units, then all backward ones) through
            windows of the same N and γ.
        device, dtype: of the parameters.

    Called as ``nn.LSTM``: ``layer(x, (h0, c0)=None) -> (y, (hn, cn))``; x a T B i tensor, T i, or a
    ``PackedSequence``; y T B h, or T B 2h with the forward units first; states L·D B h.

    The state dict has ``blocks.{n}.weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0``
    (and each with ``_reverse``); block n of layer l is ``blocks.{l·N + n}``.

    On a GPU with Triton all blocks take each time step at once, in float32 and float64, unless the
    sequences are packed; else each block is an ``nn.LSTM`` that is called.

    It compiles (``torch.compile``), and exports for any length T and batch B, as a program or to
    ONNX (last lines below). ``torch.onnx.export`` with ``dynamo=False``, ``input_names`` and
    ``dynamic_axes`` writes ONNX's own LSTM operators in place of a scan.

    Raises:
        InputError: geometry outside its legal range; input or state that does not fit.

    Source: Demeester et al. 2018, §3.1, Fig. 1; weight drop: Merity et al. 2018, §2.

    >>> layer = SparseLSTM(200, 1150, num_blocks=4, gamma=0.495)
    >>> sum(p.numel() for p in layer.parameters())  # nn.LSTM(200, 575) has 1787100
    1787104
    >>> y, (hn, cn) = layer(torch.zeros(7, 2, 200))
    >>> y.shape
    torch.Size([7, 2, 1150])
    >>> T, B = torch.export.Dim("T", min=2), torch.export.Dim("B")
    >>> inputs, shapes = (torch.zeros(7, 2, 200),), ({0: T, 1: B},)
    >>> layer = layer.eval()  # doctest: +SKIP
    >>> torch.export.export(layer, inputs, dynamic_shapes=shapes)  # doctest: +SKIP
    >>> torch.onnx.export(layer, inputs, "rnn.onnx", dynamic_shapes=shapes)  # doctest: +SKIP
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_blocks: int = 1,
        gamma: float = 1.0,
        batch_first: bool = False,
        weight_drop: float = 0.0,
        *,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.num_blocks, self.gamma = num_blocks, gamma
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.weight_drop = dropout, weight_drop
        self.units = block_stack.block_units(hidden_size, num_blocks)
        self.windows = block_stack.layer_windows(self)
        self.blocks = block_stack.make_blocks(self, nn.LSTM, device=device, dtype=dtype)

    def forward(
        self, input: Tensor | PackedSequence, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
        """Outputs of the last layer, and (hn, cn) of all."""
        return block_stack.run(self, input, hx)

    def reset_parameters(self) -> None:
        """Initial weights anew: U(±1/√s) for a block of s units."""
        for block in self.blocks:
            block.reset_parameters()  # pyright: ignore

    def flatten_parameters(self) -> None:
        """As ``nn.LSTM.flatten_parameters``, for every block."""
        for block in self.blocks:
            block.flatten_parameters()  # pyright: ignore

    def to_dense(self) -> nn.LSTM:
        """The ``nn.LSTM`` that computes the same: this layer's weights, zeros elsewhere."""
        return block_dense.to_dense(self, nn.LSTM)

    @classmethod
    def from_dense(
        cls, lstm: nn.LSTM, num_blocks: int = 1, gamma: float = 1.0, weight_drop: float = 0.0
    ) -> SparseLSTM:
        """The sparse layer with those weights of an ``nn.LSTM`` that lie in its blocks."""
        options = block_dense.options_of(lstm, nn.LSTM)
        layer = cls(num_blocks=num_blocks, gamma=gamma, weight_drop=weight_drop, **options)
        block_dense.copy_from_dense(layer, lstm)
        return layer.train(lstm.training)

    def extra_repr(self) -> str:
        """Sizes and geometry."""
        return block_stack.describe(self)


class SparseGRU(nn.Module):
    """N GRUs side by side, each on a window of γ·i of the i inputs: a sparse ``nn.GRU``.

    Called as ``nn.GRU``: ``layer(x, h0=None) -> (y, hn)``. Arguments, layout of the state dict and
    errors are those of :class:`SparseLSTM`; parameters of one layer: the sum over its blocks of
    3 s (w + s + 2).

    Source: Demeester et al. 2018, §3.1.

    >>> y, hn = SparseGRU(8, 6, num_blocks=2, gamma=0.75)(torch.zeros(5, 3, 8))
    >>> y.shape, hn.shape
    (torch.Size([5, 3, 6]), torch.Size([1, 3, 6]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_blocks: int = 1,
        gamma: float = 1.0,
        batch_first: bool = False,
        weight_drop: float = 0.0,
        *,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.num_blocks, self.gamma = num_blocks, gamma
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.weight_drop = dropout, weight_drop
        self.units = block_stack.block_units(hidden_size, num_blocks)
        self.windows = block_stack.layer_windows(self)
        self.blocks = block_stack.make_blocks(self, nn.GRU, device=device, dtype=dtype)

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """Outputs of the last layer, and hn of all."""
        y, (hn,) = block_stack.run(self, input, None if hx is None else (hx,))
        return y, hn

    def reset_parameters(self) -> None:
        """Initial weights anew: U(±1/√s) for a block of s units."""
        for block in self.blocks:
            block.reset_parameters()  # pyright: ignore

    def flatten_parameters(self) -> None:
        """As ``nn.GRU.flatten_parameters``, for every block."""
        for block in self.blocks:
            block.flatten_parameters()  # pyright: ignore

    def to_dense(self) -> nn.GRU:
        """The ``nn.GRU`` that computes the same: this layer's weights, zeros elsewhere."""
        return block_dense.to_dense(self, nn.GRU)

    @classmethod
    def from_dense(
        cls, gru: nn.GRU, num_blocks: int = 1, gamma: float = 1.0, weight_drop: float = 0.0
    ) -> SparseGRU:
        """The sparse layer with those weights of an ``nn.GRU`` that lie in its blocks."""
        options = block_dense.options_of(gru, nn.GRU)
        layer = cls(num_blocks=num_blocks, gamma=gamma, weight_drop=weight_drop, **options)
        block_dense.copy_from_dense(layer, gru)
        return layer.train(gru.training)

    def extra_repr(self) -> str:
        """Sizes and geometry."""
        return block_stack.describe(self)


class SparseRNN(nn.Module):
    """N plain RNNs side by side, each on a window of γ·i of the i inputs: a sparse ``nn.RNN``.

    Called as ``nn.RNN``: ``layer(x, h0=None) -> (y, hn)``, with its ``nonlinearity``, ``"tanh"`` or
    ``"relu"``. Other arguments, layout of the state dict and errors are those of
    :class:`SparseLSTM`; parameters of one layer: the sum over its blocks of s (w + s + 2).

    Source: Demeester et al. 2018, §3.1.

    >>> y, hn = SparseRNN(8, 6, num_blocks=2, nonlinearity="relu")(torch.zeros(5, 3, 8))
    >>> y.shape, hn.shape
    (torch.Size([5, 3, 6]), torch.Size([1, 3, 6]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_blocks: int = 1,
        gamma: float = 1.0,
        batch_first: bool = False,
        weight_drop: float = 0.0,
        *,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.num_blocks, self.gamma = num_blocks, gamma
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.weight_drop = dropout, weight_drop
        self.units = block_stack.block_units(hidden_size, num_blocks)
        self.windows = block_stack.layer_windows(self)
        self.nonlinearity = nonlinearity
        if nonlinearity not in ("tanh", "relu"):
            raise InputError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        self.blocks = block_stack.make_blocks(
            self, nn.RNN, nonlinearity=nonlinearity, device=device, dtype=dtype
        )

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """Outputs of the last layer, and hn of all."""
        y, (hn,) = block_stack.run(self, input, None if hx is None else (hx,))
        return y, hn

    def reset_parameters(self) -> None:
        """Initial weights anew: U(±1/√s) for a block of s units."""
        for block in self.blocks:
            block.reset_parameters()  # pyright: ignore

    def flatten_parameters(self) -> None:
        """As ``nn.RNN.flatten_parameters``, for every block."""
        for block in self.blocks:
            block.flatten_parameters()  # pyright: ignore

    def to_dense(self) -> nn.RNN:
        """The ``nn.RNN`` that computes the same: this layer's weights, zeros elsewhere."""
        return block_dense.to_dense(self, nn.RNN, nonlinearity=self.nonlinearity)

    @classmethod
    def from_dense(
        cls, rnn: nn.RNN, num_blocks: int = 1, gamma: float = 1.0, weight_drop: float = 0.0
    ) -> SparseRNN:
        """The sparse layer with those weights of an ``nn.RNN`` that lie in its blocks."""
        options = block_dense.options_of(rnn, nn.RNN)
        options["nonlinearity"] = rnn.nonlinearity
        layer = cls(num_blocks=num_blocks, gamma=gamma, weight_drop=weight_drop, **options)
        block_dense.copy_from_dense(layer, rnn)
        return layer.train(rnn.training)

    def extra_repr(self) -> str:
        """Sizes and geometry."""
        return block_stack.describe(self)
