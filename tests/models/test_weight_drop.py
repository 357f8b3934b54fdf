"""Weight drop: a new mask on W_hh at each training call, and no trace of it in between."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

import sparsecore as sc
from sparsecore.layers.block_stack import run_dropped, side_by_side

MAKE = {
    "lstm": sc.SparseLSTM,
    "gru": sc.SparseGRU,
    "rnn": sc.SparseRNN,
}


@pytest.fixture(params=MAKE)
def layer(request):
    torch.manual_seed(0)
    return MAKE[request.param](5, 6, 2, 0.8, weight_drop=0.5, num_layers=2, bidirectional=True)


def test_only_w_hh_is_dropped_and_the_rest_is_scaled():
    """Gradients of one step from h0 show the mask: a dropped weight has none."""
    torch.manual_seed(0)
    layer = sc.SparseRNN(3, 40, 2, weight_drop=0.25, nonlinearity="relu", bias=False)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1.0)
    x, h0 = torch.zeros(1, 1, 3), torch.ones(1, 1, 40)
    y, _ = layer(x, h0)
    y.sum().backward()
    for n, block in enumerate(layer.blocks):
        gradient = block.weight_hh_l0.grad
        assert set(gradient.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
        assert 0.15 < (gradient == 0).float().mean() < 0.35
        torch.testing.assert_close(y[0, 0, 20 * n : 20 * n + 20], gradient.sum(1))
    assert (layer.blocks[0].weight_hh_l0.grad != layer.blocks[1].weight_hh_l0.grad).any()
    with torch.no_grad():  # without a state nothing is recurrent yet: W_ih is whole
        assert torch.equal(layer(torch.ones(1, 1, 3))[0], torch.full((1, 1, 40), 3.0))


def test_masks_are_new_at_each_call_and_absent_in_eval(layer):
    x = torch.randn(6, 3, 5)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    torch.testing.assert_close(layer(x)[0], layer.to_dense()(x)[0])


def test_the_mask_is_one_for_all_steps_and_follows_the_generator(layer):
    x, state = torch.randn(6, 3, 5), None
    torch.manual_seed(1)
    whole, _ = layer(x, state)
    torch.manual_seed(1)
    assert torch.equal(layer(x, state)[0], whole)


def test_every_conventional_call_works_while_dropping(layer):
    layer.weight_drop = 1e-12  # the route of dropping, without its effect
    dense = layer.to_dense()
    rows = 4
    state = torch.randn(rows, 3, 6)
    hx = (state, state) if isinstance(layer, sc.SparseLSTM) else state
    packed = pack_sequence([torch.randn(t, 5) for t in (2, 4, 1)], enforce_sorted=False)
    for x, given in [(torch.randn(4, 3, 5), hx), (torch.randn(4, 5), None), (packed, hx)]:
        (y, final), (expected, theirs) = layer(x, given), dense(x, given)
        torch.testing.assert_close(getattr(y, "data", y), getattr(expected, "data", expected))
        torch.testing.assert_close(final, theirs)


def test_survives_switching_copying_and_saving(layer, tmp_path):
    x = torch.randn(6, 3, 5)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer(x)[0].sum().backward()  # train → eval → train, as after every validation
    layer.eval()(x)
    layer.train()(x)[0].sum().backward()
    for parameter in layer.parameters():
        assert isinstance(parameter, nn.Parameter) and parameter.grad is not None
    copied = copy.deepcopy(layer)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    moved = copy.deepcopy(layer).to(torch.float64).to(torch.float32)
    for other in (copied, loaded, moved):
        assert list(other.state_dict()) == list(before)
        for name, value in other.state_dict().items():
            assert torch.equal(value, before[name])
        torch.manual_seed(3)
        ours = layer(x)[0]
        torch.manual_seed(3)
        assert torch.equal(other(x)[0], ours)


def test_training_moves_w_hh(layer):
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    before = copy.deepcopy(layer.state_dict())
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.randn(6, 3, 5))[0].square().mean().backward()
        optimizer.step()
        layer.eval()(torch.randn(6, 3, 5))
        layer.train()
    for name, value in layer.state_dict().items():
        assert not torch.equal(value, before[name]), name


@pytest.mark.parametrize("directions", [1, 2])
def test_weights_side_by_side_are_the_same_weights(directions):
    block = nn.LSTM(3, 4, bidirectional=directions == 2)
    placed = side_by_side(list(block.parameters()))
    for ours, theirs in zip(placed, block.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.untyped_storage().data_ptr() == placed[0].untyped_storage().data_ptr()
    assert placed[0].data_ptr() == placed[0].untyped_storage().data_ptr()
    x = torch.randn(5, 2, 3)
    y, _ = run_dropped(block, x, None, 0.0)
    torch.testing.assert_close(y, block(x)[0])
