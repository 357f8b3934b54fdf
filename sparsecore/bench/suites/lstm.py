"""Forward and backward of a sparse LSTM layer, over a grid of shapes.

T × B = 70 × 20 random inputs, gradients of the weights and of the inputs. On a GPU all ways
multiply float32 without TF32.

- sparsecore: ``SparseLSTM``, its geometry by ``matching_geometry``.
- N × nn.LSTM: its N components called one after the other on slices, outputs concatenated.
- dense, equal parameters: the narrower ``nn.LSTM`` that it was matched to.
- masked: ``nn.LSTM`` of the same width that stores and multiplies the zeros.

Compiled and replayed steps, and FlashRNN, are in suite ``compiled``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.bench.case import (
    REFERENCE,
    Case,
    Contestant,
    Prepared,
    Values,
    forward_backward,
    gradients_of,
    random_tensor,
)
from sparsecore.bench.suites.lstm_packed import PackedLSTM
from sparsecore.layers.block_dense import matching_entries
from sparsecore.layers.geometry import matching_geometry
from sparsecore.layers.sparse_rnn import SparseLSTM

T, B = 70, 20
CHECKED = 6  # time steps that are held against float64
GRID = (  # i, h, reduce_in, reduce_out; the first is the paper's middle layer
    (1725, 1725, 2 / 3, 2 / 3),
    (400, 1725, 1.0, 2 / 3),
    (1725, 400, 2 / 3, 1.0),
    (200, 1150, 1.0, 1 / 2),
    (600, 600, 1 / 2, 1 / 2),
    (100, 288, 1.0, 1 / 2),
    (60, 60, 1 / 3, 1 / 3),
)
TINY = ((12, 18, 2 / 3, 2 / 3), (8, 12, 1.0, 1 / 2))
Shape = tuple[int, int, float, float]
Call = Callable[[Tensor], Tensor]
Collect = Callable[
    [nn.Module, Callable[[], Tensor], Tensor, Tensor], tuple[Tensor, dict[str, Tensor]]
]


def cases(device: torch.device, quick: bool) -> list[Case]:
    """A case for each shape of the grid; quick: two of a dozen units."""
    return [case(shape, device) for shape in (TINY if quick else GRID)]


def case(shape: Shape, device: torch.device) -> Case:
    """The layer i → h beside the dense one of reduce_in·i → reduce_out·h."""
    inputs, hidden, reduce_in, reduce_out = shape
    num_blocks, gamma = matching_geometry(*shape)
    layer = SparseLSTM(inputs, hidden, num_blocks, gamma, device="meta")
    entries = sum(p.numel() for name, p in layer.named_parameters() if "weight" in name)
    narrow = f"{round(reduce_in * inputs)} → {round(reduce_out * hidden)}"
    name = f"{inputs} → {hidden} as {narrow}, N {num_blocks}"
    flops = 3 * 2 * T * B * entries
    return Case(name, lambda: prepare(shape, device), T * B, "token", flops)


def prepare(shape: Shape, device: torch.device) -> Prepared:
    """The layers; all but the narrow one have equal weights."""
    inputs, hidden, reduce_in, reduce_out = shape
    geometry = matching_geometry(*shape)
    torch.manual_seed(0)
    sparse, copied = (SparseLSTM(inputs, hidden, *geometry, device=device) for _ in range(2))
    copied.load_state_dict(sparse.state_dict())
    masked = sparse.to_dense()
    narrow = nn.LSTM(round(reduce_in * inputs), round(reduce_out * hidden), device=device)

    def contestant(module: nn.Module, call: Call) -> Contestant:
        step = timed(module, call, inputs, hidden)
        return Contestant(step, lambda: values(sparse, module, call))

    def truth() -> Values:
        exact = sparse.to_dense().double()
        return values(sparse, exact, lambda x: exact(x)[0])

    alone = timed(narrow, lambda x: narrow(x)[0], narrow.input_size, narrow.hidden_size)
    contestants = {
        REFERENCE: contestant(sparse, lambda x: sparse(x)[0]),
        "N × nn.LSTM": contestant(copied, lambda x: one_by_one(copied, x)),
        "dense, equal parameters": Contestant(alone),
        "masked": contestant(masked, lambda x: masked(x)[0]),
    }
    return Prepared(contestants, truth, without_tf32())


def one_by_one(layer: SparseLSTM, x: Tensor) -> Tensor:
    """The blocks called in turn."""
    parts = zip(layer.blocks, layer.windows[0], strict=True)
    return torch.cat([block(x[..., window])[0] for block, window in parts], -1)


def without_tf32() -> Callable[[], None]:
    """cuDNN's LSTM rounds factors to ten bits unless told not to; returns what undoes it."""
    settings: Any = torch.backends.cudnn.rnn
    before, settings.fp32_precision = settings.fp32_precision, "ieee"

    def undo() -> None:
        settings.fp32_precision = before

    return undo


def inputs_of(module: nn.Module, size: int, width: int, steps: int = T) -> tuple[Tensor, Tensor]:
    """x and the gradient of the outputs, for a module from ``size`` inputs to ``width`` units."""
    like = next(module.parameters())
    x = random_tensor(steps, B, size).to(like).requires_grad_()
    return x, random_tensor(steps, B, width, seed=1).to(like)


def timed(module: nn.Module, call: Call, inputs: int, hidden: int) -> Callable[[], None]:
    """A step of the whole sequence."""
    x, upward = inputs_of(module, inputs, hidden)
    return forward_backward(module, lambda: call(x), upward, x)


def at_once(
    module: nn.Module, call: Callable[[], Tensor], upward: Tensor, _x: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Output and gradients of one call."""
    return gradients_of(module, call, upward)


def values(
    sparse: SparseLSTM, module: nn.Module, call: Call, collect: Collect = at_once
) -> dict[str, Tensor]:
    """Outputs and gradients of a few time steps, named as the parameters of the sparse layer."""
    x, upward = inputs_of(module, sparse.input_size, sparse.hidden_size, CHECKED)
    y, gradients = collect(module, lambda: call(x), upward, x)
    assert x.grad is not None
    if isinstance(module, PackedLSTM):
        gradients = module.as_in(sparse, gradients)
    if isinstance(module, nn.LSTM):  # what of its gradients the sparse layer has, too
        whole = copy.deepcopy(module)
        with torch.no_grad():
            for name, parameter in whole.named_parameters():
                parameter.copy_(gradients[name])
        views = zip(sparse.named_parameters(), matching_entries(sparse, whole), strict=True)
        gradients = {name: view.detach().reshape(own.shape) for (name, own), (_, view) in views}
    return {"y": y, "x.grad": x.grad} | gradients
