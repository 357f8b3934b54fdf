"""The recurrences compiled, replayed from CUDA graphs, and by another package's kernels.

A sparse LSTM layer, T × B = 70 × 20, forward and backward as in suite ``lstm``:

- sparsecore: ``SparseLSTM``.
- N × nn.LSTM: its blocks called one after the other.
- torch.compile: ``SparseLSTM`` as PyTorch compiles it.
- compiled cell: the recurrence of all blocks in PyTorch's operations, a time step compiled.
- sparsecore, N × nn.LSTM, dense with equal parameters, *replayed*: the same step as a CUDA graph.
- FlashRNN: its kernels that multiply and apply the gates in turn, in float32; and its fused one,
  all in bfloat16, so that its values differ on purpose: only its outputs are held against the
  truth, and roughly. The package (Pöppel, Beck & Hochreiter 2024) compiles both with nvcc.

The rational recurrence, as in suite ``rational``, on a short text: *loop* and *scan* of that suite,
and both compiled.

Each makes a step and its values before any is timed: compiling and recording, which take from
seconds to minutes, belong to no time. What a machine cannot run, and why not, is in the results.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared, Values
from sparsecore.bench.gate import largest_error
from sparsecore.bench.peers import (
    NEEDS_CUDA,
    Unavailable,
    compiled,
    forget_compiled,
    replay_of,
    where_possible,
)
from sparsecore.bench.suites import lstm, rational
from sparsecore.bench.suites.lstm_packed import PackedLSTM, cell, flash_recurrence, loop
from sparsecore.layers.geometry import matching_geometry
from sparsecore.layers.sparse_rnn import SparseLSTM

SHAPES = (lstm.GRID[0], lstm.GRID[4], lstm.GRID[5])  # the paper's middle layer; 600 → 600; a small
TINY = lstm.TINY[:1]
TEXT = rational.Sizes(rational.CHECKED)  # compiling unrolls the loop, for as many tokens
TINY_TEXT = rational.Sizes(6, 3, 5)
ROUGHLY = 0.05  # error of outputs in bfloat16, relative to the norm
HEAD_MULTIPLE = 16  # of the units of a head, for FlashRNN's fused kernel
Makers = Mapping[str, Callable[[], Contestant]]


def cases(device: torch.device, quick: bool) -> list[Case]:
    """Three layers and a text; quick: of a dozen units, of six words."""
    layers = [
        replace(lstm.case(shape, device), prepare=partial(prepare, shape, device))
        for shape in (TINY if quick else SHAPES)
    ]
    text = TINY_TEXT if quick else TEXT
    automata = rational.case(text, device)
    return [*layers, replace(automata, prepare=partial(prepare_rational, text, device))]


def prepare(shape: lstm.Shape, device: torch.device) -> Prepared:
    """The layers on equal weights, but for the narrow one."""
    given = lstm.prepare(shape, device)
    inputs, hidden, reduce_in, reduce_out = shape
    torch.manual_seed(0)
    sparse = SparseLSTM(inputs, hidden, *matching_geometry(*shape), device=device)
    narrow = nn.LSTM(round(reduce_in * inputs), round(reduce_out * hidden), device=device)
    both = {name: given.contestants[name] for name in (REFERENCE, "N × nn.LSTM")}
    return with_peers(given, both, layer_peers(sparse, narrow, given.truth))


def prepare_rational(sizes: rational.Sizes, device: torch.device) -> Prepared:
    """The ways of suite ``rational`` that are compiled, as they are and compiled."""
    given, texts = rational.prepare(sizes, device), rational.texts(sizes, device)

    def make(way: rational.Way) -> Contestant:
        return texts.contestant(compiled(rational.with_arcs(way)), counted=False)

    kept = {name: given.contestants[name] for name in (REFERENCE, "loop", "scan")}
    makers = {
        "loop, compiled": lambda: make(rational.loop),
        "scan, compiled": lambda: make(rational.scan),
    }
    return with_peers(given, kept, makers)


def with_peers(given: Prepared, kept: dict[str, Contestant], makers: Makers) -> Prepared:
    """The contestants that are kept, and those of the others that can run here."""
    found, absent = where_possible(makers)

    def close() -> None:
        given.close()
        forget_compiled()

    return Prepared(kept | found, given.truth, close, absent)


def layer_peers(sparse: SparseLSTM, narrow: nn.LSTM, truth: Callable[[], Values]) -> Makers:
    """By name, what makes each."""
    size, width = sparse.input_size, sparse.hidden_size
    device = next(sparse.parameters()).device

    def same(module: nn.Module, call: lstm.Call, counted: bool = True) -> Contestant:
        step = lstm.timed(module, call, size, width)
        return Contestant(step, lambda: lstm.values(sparse, module, call), counted)

    def compiled_layer() -> Contestant:
        layer = copied(sparse)
        return same(layer, compiled(lambda x: layer(x)[0]), counted=False)

    def compiled_cell() -> Contestant:
        packed = PackedLSTM(sparse, loop(compiled(cell)))
        return same(packed, packed, counted=False)

    def replayed(call: Callable[[SparseLSTM, Tensor], Tensor]) -> Contestant:
        layer = copied(sparse)
        step = timed_replay(layer, partial(call, layer), size, width)
        return Contestant(step, lambda: lstm.values(sparse, layer, partial(call, layer), by_replay))

    def narrow_replayed() -> Contestant:
        sizes = narrow.input_size, narrow.hidden_size
        return Contestant(timed_replay(narrow, lambda x: narrow(x)[0], *sizes))

    def flash() -> Contestant:
        require_cuda(device)
        packed = PackedLSTM(sparse, flash_recurrence("cuda", "float32"))
        return same(packed, packed)

    def flash_fused() -> Contestant:
        require_cuda(device)
        recurrence = flash_recurrence("cuda_fused", "bfloat16")
        packed = PackedLSTM(sparse, recurrence, HEAD_MULTIPLE).bfloat16()
        require_roughly(lstm.values(sparse, packed, packed), truth())
        return Contestant(lstm.timed(packed, packed, size, width))

    return {
        "torch.compile": compiled_layer,
        "compiled cell": compiled_cell,
        "sparsecore, replayed": lambda: replayed(lambda layer, x: layer(x)[0]),
        "N × nn.LSTM, replayed": lambda: replayed(lstm.one_by_one),
        "dense, equal parameters, replayed": narrow_replayed,
        "FlashRNN": flash,
        "FlashRNN, fused, bfloat16": flash_fused,
    }


def copied(sparse: SparseLSTM) -> SparseLSTM:
    """An equal layer, its weights in one piece of memory for cuDNN."""
    layer = copy.deepcopy(sparse)
    layer.flatten_parameters()
    return layer


def by_replay(
    module: nn.Module, call: Callable[[], Tensor], upward: Tensor, x: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Output and gradients of one replay of a CUDA graph."""
    outputs: list[Tensor] = []

    def step() -> None:
        outputs.append(anew(module, call, upward, x))

    replay = replay_of(step, x.device)
    replay()
    found = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    assert x.grad is not None
    x.grad = x.grad.clone()  # out of the graph's memory
    return outputs[-1].clone(), found


def timed_replay(module: nn.Module, call: lstm.Call, size: int, width: int) -> Callable[[], object]:
    """A step of the whole sequence from a CUDA graph, which is recorded here."""
    x, upward = lstm.inputs_of(module, size, width)
    return replay_of(lambda: anew(module, lambda: call(x), upward, x), x.device)


def anew(module: nn.Module, call: Callable[[], Tensor], upward: Tensor, x: Tensor) -> Tensor:
    """Forward and backward that leave their gradients in new tensors; the output."""
    module.zero_grad(set_to_none=True)
    x.grad = None
    y = call()
    y.backward(upward)
    return y.detach()


def require_cuda(device: torch.device) -> None:
    """Refuse another device.

    Raises:
        Unavailable: it is one.
    """
    if device.type != "cuda":
        raise Unavailable(NEEDS_CUDA)


def require_roughly(found: Values, truth: Values) -> None:
    """Hold outputs of numbers with 8 bits against the truth.

    Raises:
        Unavailable: they miss it by more than a twentieth of its norm.
    """
    error = largest_error({"y": found["y"]}, truth)
    if error > ROUGHLY:
        raise Unavailable(f"its outputs miss the truth by {error:.2g} of the norm")
