"""Forward and backward of a sparse LSTM layer, over a grid of shapes, and of several seeds at once.

T × B = 70 × 20 random inputs, gradients of the weights and of the inputs. On a GPU all ways
multiply float32 without TF32.

- sparsecore: ``SparseLSTM``, its geometry by ``matching_geometry``; of several seeds
  ``run_together``, which on a GPU is one sweep over the blocks of all.
- N × nn.LSTM: its N components called one after the other on slices, outputs concatenated.
- dense, equal parameters: the narrower ``nn.LSTM`` that it was matched to.
- masked: ``nn.LSTM`` of the same width that stores and multiplies the zeros.
- one by one: of several seeds each layer called.
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
from sparsecore.layers.block_dense import matching_entries
from sparsecore.layers.geometry import matching_geometry
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.layers.together import run_together

T, B = 70, 20
CHECKED = 6  # time steps that are held against float64
GRID = (  # i, h, reduce_in, reduce_out; the first is the paper's middle layer
    (1725, 1725, 2 / 3, 2 / 3),
    (400, 1725, 1.0, 2 / 3),
    (1725, 400, 2 / 3, 1.0),
    (200, 1150, 1.0, 1 / 2),
    (600, 600, 1 / 2, 1 / 2),
    (100, 288, 1.0, 1 / 2),
)
TINY = ((12, 18, 2 / 3, 2 / 3), (8, 12, 1.0, 1 / 2))
SEEDS = 8
Shape = tuple[int, int, float, float]
Together = Callable[[list[SparseLSTM], list[Tensor]], list[Tensor]]


def cases(device: torch.device, quick: bool) -> list[Case]:
    """A case for each shape of the grid, and seeds of the last; quick: two of a dozen units."""
    grid = TINY if quick else GRID
    return [*(case(shape, device) for shape in grid), case(grid[-1], device, SEEDS)]


def case(shape: Shape, device: torch.device, seeds: int = 1) -> Case:
    """The layer i → h beside the dense one of reduce_in·i → reduce_out·h, or ``seeds`` of it."""
    inputs, hidden, reduce_in, reduce_out = shape
    num_blocks, gamma = matching_geometry(*shape)
    entries = 4 * sum(
        unit * (window.stop - window.start + unit)
        for window, unit in blocks(SparseLSTM(inputs, hidden, num_blocks, gamma, device="meta"))
    )
    narrow = f"{round(reduce_in * inputs)} → {round(reduce_out * hidden)}"
    name = f"{inputs} → {hidden} as {narrow}, N {num_blocks}"
    flops = 3 * 2 * T * B * entries * seeds
    if seeds > 1:
        name += f", {seeds} seeds"
        return Case(
            name, lambda: prepare_seeds(shape, seeds, device), T * B * seeds, "token", flops
        )
    return Case(name, lambda: prepare(shape, device), T * B, "token", flops)


def blocks(layer: SparseLSTM) -> list[tuple[slice, int]]:
    """Of each block its window of the inputs and its number of units."""
    return [
        (window, unit.stop - unit.start)
        for window, unit in zip(layer.windows[0], layer.units, strict=True)
    ]


def prepare(shape: Shape, device: torch.device) -> Prepared:
    """The layers; all but the narrow one have equal weights."""
    inputs, hidden, reduce_in, reduce_out = shape
    geometry = matching_geometry(*shape)
    torch.manual_seed(0)
    sparse, copied = (SparseLSTM(inputs, hidden, *geometry, device=device) for _ in range(2))
    copied.load_state_dict(sparse.state_dict())
    masked = sparse.to_dense()
    narrow = nn.LSTM(round(reduce_in * inputs), round(reduce_out * hidden), device=device)

    def one_by_one(x: Tensor) -> Tensor:
        parts = zip(copied.blocks, copied.windows[0], strict=True)
        return torch.cat([block(x[..., window])[0] for block, window in parts], -1)

    def contestant(module: nn.Module, call: Callable[[Tensor], Tensor]) -> Contestant:
        step = timed(module, call, inputs, hidden)
        return Contestant(step, lambda: values(sparse, module, call))

    def truth() -> Values:
        exact = sparse.to_dense().double()
        return values(sparse, exact, lambda x: exact(x)[0])

    alone = timed(narrow, lambda x: narrow(x)[0], narrow.input_size, narrow.hidden_size)
    contestants = {
        REFERENCE: contestant(sparse, lambda x: sparse(x)[0]),
        "N × nn.LSTM": contestant(copied, one_by_one),
        "dense, equal parameters": Contestant(alone),
        "masked": contestant(masked, lambda x: masked(x)[0]),
    }
    return Prepared(contestants, truth, without_tf32())


def prepare_seeds(shape: Shape, seeds: int, device: torch.device) -> Prepared:
    """As many layers of one geometry, each on inputs of its own."""
    inputs, hidden, *_ = shape
    torch.manual_seed(0)
    geometry = matching_geometry(*shape)
    layers = [SparseLSTM(inputs, hidden, *geometry, device=device) for _ in range(seeds)]
    every = nn.ModuleList(layers)
    xs = [
        random_tensor(T, B, inputs, seed=n, device=device, requires_grad=True) for n in range(seeds)
    ]
    upward = random_tensor(seeds, T, B, hidden, seed=seeds, device=device)

    def contestant(call: Together) -> Contestant:
        step = forward_backward(every, lambda: torch.stack(call(layers, xs)), upward, *xs)
        return Contestant(step, lambda: found(call))

    def found(call: Together) -> Values:
        few = [x[:CHECKED].detach().requires_grad_() for x in xs]
        y, gradients = gradients_of(
            every, lambda: torch.stack(call(layers, few)), upward[:, :CHECKED]
        )
        found_at_x = [x.grad for x in few if x.grad is not None]
        return {"y": y, "x.grad": torch.stack(found_at_x)} | gradients

    def truth() -> Values:
        ys, grads, gradients = [], [], {}
        for n, layer in enumerate(layers):
            dense, x = layer.to_dense().double(), xs[n][:CHECKED].detach()
            own = values(layer, dense, lambda x, dense=dense: dense(x)[0], x, upward[n, :CHECKED])
            ys.append(own.pop("y"))
            grads.append(own.pop("x.grad"))
            gradients |= {f"{n}.{name}": value for name, value in own.items()}
        return {"y": torch.stack(ys), "x.grad": torch.stack(grads)} | gradients

    contestants = {
        REFERENCE: contestant(lambda layers, xs: [y for y, _ in run_together(layers, xs)]),
        "one by one": contestant(
            lambda layers, xs: [layer(x)[0] for layer, x in zip(layers, xs, strict=True)]
        ),
    }
    return Prepared(contestants, truth, without_tf32())


def without_tf32() -> Callable[[], None]:
    """cuDNN's LSTM rounds factors to ten bits unless told not to; returns what undoes it."""
    settings: Any = torch.backends.cudnn.rnn
    before, settings.fp32_precision = settings.fp32_precision, "ieee"

    def undo() -> None:
        settings.fp32_precision = before

    return undo


def timed(
    module: nn.Module, call: Callable[[Tensor], Tensor], inputs: int, hidden: int
) -> Callable[[], None]:
    """A step of the whole sequence."""
    device = next(module.parameters()).device
    x = random_tensor(T, B, inputs, device=device, requires_grad=True)
    upward = random_tensor(T, B, hidden, seed=1, device=device)
    return forward_backward(module, lambda: call(x), upward, x)


def values(
    sparse: SparseLSTM,
    module: nn.Module,
    call: Callable[[Tensor], Tensor],
    x: Tensor | None = None,
    upward: Tensor | None = None,
) -> dict[str, Tensor]:
    """Outputs and gradients of a few time steps, named as the parameters of the sparse layer."""
    like = next(module.parameters())
    x = random_tensor(CHECKED, B, sparse.input_size) if x is None else x
    x = x.to(like).requires_grad_()
    upward = random_tensor(CHECKED, B, sparse.hidden_size, seed=1) if upward is None else upward
    upward = upward.to(like)
    y, gradients = gradients_of(module, lambda: call(x), upward)
    assert x.grad is not None
    if isinstance(module, nn.LSTM):  # what of its gradients the sparse layer has, too
        whole = copy.deepcopy(module)
        with torch.no_grad():
            for name, parameter in whole.named_parameters():
                parameter.copy_(gradients[name])
        views = zip(sparse.named_parameters(), matching_entries(sparse, whole), strict=True)
        gradients = {name: view.detach().reshape(own.shape) for (name, own), (_, view) in views}
    return {"y": y, "x.grad": x.grad} | gradients
