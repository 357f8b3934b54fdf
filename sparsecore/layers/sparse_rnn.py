"""Predefined-sparse recurrent layers: drop-in replacements of ``nn.LSTM``, ``nn.GRU``, ``nn.RNN``.

W_hh is block-diagonal and W_hi banded (Demeester et al. 2018, §3.1). Such a layer is the same as N
dense ones side by side, each on its own window of the inputs, with their outputs concatenated: no
zero is stored, nor multiplied, save in layers so small that this is faster. The equations of a step
are in :mod:`sparsecore.ops.cells`, the sizes in :mod:`~sparsecore.layers.geometry`, how blocks run
in :mod:`~sparsecore.layers.block_stack`.
Public as ``sparsecore.SparseLSTM``, ``SparseGRU``, ``SparseRNN``.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsecore.errors import InputError, integer
from sparsecore.layers import block_dense, block_stack
from sparsecore.layers.geometry import block_sizes, input_windows
from sparsecore.ops.cells import num_directions

OURS = {"gamma", "num_layers", "weight_drop"}  # naming one shows that nn.LSTM's order is not meant


def _not_num_layers(init: Callable[..., None]) -> Callable[..., None]:
    """Refuse a third argument by position alone: ``nn.LSTM`` would take it for num_layers."""

    @functools.wraps(init)
    def checked(self: nn.Module, *args: Any, **options: Any) -> None:
        if len(args) == 3 and args[2] != 1 and not OURS & options.keys():
            sizes, kind = ", ".join(map(str, args)), type(self).__name__
            raise InputError(
                f"{kind}({sizes}): nn.{kind.removeprefix('Sparse')} takes the third argument for "
                f"num_layers, {kind} for num_blocks; write num_blocks={args[2]} or "
                f"num_layers={args[2]}"
            )
        init(self, *args, **options)

    return checked


class SparseRecurrent(nn.Module):
    """What :class:`SparseLSTM`, :class:`SparseGRU` and :class:`SparseRNN` share."""

    cell: ClassVar[type[nn.RNNBase]]  # what a block is
    states: int = 1

    @_not_num_layers
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
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **cell_options: Any,
    ) -> None:
        super().__init__()
        kind = type(self).__name__
        _check_options(kind, num_blocks, gamma, proj_size)
        _check_switches(kind, batch_first=batch_first, bias=bias, bidirectional=bidirectional)
        input_size = integer(input_size, "input_size")
        hidden_size = integer(hidden_size, "hidden_size")
        num_blocks = integer(num_blocks, "num_blocks")
        num_layers = integer(num_layers, "num_layers", 1)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.num_blocks, self.gamma = num_blocks, gamma
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.weight_drop = dropout, weight_drop
        self.units = _units(hidden_size, num_blocks)
        self.windows = _windows(self)
        for name in ("dropout", "weight_drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} acts between layers and num_layers is 1: it has no effect",
                stacklevel=3,
            )
        self.blocks = nn.ModuleList(
            self.cell(  # initialised by PyTorch: U(±1/√s) of the block's own size s
                window.stop - window.start,
                unit.stop - unit.start,
                bias=bias,
                bidirectional=bidirectional,
                device=device,
                dtype=dtype,
                **cell_options,
            )
            for windows in self.windows
            for window, unit in zip(windows, self.units, strict=True)
        )

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """Outputs of the last layer, and hn of all."""
        y, (hn,) = block_stack.run(self, input, None if hx is None else (hx,))
        return y, hn

    def __prepare_scriptable__(self) -> Self:
        """What ``torch.jit.script`` calls first, of a layer inside a larger model too."""
        kind = type(self).__name__
        raise InputError(
            f"{kind} is not scripted (torch.jit.script): put {kind}.to_dense(), which computes the "
            f"same, in its place; torch.jit.trace, torch.compile and torch.export take {kind}"
        )

    def reset_parameters(self) -> None:
        """Initial weights anew: U(±1/√s) for a block of s units."""
        for block in self.blocks:
            block.reset_parameters()  # pyrefly: ignore[not-callable]

    def flatten_parameters(self) -> None:
        """As ``nn.LSTM.flatten_parameters``, for every block that has it."""
        for block in self.blocks:
            if isinstance(block, nn.RNNBase):
                block.flatten_parameters()

    def to_dense(self) -> Any:
        """The dense layer that computes the same: this layer's weights, zeros elsewhere.

        What is pruned, parametrized or normalised is written out as it is now; what is frozen
        stays frozen.

        Raises:
            InputError: blocks whose weights cannot be read, such as quantised ones.
        """
        return block_dense.to_dense(self, self.cell, **self._cell_options())

    @classmethod
    def from_dense(
        cls, dense: nn.Module, num_blocks: int = 1, gamma: float = 1.0, weight_drop: float = 0.0
    ) -> Self:
        """The sparse layer with those weights of a dense one that lie in its blocks.

        Args:
            dense: the ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` that the class is the sparse form of.
                Weights that are frozen there are frozen here.
            num_blocks, gamma, weight_drop: of the new layer; other options are those of ``dense``.

        Raises:
            InputError: another kind of layer, or one with ``proj_size``.
        """
        source = block_dense.dense_layer(dense, cls.cell)
        options = block_dense.options_of(source) | cls._options_of_cell(source)
        layer = cls(num_blocks=num_blocks, gamma=gamma, weight_drop=weight_drop, **options)
        block_dense.copy_from_dense(layer, source)
        return layer.train(source.training)

    def _cell_options(self) -> dict[str, Any]:
        """What the dense layer is made with beside the options that all cells have."""
        return {}

    @classmethod
    def _options_of_cell(cls, dense: Any) -> dict[str, Any]:
        """The same of a dense layer."""
        return {}

    def _load_from_state_dict(  # pyrefly: ignore[bad-override]
        self, state_dict: dict[str, Any], prefix: str, *arguments: Any
    ) -> None:
        block_dense.rename_dense_state(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def extra_repr(self) -> str:
        """Sizes, geometry and what differs from the defaults."""
        return block_stack.describe(self)


class SparseLSTM(SparseRecurrent):
    """N LSTMs side by side, each on a window of γ·i of the i inputs: a sparse ``nn.LSTM``.

        i, f, g, o = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh    of each block
        c_t = σ(f) ∘ c_{t-1} + σ(i) ∘ tanh(g),    h_t = σ(o) ∘ tanh(c_t)

    Parameters of one layer: the sum over its blocks of 4 s (w + s + 2), with s units and w inputs.
    With ``num_blocks=1`` it is a dense ``nn.LSTM``, and loads its state dict.

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
        proj_size: 0; projections are not supported.
        device, dtype: of the parameters.

    Called as ``nn.LSTM``: ``layer(x, (h0, c0)=None) -> (y, (hn, cn))``; x a T B i tensor, T i, or a
    ``PackedSequence``; y T B h, or T B 2h with the forward units first; states L·D B h.

    The state dict has ``blocks.{n}.weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0``
    (and each with ``_reverse``); block n of layer l is ``blocks.{l·N + n}``.

    Differences to ``nn.LSTM``: the third argument by position is ``num_blocks`` (and refused where
    it stands alone, since ``nn.LSTM`` means ``num_layers``); ``proj_size`` is refused; input and
    state of wrong shapes raise :class:`~sparsecore.InputError`, a ``ValueError``, where ``nn.LSTM``
    raises a ``RuntimeError``; weights are attributes of the blocks, such as
    ``layer.blocks[0].weight_hh_l0``, which is where pruning and parametrizations go; there is no
    ``all_weights``; it is traced, compiled and exported, but not scripted (``torch.jit.script``
    takes what ``to_dense()`` returns); second derivatives (``create_graph=True``) are right on a
    CPU and refused on a GPU, as cuDNN's.

    On a GPU with Triton all blocks take each time step at once, in float32 and float64, unless the
    sequences are packed. On a CPU layers so small that the calls cost more than the products (h up
    to 128) run as the dense layer they stand for; a gradient that is not finite then reaches all
    blocks. Else each block is an ``nn.LSTM`` that is called.

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

    cell = nn.LSTM
    states = 2

    def forward(  # pyrefly: ignore[bad-override]
        self, input: Tensor | PackedSequence, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
        """Outputs of the last layer, and (hn, cn) of all."""
        return block_stack.run(self, input, None if hx is None else tuple(hx))


class SparseGRU(SparseRecurrent):
    """N GRUs side by side, each on a window of γ·i of the i inputs: a sparse ``nn.GRU``.

    Called as ``nn.GRU``: ``layer(x, h0=None) -> (y, hn)``. Arguments, layout of the state dict,
    errors and differences are those of :class:`SparseLSTM`; parameters of one layer: the sum over
    its blocks of 3 s (w + s + 2).

    Source: Demeester et al. 2018, §3.1.

    >>> y, hn = SparseGRU(8, 6, num_blocks=2, gamma=0.75)(torch.zeros(5, 3, 8))
    >>> y.shape, hn.shape
    (torch.Size([5, 3, 6]), torch.Size([1, 3, 6]))
    """

    cell = nn.GRU


class SparseRNN(SparseRecurrent):
    """N plain RNNs side by side, each on a window of γ·i of the i inputs: a sparse ``nn.RNN``.

    Called as ``nn.RNN``: ``layer(x, h0=None) -> (y, hn)``, with its ``nonlinearity``, ``"tanh"`` or
    ``"relu"``, by keyword. Other arguments, layout of the state dict, errors and differences are
    those of :class:`SparseLSTM`; parameters of one layer: the sum over its blocks of s (w + s + 2).

    Source: Demeester et al. 2018, §3.1.

    >>> y, hn = SparseRNN(8, 6, num_blocks=2, nonlinearity="relu")(torch.zeros(5, 3, 8))
    >>> y.shape, hn.shape
    (torch.Size([5, 3, 6]), torch.Size([1, 3, 6]))
    """

    cell = nn.RNN

    def __init__(self, *args: Any, nonlinearity: str = "tanh", **options: Any) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise InputError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(*args, nonlinearity=nonlinearity, **options)
        self.nonlinearity = nonlinearity

    def _cell_options(self) -> dict[str, Any]:
        return {"nonlinearity": self.nonlinearity}

    @classmethod
    def _options_of_cell(cls, dense: Any) -> dict[str, Any]:
        return {"nonlinearity": dense.nonlinearity}


def _check_options(kind: str, num_blocks: int, gamma: float, proj_size: int) -> None:
    for name, value in {"num_blocks": num_blocks, "gamma": gamma}.items():
        if isinstance(value, bool):
            raise InputError(
                f"{name} must be a number, got {value}: by position {kind} takes input_size, "
                "hidden_size, num_blocks, gamma, batch_first; name num_layers= and bias="
            )
    if proj_size:
        raise InputError(f"{kind} has no projections: proj_size must be 0, got {proj_size}")


def _check_switches(kind: str, **switches: Any) -> None:
    for name, value in switches.items():
        if not isinstance(value, bool):
            hint = "; name weight_drop=" if name == "batch_first" else ""
            raise InputError(
                f"{name} must be True or False, got {value!r:.60}: by position {kind} takes "
                f"input_size, hidden_size, num_blocks, gamma, batch_first, weight_drop{hint}"
            )


def _units(hidden_size: int, num_blocks: int) -> list[slice]:
    """The hidden units of each block."""
    ends = [0, *itertools.accumulate(block_sizes(hidden_size, num_blocks))]
    return [slice(begin, end) for begin, end in itertools.pairwise(ends)]


def _windows(layer: SparseRecurrent) -> list[list[slice]]:
    """Windows of each layer's blocks: over the i inputs, above the first over all D·h outputs."""
    above = num_directions(layer) * layer.hidden_size
    widths = [layer.input_size] + [above] * (layer.num_layers - 1)
    return [input_windows(width, layer.num_blocks, layer.gamma) for width in widths]
