"""Sparse recurrent layers equal full matrices with zeros, outputs, states and gradients."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.layers.geometry import lstm_parameters
from tests.layers.recurrent_reference import Reference

LAYERS = {"LSTM": sc.SparseLSTM, "GRU": sc.SparseGRU, "TANH": sc.SparseRNN, "RELU": sc.SparseRNN}
DENSE = {"LSTM": nn.LSTM, "GRU": nn.GRU, "TANH": nn.RNN, "RELU": nn.RNN}
CELLS = list(LAYERS)
EXACT = {"rtol": 0, "atol": 1e-10}


def make(cell, *arguments, **options):
    if cell in ("TANH", "RELU"):
        options["nonlinearity"] = cell.lower()
    return LAYERS[cell](*arguments, dtype=torch.float64, **options)


def as_state(cell, tensors):
    return tensors if cell == "LSTM" else tensors[0]


def of_state(cell, state):
    return state if cell == "LSTM" else (state,)


def random(*shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("inputs", "hidden", "num_blocks", "gamma", "num_layers", "directions"),
    [
        (7, 5, 1, 1.0, 1, 1),
        (7, 11, 3, 1.0, 1, 1),  # every block sees everything
        (11, 7, 3, 0.55, 1, 1),  # windows overlap, N divides neither size
        (9, 10, 3, 1 / 3, 1, 1),  # isolated blocks
        (3, 10, 5, 0.4, 1, 1),  # more blocks than inputs
        (11, 7, 3, 0.55, 1, 2),
        (5, 7, 2, 0.6, 3, 1),
        (5, 7, 3, 0.5, 2, 2),
    ],
)
def test_equals_full_matrices_with_zeros(
    cell, inputs, hidden, num_blocks, gamma, num_layers, directions
):
    reference = Reference(cell, inputs, hidden, num_blocks, gamma, num_layers, directions)
    options = {"num_layers": num_layers, "bidirectional": directions == 2}
    layer = make(cell, inputs, hidden, num_blocks, gamma, **options)
    reference.copy_into(layer)
    T, B, rows = 5, 3, num_layers * directions
    x, state = random(T, B, inputs), tuple(random(rows, B, hidden, seed=k) for k in (2, 3))
    state = state if cell == "LSTM" else state[:1]

    y, final = layer(x, as_state(cell, state))
    by_hand = [reference(x[:, b], tuple(s[:, b] for s in state)) for b in range(B)]
    expected = torch.stack([y for y, _ in by_hand], 1)
    finals = [torch.stack(parts, 1) for parts in zip(*(f for _, f in by_hand), strict=True)]
    torch.testing.assert_close(y, expected, **EXACT)
    for ours, theirs in zip(of_state(cell, final), finals, strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)

    weigh = [random(*t.shape, seed=9).detach() for t in (expected, *finals)]
    leaves = (x, *state)

    def gradients(outputs, parameters):
        loss = sum((w * t).sum() for w, t in zip(weigh, outputs, strict=True))
        return torch.autograd.grad(loss, [*leaves, *parameters])

    dense = [w for directions in reference.weights for weights in directions for w in weights]
    ours = gradients((y, *of_state(cell, final)), list(layer.parameters()))
    theirs = gradients((expected, *finals), dense)
    for mine, other in zip(ours[: len(leaves)], theirs, strict=False):
        torch.testing.assert_close(mine, other, **EXACT)
    for leaf, gradient in zip(
        [*layer.parameters(), *dense],
        [*ours[len(leaves) :], *theirs[len(leaves) :]],
        strict=True,
    ):
        leaf.grad = gradient
    compared = 0
    for mine, other in reference.pairs(layer, lambda p: p.grad):
        torch.testing.assert_close(mine, other, **EXACT)
        compared += mine.numel()
    assert compared == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, True)])
def test_calling_conventions_are_those_of_the_dense_layer(cell, num_layers, bidirectional):
    options = {"num_layers": num_layers, "bidirectional": bidirectional}
    layer = make(cell, 7, 9, 3, 0.5, **options)
    dense = layer.to_dense()
    rows = num_layers * (2 if bidirectional else 1)
    x, state = random(4, 3, 7), (random(rows, 3, 9, seed=2), random(rows, 3, 9, seed=3))
    unordered = [random(t, 7, seed=t).detach() for t in (2, 4, 1)]
    packed = pack_sequence(unordered, enforce_sorted=False)
    swapped = make(cell, 7, 9, 3, 0.5, batch_first=True, **options)
    swapped.load_state_dict(layer.state_dict())
    calls = [
        (layer, dense, x, None),
        (layer, dense, x, as_state(cell, state)),
        (layer, dense, x[:, 0], None),
        (layer, dense, x[:, 0], as_state(cell, tuple(s[:, 0] for s in state))),
        (layer, dense, packed, None),
        (layer, dense, packed, as_state(cell, state)),
        (swapped, swapped.to_dense(), x.transpose(0, 1), as_state(cell, state)),
        (swapped, swapped.to_dense(), x[:, 0], None),
    ]
    for ours, theirs, given_input, given_state in calls:
        y, final = ours(given_input, given_state)
        expected, expected_final = theirs(given_input, given_state)
        if given_input is packed:
            assert torch.equal(y.batch_sizes, expected.batch_sizes)
            (y, lengths), (expected, theirs) = pad_packed_sequence(y), pad_packed_sequence(expected)
            assert torch.equal(lengths, theirs)
        assert type(final) is type(expected_final)
        torch.testing.assert_close(y, expected, **EXACT)
        torch.testing.assert_close(final, expected_final, **EXACT)


@settings(max_examples=60)
@given(st.data())
def test_parameters_are_as_promised_and_every_input_is_seen(data):
    inputs, hidden = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 24))
    num_blocks = data.draw(st.integers(1, hidden))
    least = 1 / min(num_blocks, inputs)
    gamma = least + data.draw(st.floats(0, 1)) * (1 - least)
    layer = sc.SparseLSTM(inputs, hidden, num_blocks, gamma)
    count = sum(p.numel() for p in layer.parameters())
    assert count == lstm_parameters(inputs, hidden, num_blocks, gamma)
    assert count == int(sum((p != 0).sum() for p in noisy(layer).to_dense().parameters()))
    x = torch.zeros(1, 1, inputs, requires_grad=True)
    noisy(layer)(x)[0].sum().backward()
    assert (x.grad != 0).all()


def noisy(layer):
    """Every weight away from zero."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.1, 1)
    return layer


@settings(max_examples=60)
@given(st.integers(20, 90), st.integers(20, 90), st.floats(0.3, 1), st.floats(0.3, 1))
def test_matched_layer_has_as_many_parameters_as_the_smaller_dense_one(inputs, hidden, a, b):
    try:
        geometry = sc.matching_geometry(inputs, hidden, a, b)
    except InputError:
        assume(False)
        raise
    count = sum(p.numel() for p in sc.SparseLSTM(inputs, hidden, *geometry).parameters())
    promised = 4 * b * hidden * (a * inputs + b * hidden + 2)
    rounding = 4 * (2 * hidden + geometry[0])  # whole windows and blocks
    assert count <= promised + rounding
    if geometry[1] < 1:  # else the smallest number of blocks leaves something over
        assert count >= promised - rounding


@pytest.mark.parametrize("cell", CELLS)
def test_dense_round_trips(cell):
    options = {"num_layers": 2, "bidirectional": True, "bias": False}
    layer = make(cell, 7, 9, 3, 0.5, **options)
    again = LAYERS[cell].from_dense(layer.to_dense(), 3, 0.5)
    assert list(again.state_dict()) == list(layer.state_dict())
    for name, value in layer.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    kind = {"nonlinearity": "relu"} if cell == "RELU" else {}
    dense = DENSE[cell](7, 9, batch_first=True, **kind)
    same = LAYERS[cell].from_dense(dense)
    assert same.batch_first and same.weight_drop == 0
    x = torch.randn(2, 4, 7)
    torch.testing.assert_close(same(x)[0], dense(x)[0])
    for name, value in same.to_dense().state_dict().items():
        assert torch.equal(value, dense.state_dict()[name])
    assert LAYERS[cell].from_dense(dense.eval(), 2, weight_drop=0.5).weight_drop == 0.5


def test_state_dict_of_one_layer():
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    assert list(sc.SparseLSTM(4, 6, num_blocks=2).state_dict()) == [
        f"blocks.{n}.{name}" for n in (0, 1) for name in names
    ]
    both = sc.SparseGRU(4, 6, 1, bidirectional=True).state_dict()
    assert list(both) == [f"blocks.0.{name}{d}" for d in ("", "_reverse") for name in names]


def test_initial_weights_are_those_of_each_component():
    torch.manual_seed(0)
    layer = sc.SparseLSTM(40, 250, num_blocks=4)
    for block, size in zip(layer.blocks, [62, 63, 62, 63], strict=True):
        for parameter in block.parameters():
            assert parameter.abs().max() <= size**-0.5
        assert block.weight_hh_l0.abs().max() > 0.98 * size**-0.5


def test_dropout_between_layers_only():
    layer = sc.SparseLSTM(4, 6, 2, num_layers=2, dropout=1.0)
    with_nothing, _ = layer(torch.randn(3, 2, 4))
    upper = sc.SparseLSTM(6, 6, num_blocks=2)
    upper.blocks = layer.blocks[2:]
    torch.testing.assert_close(with_nothing, upper(torch.zeros(3, 2, 6))[0])
    assert not torch.allclose(layer.eval()(torch.randn(3, 2, 4))[0], with_nothing)
    with pytest.warns(UserWarning, match="num_layers is 1"):
        sc.SparseLSTM(4, 6, dropout=0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sc.SparseLSTM(4, 6, num_blocks=7), r"num_blocks must lie in \[1, 6\].*got 7"),
        (lambda: sc.SparseGRU(4, 6, num_blocks=0), r"num_blocks must lie in \[1, 6\].*got 0"),
        (
            lambda: sc.SparseRNN(8, 6, 4, 0.2),
            r"gamma must lie in \[1/num_blocks, 1\] = \[0.25, 1\]",
        ),
        (lambda: sc.SparseLSTM(8, 6, 4, 1.5), r"gamma must lie in .* got 1.5"),
        (lambda: sc.SparseLSTM(0, 6), "input_size must be at least 1, got 0"),
        (lambda: sc.SparseLSTM(4, 0), "hidden_size must be at least 1, got 0"),
        (
            lambda: sc.SparseLSTM(4, 6, weight_drop=1.5),
            r"weight_drop must lie in \[0, 1\], got 1.5",
        ),
        (lambda: sc.SparseLSTM(4, 6, num_layers=0), "num_layers must be at least 1, got 0"),
        (lambda: sc.SparseRNN(4, 6, nonlinearity="sin"), "'tanh' or 'relu', got 'sin'"),
        (lambda: sc.SparseLSTM(4, 6)(torch.zeros(3, 2, 5)), r"input must be T B 4 .*\(3, 2, 5\)"),
        (lambda: sc.SparseLSTM(4, 6)(torch.zeros(4)), r"input must be T B 4 .*\(4,\)"),
        (
            lambda: sc.SparseGRU(4, 6, num_blocks=2)(torch.zeros(3, 2, 4), torch.zeros(1, 2, 7)),
            r"state must have shape \(1, 2, 6\), got \(1, 2, 7\)",
        ),
        (lambda: sc.SparseLSTM.from_dense(nn.GRU(4, 6)), "takes an nn.LSTM, got GRU"),
        (lambda: sc.SparseLSTM.from_dense(nn.LSTM(4, 6, proj_size=2)), "proj_size must be 0"),
        (lambda: sc.SparseLSTM.from_dense(nn.LSTM(4, 6), 7), r"num_blocks must lie in \[1, 6\]"),
    ],
)
def test_bad_geometry_input_or_state_raises_input_error(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_repr_says_the_geometry():
    text = repr(sc.SparseLSTM(8, 6, 2, 0.75, weight_drop=0.5))
    assert "8, 6, num_blocks=2, gamma=0.75, weight_drop=0.5" in text
