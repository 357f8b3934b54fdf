"""Layers that run as the dense layer they stand for equal layers whose blocks run one by one."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

import sparsecore as sc
from sparsecore.layers import block_merge, block_stack
from tests.layers.recurrent_reference import call_with_a_hook_and_with_a_parametrized_block

OPTIONS = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "weight_drop": 0.5, "batch_first": True},
]
KINDS = [sc.SparseLSTM, sc.SparseGRU, sc.SparseRNN]
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture
def merged(monkeypatch):
    """The numbers of the layers that ran merged."""
    taken = []

    def seen(layer, index, *arguments):
        taken.append(index)
        return block_merge.merge_blocks(layer, index, *arguments)

    monkeypatch.setattr(block_stack, "merge_blocks", seen)
    return taken


def make(kind=sc.SparseLSTM, inputs=7, gamma=0.55, **options):
    torch.manual_seed(0)
    return kind(inputs, 11, 3, gamma, dtype=torch.float64, **options)


def given(layer, B=3):
    generator = torch.Generator().manual_seed(1)
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    shape = (B, 5, layer.input_size) if layer.batch_first else (5, B, layer.input_size)
    shapes = (shape, *([(rows, B, 11)] * layer.states))
    x, *state = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    return x.requires_grad_(), [s.requires_grad_() for s in state]


def everything(layer, x, state):
    """Outputs, states and all gradients."""
    torch.manual_seed(5)  # of weight drop
    hx = None if state is None else (tuple(state) if len(state) == 2 else state[0])
    y, final = layer(x, hx)
    finals = list(final) if isinstance(final, tuple) else [final]
    loss = (y * y).sum() + sum((k * s).sum() for k, s in enumerate(finals, 2))
    leaves = [x, *(state or ()), *(p for p in layer.parameters() if p.requires_grad)]
    return [y, *finals, *torch.autograd.grad(loss, leaves)]


def one_by_one(monkeypatch):
    monkeypatch.setattr(block_stack, "merges", lambda *arguments: False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("with_state", [True, False])
def test_a_merged_layer_equals_one_run_block_by_block(
    kind, options, with_state, merged, monkeypatch
):
    layer = make(kind, **options)
    x, state = given(layer)
    fast = everything(layer, x, state if with_state else None)
    assert merged == list(range(layer.num_layers))
    one_by_one(monkeypatch)
    for a, b in zip(fast, everything(layer, x, state if with_state else None), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_one_input_frozen_weights_and_second_derivatives(merged, monkeypatch):
    layer = make(inputs=1, gamma=1.0)
    layer.blocks[1].weight_hh_l0.requires_grad_(False)
    x, state = given(layer)

    def second(layer):
        (first,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    fast = [*everything(layer, x, state), second(layer)]
    assert merged == [0, 0]
    one_by_one(monkeypatch)
    for a, b in zip(fast, [*everything(layer, x, state), second(layer)], strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_what_is_not_finite_stays_in_its_block(merged):
    """Through the zeros of the dense layer ∞ would reach all units: 0 · ∞ is no number."""
    layer = sc.SparseLSTM(6, 6, 3, 1 / 3)
    x = torch.randn(4, 2, 6)
    x[1, :, 0] = float("nan")
    y = layer(x)[0]
    assert merged == [0]
    assert y[1:, :, :2].isnan().all()
    assert y[..., 2:].isfinite().all()


def test_large_batches_wide_layers_and_calls_that_have_to_be_made_are_not_merged(merged):
    layer, x = make(), given(make())[0].detach()
    layer(pack_sequence([x[:, 0], x[:2, 1]]))
    sc.SparseLSTM(7, 11)(x.float())
    layer(x.repeat(1, 200, 1))
    sc.SparseLSTM(7, 129, 3, 0.55)(x[:, :1].float())
    torch.export.export(layer.eval(), (x,))
    call_with_a_hook_and_with_a_parametrized_block(make, x)
    assert merged == []


@pytest.mark.parametrize("mode", [torch.inference_mode(), torch.device("meta"), torch.no_grad()])
def test_what_one_call_keeps_serves_the_next_in_any_mode(mode):
    """What is remembered of a geometry must not be an inference tensor, nor on another device."""
    block_merge.dense_places.cache_clear()
    layer, x = make().float(), torch.randn(5, 3, 7)
    with mode:
        layer(x)
    layer(x)[0].sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


def put(layer, block):
    layer.blocks[1] = block.double()


def wrap(layer, block):
    layer.blocks[1].forward = block.double().forward


RELU = nn.RNN(4, 4, nonlinearity="relu")


@pytest.mark.parametrize("change", [put, wrap])
@pytest.mark.parametrize(
    "block",
    [nn.RNN(4, 4, bias=False), nn.RNN(4, 3), RELU],
    ids=["no bias", "fewer units", "relu"],
)
def test_a_block_put_in_the_place_of_one_is_called(block, change, merged):
    layer = make(sc.SparseRNN)
    x = given(layer)[0].detach()
    change(layer, block)
    y = layer(x)[0]
    own = block(x[..., layer.windows[0][1]])[0]
    torch.testing.assert_close(y[..., 3 : 3 + own.shape[-1]], own, **EXACT)
    assert merged == []


def test_hooks_on_all_modules_see_the_blocks(merged):
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda m, *_: seen.append(type(m)))
    with handle:
        make()(given(make())[0])
    assert seen.count(nn.LSTM) == 3 and merged == []


def test_a_graph_that_is_recorded_has_the_blocks(merged):
    layer, x = make(), given(make())[0].detach()
    recorded = torch.fx.experimental.proxy_tensor.make_fx(lambda x: layer(x)[0])(x)
    assert merged == []
    torch.testing.assert_close(recorded(x), layer(x)[0], **EXACT)


def test_fake_tensors_are_not_merged(merged):
    with torch._subclasses.FakeTensorMode():
        y, _ = sc.SparseLSTM(7, 11, 3, 0.55)(torch.zeros(5, 3, 7))
    assert y.shape == (5, 3, 11)
    assert merged == []
