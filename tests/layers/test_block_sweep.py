"""Layers whose blocks run in one sweep equal layers whose blocks run one by one.

Here the sweep is taken on a CPU, where no layer takes it by itself, so that what cuts the inputs
and puts the outputs together is seen to be right; the kernels have tests of their own.
"""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.layers import block_stack, block_sweep, together
from sparsecore.layers.together import run_together

OPTIONS = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "weight_drop": 0.5, "bidirectional": True, "batch_first": True},
]
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture
def swept(monkeypatch):
    """As if kernels served every tensor; the numbers of components in each sweep."""
    counts = []

    def sweep_blocks(blocks, *arguments):
        counts.append(len(blocks))
        return block_sweep.sweep_blocks(blocks, *arguments)

    monkeypatch.setattr(block_sweep, "fuses", lambda x: True)
    for module in (block_stack, together):
        monkeypatch.setattr(module, "sweep_blocks", sweep_blocks)
    return counts


def make(**options):
    torch.manual_seed(0)
    return sc.SparseLSTM(7, 11, 3, 0.55, dtype=torch.float64, **options)


def given(layer, B=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    shapes = ((B, 5, 7) if layer.batch_first else (5, B, 7), (rows, B, 11), (rows, B, 11))
    x, *state = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    return x.requires_grad_(), tuple(s.requires_grad_() for s in state)


def everything(layer, x, state):
    """Outputs, states and all gradients."""
    torch.manual_seed(5)  # of weight drop
    y, final = layer(x, state)
    loss = (y * y).sum() + sum((k * s).sum() for k, s in enumerate(final, 2))
    leaves = [x, *(state or ()), *layer.parameters()]
    return [y, *final, *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("with_state", [True, False])
def test_a_swept_layer_equals_one_run_block_by_block(options, with_state, swept, monkeypatch):
    layer = make(**options)
    x, state = given(layer)
    fast = everything(layer, x, state if with_state else None)
    assert swept == [3] * layer.num_layers
    monkeypatch.setattr(block_sweep, "fuses", lambda x: False)
    slow = everything(layer, x, state if with_state else None)
    assert len(swept) == layer.num_layers
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_without_a_batch(swept):
    layer, (x, state) = make(), given(make(), B=1)
    y, (h, _) = layer(x[:, 0], tuple(s[:, 0] for s in state))
    expected, (h_expected, _) = layer.to_dense()(x[:, 0], tuple(s[:, 0] for s in state))
    assert swept == [3]
    torch.testing.assert_close((y, h), (expected, h_expected), **EXACT)


def test_what_is_run_as_before(swept):
    """Each of these has to be, or is better, called component by component."""
    layer, x = make(), given(make())[0].detach()
    layer(pack_sequence([x[:, 0], x[:2, 1]]))
    sc.SparseGRU(7, 11, 3, 0.55).double()(x)
    sc.SparseRNN(7, 11, 3, 0.55).double()(x)
    sc.SparseLSTM(7, 11).double()(x)
    torch.export.export(layer.eval(), (x,))
    with pytest.raises((RuntimeError, ValueError)):  # PyTorch's own words on a type that is wrong
        layer(x.float())
    seen = []
    handle = layer.blocks[1].register_forward_hook(lambda module, inputs, y: seen.append(y))
    layer(x)
    handle.remove()
    assert len(seen) == 1
    scaled = make()
    nn.utils.parametrizations.weight_norm(scaled.blocks[0], "weight_hh_l0")
    scaled(x)
    assert swept == []
    layer(x)
    assert swept == [3]


def test_a_compiled_layer_may_call_the_sweep(swept):
    """It is a call to the compiler, as ``nn.LSTM`` is, and never looked into."""
    layer, x = make(), given(make())[0]
    with torch.no_grad():
        y, _ = torch.compile(layer, backend="eager")(x)
    torch.testing.assert_close(y, layer(x)[0], **EXACT)


def test_no_layer_on_a_cpu_takes_the_sweep():
    layer = make()
    assert not block_sweep.sweeps(list(layer.blocks), [given(layer)[0]], [None])


@pytest.mark.parametrize("options", OPTIONS[:4])
@pytest.mark.parametrize("with_states", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
def test_several_layers_together_equal_each_alone(
    options, with_states, at_once, swept, monkeypatch
):
    layers = [make(**options) for _ in range(3)]
    for layer in layers[1:]:
        layer.reset_parameters()
    xs, states = zip(*(given(layer, seed=n) for n, layer in enumerate(layers)), strict=True)
    monkeypatch.setattr(block_sweep, "fuses", lambda x: at_once)
    results = run_together(layers, xs, states if with_states else None)
    assert swept == ([9] * layers[0].num_layers if at_once else [])
    monkeypatch.setattr(block_sweep, "fuses", lambda x: False)
    for n, (layer, (y, final)) in enumerate(zip(layers, results, strict=True)):
        leaves = [xs[n], *layer.parameters()]
        expected, final_expected = layer(xs[n], states[n] if with_states else None)
        torch.testing.assert_close((y, *final), (expected, *final_expected), **EXACT)
        found, right = (torch.autograd.grad(t.square().sum(), leaves) for t in (y, expected))
        torch.testing.assert_close(found, right, **EXACT)


def test_dropout_in_layers_together(swept):
    layers = [make(num_layers=2, dropout=1.0) for _ in range(2)]
    xs = [given(layer)[0] for layer in layers]
    for layer, (y, _) in zip(layers, run_together(layers, xs), strict=True):
        torch.testing.assert_close(y, layer(xs[0])[0], **EXACT)  # nothing comes to the second
    assert swept[:2] == [6, 6]


@pytest.mark.parametrize(
    ("layers", "shapes", "message"),
    [
        ([], [], "at least 1, got 0, 0 and 0"),
        ([make()], [(5, 3, 7)] * 2, "got 1, 2 and 1"),
        ([make(), make(bias=False)], [(5, 3, 7)] * 2, r"layers\[1\] and .* differ in bias"),
        ([make()] * 2, [(5, 3, 7), (4, 3, 7)], r"inputs\[1\] .*\(5, 3, 7\), got \(4, 3, 7\)"),
        ([make()], [(5, 3, 6)], "input must be T B 7"),
    ],
)
def test_what_is_not_alike_is_one_clear_line(layers, shapes, message):
    with pytest.raises(InputError, match=message):
        run_together(layers, [torch.zeros(shape, dtype=torch.float64) for shape in shapes])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("options", OPTIONS)
def test_a_layer_on_a_gpu_takes_the_sweep_and_equals_the_cpu(options, monkeypatch):
    pytest.importorskip("triton")
    taken = []

    def seen(blocks, *arguments):
        taken.append(len(blocks))
        return block_sweep.sweep_blocks(blocks, *arguments)

    monkeypatch.setattr(block_stack, "sweep_blocks", seen)
    layer = make(**options).eval()
    x, state = given(layer)
    slow = everything(layer, x, state)
    assert taken == []
    layer.cuda()
    x, *state = (t.detach().cuda().requires_grad_() for t in (x, *state))
    fast = everything(layer, x, tuple(state))
    assert taken == [3] * layer.num_layers
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-9, atol=1e-9)
