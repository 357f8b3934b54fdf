"""Layers whose blocks run in one sweep equal layers whose blocks run one by one.

Here the sweep is taken on a CPU, where no layer takes it by itself, so that what cuts the inputs
and puts the outputs together is seen to be right; the kernels have tests of their own.
"""

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

import sparsecore as sc
from sparsecore.layers import block_stack, block_sweep
from tests.layers.recurrent_reference import call_with_a_hook_and_with_a_parametrized_block

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

    def sweep_blocks(weights, *arguments):
        counts.append(len(weights))
        return block_sweep.sweep_blocks(weights, *arguments)

    monkeypatch.setattr(block_sweep, "fuses", lambda x: True)
    monkeypatch.setattr(block_stack, "sweep_blocks", sweep_blocks)
    monkeypatch.setattr(block_stack, "merges", lambda *arguments: False)
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


def test_packed_hooked_exported_and_other_cells_take_no_sweep(swept):
    """Each of these has to be, or is better, called component by component."""
    layer, x = make(), given(make())[0].detach()
    layer(pack_sequence([x[:, 0], x[:2, 1]]))
    sc.SparseGRU(7, 11, 3, 0.55).double()(x)
    sc.SparseRNN(7, 11, 3, 0.55).double()(x)
    sc.SparseLSTM(7, 11).double()(x)
    torch.export.export(layer.eval(), (x,))
    with pytest.raises((RuntimeError, ValueError)):  # PyTorch's own words on a type that is wrong
        layer(x.float())
    call_with_a_hook_and_with_a_parametrized_block(make, x)
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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("options", OPTIONS)
def test_a_layer_on_a_gpu_takes_the_sweep_and_equals_the_cpu(options, monkeypatch):
    pytest.importorskip("triton")
    taken = []

    def seen(weights, *arguments):
        taken.append(len(weights))
        return block_sweep.sweep_blocks(weights, *arguments)

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
