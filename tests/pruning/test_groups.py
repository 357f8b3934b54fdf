"""Groups of any parameters: norms, penalty and proximal step against loops over the entries."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN
from sparsecore.pruning.groups import Grouping, shrink_groups


def two_layers():
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()


def naive_norms(grouping, module):
    """Entry by entry."""
    squares = [0.0] * grouping.num_groups
    for name, parameter in module.named_parameters():
        labels = grouping.labels.get(name, [])
        for label in [labels] if torch.is_tensor(labels) else labels:
            label = label.expand(parameter.shape).flatten().tolist()
            for value, group in zip(parameter.flatten().tolist(), label, strict=True):
                if group >= 0:
                    squares[group] += value**2
    return torch.tensor(squares, dtype=torch.float64).sqrt()


@st.composite
def groupings(draw):
    """Labels of any kind for the two linear layers, overlapping at will."""

    def label(*shape):
        shape = tuple(draw(st.sampled_from([1, n])) for n in shape)
        values = draw(
            st.lists(
                st.integers(-1, 3),
                min_size=torch.Size(shape).numel(),
                max_size=torch.Size(shape).numel(),
            )
        )
        return torch.tensor(values).view(shape)

    labels = {"0.weight": [label(4, 3), label(4, 3)], "1.weight": label(2, 4), "1.bias": label(2)}
    labels["0.bias"] = torch.arange(4)  # no group is empty
    return Grouping(labels)


@settings(max_examples=40)
@given(groupings())
def test_norms_equal_the_loop_over_entries(grouping):
    torch.manual_seed(0)
    module = two_layers()
    norms = grouping.norms(module)
    torch.testing.assert_close(norms, naive_norms(grouping, module), rtol=1e-12, atol=0)
    assert grouping.lasso(module).item() == pytest.approx(norms.sum().item())
    weights = grouping.sizes(module).sqrt()
    assert grouping.lasso(module, weights).item() == pytest.approx((weights * norms).sum().item())
    for parameter in module.parameters():
        parameter.data.fill_(1)
    torch.testing.assert_close(naive_norms(grouping, module), weights.double())


def test_gradient_is_the_unit_vector_of_each_group_and_zero_at_zero():
    torch.manual_seed(0)
    module = nn.Linear(3, 4).double()
    module.weight.data[1], module.bias.data[1] = 0, 0
    unit = torch.arange(4)
    grouping = Grouping({"weight": unit.unsqueeze(1), "bias": unit})
    grouping.lasso(module).backward()
    norms = grouping.norms(module).detach()
    expected = module.weight.detach() / norms.clamp_min(1e-300).unsqueeze(1)
    torch.testing.assert_close(module.weight.grad, expected)
    assert module.weight.grad[1].eq(0).all() and module.bias.grad[1] == 0


def test_shrinking_is_the_proximal_operator():
    """It minimises ½||w − v||² + amount·Σ||w_g||, so no other point nearby is better."""
    torch.manual_seed(0)
    module = two_layers()
    unit = torch.arange(4)
    grouping = Grouping({"0.weight": unit.unsqueeze(1), "0.bias": unit, "1.weight": unit})
    amount = grouping.norms(module).sort()[0][1:3].mean().item()  # between two of the norms
    before = copy.deepcopy(module)
    grouping.shrink(module, amount)

    def objective(candidate):
        pairs = zip(candidate.parameters(), before.parameters(), strict=True)
        distance = sum((w - v).square().sum() for w, v in pairs) / 2
        return (distance + amount * grouping.lasso(candidate)).item()

    assert grouping.norms(module).eq(0).sum() == 2
    assert torch.equal(module[1].bias, before[1].bias)  # in no group
    best = objective(module)
    for seed in range(30):
        torch.manual_seed(seed)
        other = copy.deepcopy(module)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter += 1e-3 * torch.randn_like(parameter)
        assert objective(other) > best


def test_states_of_a_rational_rnn_are_one_such_grouping():
    torch.manual_seed(0)
    rnn = RationalRNN(3, [2, 1, 3]).double()
    state = torch.arange(6)
    grouping = Grouping({"main": state[:, None], "loop": state[:, None], "bias": state})
    torch.testing.assert_close(grouping.norms(rnn), sc.group_norms(rnn), rtol=1e-12, atol=0)
    other = copy.deepcopy(rnn)
    amount = sc.group_norms(rnn).median().item()
    grouping.shrink(rnn, amount)
    shrink_groups(other, amount)
    for ours, theirs in zip(rnn.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Grouping({}), "at least one group"),
        (lambda: Grouping({"bias": torch.tensor([-1, -1])}), "at least one group"),
        (lambda: Grouping({"bias": torch.tensor([0.0])}), "labels of bias must be integers"),
        (lambda: Grouping({"bias": torch.tensor([0, 2])}), "found 2 where 1 would be next"),
        (lambda: Grouping({"bias": torch.tensor([-2, 0])}), "found -2 where 0 would be next"),
        (
            lambda: Grouping({"wieght": torch.tensor([0])}).norms(nn.Linear(1, 1)),
            r"no parameter 'wieght' \(did you mean 'weight'",
        ),
        (
            lambda: Grouping({"weight": torch.arange(3)}).norms(nn.Linear(2, 4)),
            r"labels of weight must broadcast to \(4, 2\), got \(3,\)",
        ),
        (
            lambda: Grouping({"bias": torch.tensor([0])}).shrink(nn.Linear(1, 1), -1.0),
            "amount must be at least 0, got -1.0",
        ),
        (
            lambda: Grouping({"bias": torch.tensor([0])}).shrink(nn.Linear(1, 1), float("nan")),
            "amount must be at least 0, got nan",
        ),
        (
            lambda: Grouping({"bias": torch.tensor([0, 1])}).shrink(
                nn.Linear(1, 2), torch.tensor([1.0, float("nan")])
            ),
            "amount must be at least 0, got nan",
        ),
        (
            lambda: Grouping({"bias": torch.tensor([0])}).scale(nn.Linear(1, 1), torch.ones(2)),
            r"factors must have shape \(1,\), got \(2,\)",
        ),
    ],
)
def test_wrong_groupings_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_other_layers_have_no_states_to_prune():
    for function in (sc.group_norms, sc.group_lasso, sc.compact):
        with pytest.raises(InputError, match=r"those of a RationalRNN, got LSTM of .*sc\.prune"):
            function(nn.LSTM(3, 4))
