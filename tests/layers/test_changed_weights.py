"""Blocks that were pruned, parametrized, normalised, quantised, compiled or frozen."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.ops.weights import cell_weights
from sparsecore.pruning.units import compact_lstm

LAYERS = {sc.SparseLSTM: nn.LSTM, sc.SparseGRU: nn.GRU, sc.SparseRNN: nn.RNN}
EVERY = pytest.mark.parametrize("make", LAYERS, ids=lambda make: make.__name__)


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def pruned(block):
    for name in ("weight_hh_l0", "weight_ih_l0"):  # not the order of nn.LSTM
        prune.l1_unstructured(block, name, amount=0.5)


def parametrized(block):
    parametrize.register_parametrization(block, "weight_ih_l0", Doubled())


def weight_normed(block):
    parametrizations.weight_norm(block, "weight_hh_l0")


def spectral_normed(block):
    parametrizations.spectral_norm(block, "weight_hh_l0")


def weight_normed_by_hook(block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's, of the older form
        nn.utils.weight_norm(block, "weight_hh_l0")


CHANGES = pytest.mark.parametrize(
    "change", [pruned, parametrized, weight_normed, spectral_normed, weight_normed_by_hook]
)


def changed(make, change, **options):
    torch.manual_seed(0)
    layer = make(6, 8, 2, 0.75, **options)
    for block in layer.blocks:
        change(block)
    return layer, torch.randn(5, 3, 6)


@EVERY
@CHANGES
def test_dense_form_has_the_weights_as_they_are_now(make, change):
    layer, x = changed(make, change, num_layers=2, bidirectional=True)
    layer.eval()
    with torch.no_grad():  # what stands behind a weight moves, as in a step of training
        for parameter in layer.parameters():
            parameter.mul_(1.5)
    dense = layer.to_dense()
    torch.testing.assert_close(dense(x)[0], layer(x)[0], atol=1e-5, rtol=1e-5)
    assert type(dense) is LAYERS[make] and all(p.requires_grad for p in dense.parameters())


@EVERY
@CHANGES
def test_weight_drop_acts_on_the_weights_as_they_are_now(make, change):
    layer, x = changed(make, change, weight_drop=1e-9)
    layer.train()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(1.5)
    y = layer(x)[0]
    y.sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    if change is not spectral_normed:  # each call in training is a step of its power iteration
        torch.testing.assert_close(layer.eval()(x)[0], y, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")  # PyTorch's tracer warns of its own deprecations
@pytest.mark.parametrize("change", [pruned, weight_normed])
def test_exported_program_has_the_weights_as_they_are_now(change):
    layer, x = changed(sc.SparseLSTM, change)
    expected = layer.eval()(x)[0]
    program = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(program(x)[0], expected)


@EVERY
@CHANGES
def test_sparse_form_of_a_changed_dense_layer(make, change):
    torch.manual_seed(0)
    dense, x = LAYERS[make](6, 8).eval(), torch.randn(5, 3, 6)
    change(dense)
    torch.testing.assert_close(make.from_dense(dense)(x)[0], dense(x)[0], atol=1e-5, rtol=1e-5)


def test_compact_lstm_of_a_changed_layer():
    torch.manual_seed(0)
    for change in (pruned, parametrized, weight_normed, weight_normed_by_hook):
        lstm, x = nn.LSTM(6, 8).eval(), torch.randn(5, 3, 6)
        change(lstm)
        torch.testing.assert_close(compact_lstm(lstm, 0.0)(x)[0], lstm(x)[0])


def test_compact_of_a_pruned_rational_layer_has_its_effective_weights():
    torch.manual_seed(0)
    rnn, x = sc.RationalRNN(6, [2, 3]), torch.randn(5, 3, 6)
    prune.l1_unstructured(rnn, "main", amount=0.5)
    with torch.no_grad():
        rnn.main_orig.mul_(1.5)
    small = sc.compact(rnn, 0.0)
    assert small.lengths == rnn.lengths and all(p.requires_grad for p in small.parameters())
    torch.testing.assert_close(small(x)[0], rnn(x)[0])


@pytest.mark.filterwarnings("ignore")  # of PyTorch, about its quantisation
@pytest.mark.parametrize("make", [sc.SparseLSTM, sc.SparseGRU])
def test_quantised_blocks_run_and_conversions_are_refused_by_name(make):
    torch.manual_seed(0)
    model = nn.ModuleDict({"rnn": make(6, 8, 2, 0.75, batch_first=True)}).eval()
    small = torch.ao.quantization.quantize_dynamic(model, {LAYERS[make]})
    x = torch.randn(3, 5, 6)
    torch.testing.assert_close(small["rnn"](x)[0], model["rnn"](x)[0], atol=0.05, rtol=0)
    with pytest.raises(InputError, match=r"weights can be read from nn.LSTM.* of torch.ao"):
        small["rnn"].to_dense()


@EVERY
def test_frozen_weights_stay_frozen(make):
    dense = LAYERS[make](6, 8, num_layers=2)
    dense.weight_hh_l1.requires_grad_(False)
    sparse = make.from_dense(dense, 2, 0.75)
    frozen = [name for name, p in sparse.named_parameters() if not p.requires_grad]
    assert frozen == ["blocks.2.weight_hh_l0", "blocks.3.weight_hh_l0"]
    again = [name for name, p in sparse.to_dense().named_parameters() if not p.requires_grad]
    assert again == ["weight_hh_l1"]
    with torch.no_grad():
        assert all(p.requires_grad for p in make(6, 8, 2, 0.75).to_dense().parameters())


def test_frozen_layers_of_other_kinds_stay_frozen():
    frozen = nn.LSTM(6, 8).requires_grad_(False)
    assert not any(p.requires_grad for p in compact_lstm(frozen).parameters())
    rnn = sc.RationalRNN(6, [2, 3])
    rnn.loop.requires_grad_(False)
    small = sc.compact(rnn)
    assert not small.loop.requires_grad and small.main.requires_grad
    weight = torch.randn(20, 8)
    known = nn.Embedding.from_pretrained(weight).weight
    assert not any(p.requires_grad for p in sc.SparseEmbedding.from_dense(known, 0.5).parameters())
    assert all(p.requires_grad for p in sc.SparseEmbedding.from_dense(weight, 0.5).parameters())


@EVERY
def test_compiled_dense_layer_is_converted(make):
    dense = LAYERS[make](6, 8)
    compiled = torch.compile(dense, backend="eager")
    x = torch.randn(5, 3, 6)
    torch.testing.assert_close(make.from_dense(compiled)(x)[0], dense(x)[0])


def test_weights_are_found_by_name_in_any_order():
    lstm = nn.LSTM(3, 4, bidirectional=True)
    expected = [[w.clone() for w in cell] for cell in cell_weights(lstm)]
    prune.identity(lstm, "weight_ih_l0")  # now the last of the parameters
    assert next(name for name, _ in lstm.named_parameters()) != "weight_ih_l0"
    for found, right in zip(cell_weights(lstm), expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(found, right, strict=True))
