"""What PyTorch asks of nn.LSTM, nn.GRU and nn.RNN, asked of the sparse layers."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import sparsecore as sc
from sparsecore.errors import InputError

LAYERS = {sc.SparseLSTM: nn.LSTM, sc.SparseGRU: nn.GRU, sc.SparseRNN: nn.RNN}
EVERY = pytest.mark.parametrize("make", LAYERS, ids=lambda make: make.__name__)


def layer_of(make, dtype=torch.float64, **options):
    torch.manual_seed(0)
    return make(6, 8, 2, 0.75, dtype=dtype, **options)


@EVERY
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_gradients_and_second_derivatives_are_right(make, options):
    torch.manual_seed(0)
    layer = make(3, 4, 2, 0.75, dtype=torch.float64, **options)
    x = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    names, weights = zip(*layer.named_parameters(), strict=True)

    def call(x, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x,))[0]

    assert torch.autograd.gradcheck(call, (x, *weights))
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))


@EVERY
def test_batch_first_may_be_set_after_construction(make):
    layer, x = layer_of(make), torch.randn(3, 5, 6, dtype=torch.float64)
    expected, states = layer(x.transpose(0, 1))
    layer.batch_first = True
    y, others = layer(x)
    torch.testing.assert_close(y, expected.transpose(0, 1))
    torch.testing.assert_close(others, states)
    torch.testing.assert_close(layer.to_dense()(x)[0], y)


@EVERY
def test_empty_batch_gives_empty_outputs(make):
    layer = layer_of(make)
    y, state = layer(torch.zeros(4, 0, 6, dtype=torch.float64))
    h = state[0] if make is sc.SparseLSTM else state
    assert y.shape == (4, 0, 8) and h.shape == (1, 0, 8)


@EVERY
def test_state_that_is_returned_goes_on(make):
    layer, x = layer_of(make, num_layers=2), torch.randn(6, 2, 6, dtype=torch.float64)
    whole, end = layer(x)
    first, state = layer(x[:4])
    second, final = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(final, end)


def test_pair_of_states_may_be_a_list():
    layer, x = layer_of(sc.SparseLSTM), torch.randn(3, 2, 6, dtype=torch.float64)
    state = [torch.randn(1, 2, 8, dtype=torch.float64) for _ in range(2)]
    assert torch.equal(layer(x, state)[0], layer(x, tuple(state))[0])


@EVERY
def test_wrong_inputs_and_states_are_refused_in_one_line(make):
    layer, x = layer_of(make), torch.zeros(3, 2, 6, dtype=torch.float64)
    h = torch.zeros(1, 2, 8, dtype=torch.float64)
    right = (h, h) if make is sc.SparseLSTM else h
    layer(x, right)
    shapes = [torch.zeros(1, 3, 8), torch.zeros(2, 2, 8), torch.zeros(2, 8)]
    for bad in shapes:
        with pytest.raises(InputError, match=r"state must have shape \(1, 2, 8\)"):
            layer(x, (bad, bad) if make is sc.SparseLSTM else bad)
    with pytest.raises(InputError, match="the state must be"):
        layer(x, h if make is sc.SparseLSTM else (h, h))
    for shape in [(3, 2, 5), (6,), (1, 3, 2, 6)]:
        with pytest.raises(InputError, match="input must be T B 6"):
            layer(torch.zeros(shape, dtype=torch.float64))
    with pytest.raises(InputError, match="tensor or a PackedSequence, got list"):
        layer([1.0, 2.0])
    packed = pack_padded_sequence(x, [3, 2])
    with pytest.raises(InputError, match=r"state must have shape \(1, 2, 8\)"):
        layer(packed, (h[:, :1],) * 2 if make is sc.SparseLSTM else h[:, :1])


@EVERY
def test_arguments_that_the_dense_layer_would_take_otherwise_are_refused(make):
    dense = LAYERS[make].__name__
    with pytest.raises(InputError, match=f"nn.{dense} takes the third .* num_layers=2"):
        make(10, 20, 2)
    with pytest.raises(InputError, match="num_layers=2"):
        make(10, 20, 2, batch_first=True)
    with pytest.raises(InputError, match="gamma must be a number, got True"):
        make(10, 20, 2, True, True)
    with pytest.raises(InputError, match="num_blocks must be a number, got True"):
        make(10, 20, True)
    with pytest.raises(InputError, match="proj_size must be 0, got 5"):
        make(10, 20, proj_size=5)
    assert make(10, 20, 1).num_blocks == make(10, 20).num_blocks == 1
    for layer in (make(10, 20, num_blocks=2), make(10, 20, 2, 0.5), make(10, 20, 2, gamma=1.0)):
        assert (layer.num_blocks, layer.num_layers) == (2, 1)
    assert make(10, 20, 2, weight_drop=0.5).num_blocks == 2
    both = make(10, 20, 2, num_layers=3)
    assert (both.num_blocks, both.num_layers) == (2, 3)


@EVERY
def test_layer_of_one_block_loads_the_state_of_a_dense_one(make):
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    dense, layer = LAYERS[make](6, 8, **options), make(6, 8, **options)
    x = torch.randn(4, 3, 6, dtype=torch.float64)
    for outer, inner in [(layer, dense), (nn.Sequential(layer), nn.Sequential(dense))]:
        layer.reset_parameters()
        state = inner.state_dict()
        outer.load_state_dict(state)
        assert list(state) == list(inner.state_dict())
        torch.testing.assert_close(layer(x)[0], dense(x)[0])
    with pytest.raises(InputError, match=r"'weight_ih_l0', of a dense .* 2 blocks: from_dense"):
        layer_of(make).load_state_dict(dense.state_dict())
    with pytest.raises(RuntimeError, match="size mismatch"):
        make(6, 9).load_state_dict(LAYERS[make](6, 8).state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        make(6, 8).load_state_dict(LAYERS[make](6, 8, bias=False).state_dict())


@EVERY
def test_copies_and_pickles_compute_the_same_and_stand_alone(make):
    layer, x = layer_of(make), torch.randn(4, 3, 6, dtype=torch.float64)
    expected = layer(x)[0]
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], expected)
        other.reset_parameters()
        assert not torch.equal(other(x)[0], expected)
    assert torch.equal(copy.copy(layer)(x)[0], expected)


@EVERY
def test_deferred_initialisation_on_the_meta_device(make):
    with torch.device("meta"):
        layer = make(6, 8, 2, 0.75)
    assert layer(torch.zeros(3, 2, 6, device="meta"))[0].shape == (3, 2, 8)
    layer = layer.to_empty(device="cpu")
    layer.reset_parameters()
    assert all(p.abs().max() <= 0.5 for p in layer.parameters())
    filled = make(6, 8, 2, 0.75)
    layer.load_state_dict(filled.state_dict())
    x = torch.randn(3, 2, 6)
    assert torch.equal(layer(x)[0], filled(x)[0])
    assert layer.to_dense().weight_hh_l0.device.type == "cpu"


@EVERY
def test_conversions_keep_type_device_and_mode(make):
    layer = layer_of(make, torch.bfloat16).eval()
    dense = layer.to_dense()
    assert {p.dtype for p in dense.parameters()} == {torch.bfloat16} and not dense.training
    again = make.from_dense(dense, 2, 0.75)
    assert {p.dtype for p in again.parameters()} == {torch.bfloat16} and not again.training
    there = make(6, 8, 2, 0.75, device="meta").to_dense()
    assert there.weight_ih_l0.device.type == "meta"


@EVERY
def test_flatten_parameters_changes_nothing(make):
    layer, x = layer_of(make), torch.randn(3, 2, 6, dtype=torch.float64)
    before = layer(x)[0]
    layer.flatten_parameters()
    assert torch.equal(layer(x)[0], before)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (lambda: sc.SparseEmbedding(20, 8, 0.5, 4), torch.randint(20, (3, 5))),
        (lambda: sc.RationalRNN(6, [2, 3]), torch.randn(5, 3, 6)),
        (lambda: sc.SparseLSTM(6, 8, num_blocks=2), torch.randn(5, 3, 6)),
    ],
)
def test_torch_func_gives_the_gradients_of_backward(layer, x):
    torch.manual_seed(0)
    module = layer()
    parameters = {name: p.detach() for name, p in module.named_parameters()}

    def loss(values):
        out = torch.func.functional_call(module, values, (x,))
        return (out[0] if isinstance(out, tuple) else out).square().sum()

    found = torch.func.grad(loss)(parameters)
    module.zero_grad()
    loss(dict(module.named_parameters())).backward()
    for name, p in module.named_parameters():
        torch.testing.assert_close(found[name], p.grad, rtol=1e-4, atol=1e-5)


@EVERY
@pytest.mark.parametrize("given", [0.5, "yes", 1])
def test_batch_first_that_is_no_bool_is_refused_with_what_was_meant(make, given):
    with pytest.raises(InputError, match=r"batch_first must be .* got .*; name weight_drop="):
        make(8, 8, 2, 0.75, given)
    with pytest.raises(InputError, match="bidirectional must be True or False"):
        make(8, 8, 2, bidirectional=given, num_layers=1)


@EVERY
def test_sizes_are_whole_numbers_of_python_or_numpy(make):
    for name in ("input_size", "hidden_size", "num_blocks", "num_layers"):
        sizes = {"input_size": 8, "hidden_size": 8, "num_blocks": 2, "num_layers": 2}
        make(**{name: np.int64(size) for name, size in sizes.items()})(torch.zeros(3, 2, 8))
        with pytest.raises(InputError, match=rf"{name} must be a whole number, got 2\.0"):
            make(**sizes | {name: 2.0})
    with pytest.raises(InputError, match="num_embeddings must be a whole number"):
        sc.SparseEmbedding(20.0, 8, 0.5)


@EVERY
@pytest.mark.parametrize("weight_drop", [0.0, 0.5])
def test_types_that_differ_from_the_weights_are_refused(make, weight_drop):
    layer = layer_of(make, torch.float32, weight_drop=weight_drop)
    x, state = torch.zeros(3, 2, 6), torch.zeros(1, 2, 8)
    for dtype in (torch.float64, torch.bfloat16, torch.int64):
        message = rf"weights, torch\.float32, got {dtype}"
        with pytest.raises(InputError, match=f"input must .* {message}"):
            layer(x.to(dtype))
        given = state.to(dtype)
        with pytest.raises(InputError, match=f"state must .* {message}"):
            layer(x, (state, given) if make is sc.SparseLSTM else given)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x.bfloat16())[0].shape == (3, 2, 8)
    with pytest.raises(InputError, match=r"T >= 1, got shape \(0, 2, 6\)"):
        layer(x[:0])
    with pytest.raises(InputError, match=r"T >= 1, got shape \(2, 0, 6\)"):
        layer_of(make, torch.float32, batch_first=True)(x[:0].transpose(0, 1))
    assert layer(x[:, :0])[0].shape == (3, 0, 8)


class Scores(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.out = rnn, nn.Linear(8, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


@EVERY
@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_scripting_says_what_can_be_scripted(make):
    model, x = Scores(layer_of(make, torch.float32)), torch.randn(3, 2, 6)
    for given in (model, model.rnn):
        with pytest.raises(InputError, match=rf"{make.__name__} is not scripted .*to_dense\(\)"):
            torch.jit.script(given)
    expected = model(x)
    model.rnn = model.rnn.to_dense()
    torch.testing.assert_close(torch.jit.script(model)(x), expected)
