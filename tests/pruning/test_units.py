"""LSTM units as groups, and the compact LSTM equal to the large one with units zeroed."""

import copy

import pytest
import torch
from torch import nn

from sparsecore.errors import InputError
from sparsecore.pruning.units import compact_lstm, kept_units, unit_groups

OPTIONS = [
    {},
    {"bias": False, "batch_first": True},
    {"num_layers": 3},
    {"num_layers": 2, "bidirectional": True},
]


def random_lstm(**options):
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 7, **options).double()
    for parameter in lstm.parameters():
        nn.init.normal_(parameter)
    return lstm


def zeroed(lstm, kept):
    """A copy in which the rows and columns of all other units are zero, weight by weight."""
    other = copy.deepcopy(lstm)
    directions = ["", "_reverse"] if lstm.bidirectional else [""]
    with torch.no_grad():
        for place, units in enumerate(kept):
            layer, direction = divmod(place, len(directions))
            gone = [j for j in range(lstm.hidden_size) if j not in units]
            for name, parameter in other.named_parameters():
                if name.endswith(f"_l{layer}{directions[direction]}"):
                    for j in gone:
                        parameter[j :: lstm.hidden_size] = 0
                    if name.startswith("weight_hh"):
                        parameter[:, gone] = 0
                if name.startswith(f"weight_ih_l{layer + 1}"):
                    parameter[:, [direction * lstm.hidden_size + j for j in gone]] = 0
    return other


def output_columns(lstm, kept):
    last = kept[-2:] if lstm.bidirectional else kept[-1:]
    return [number * lstm.hidden_size + j for number, units in enumerate(last) for j in units]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_norm_of_a_unit_is_that_of_the_weights_lost_with_it(options):
    lstm = random_lstm(**options)
    norms = unit_groups(lstm).norms(lstm)
    places = lstm.num_layers * (2 if lstm.bidirectional else 1)
    assert norms.shape == (7 * places,)
    for place in range(places):
        for j in range(7):
            kept = [[i for i in range(7) if (p, i) != (place, j)] for p in range(places)]
            without = zeroed(lstm, kept)
            pairs = zip(lstm.parameters(), without.parameters(), strict=True)
            lost = sum((a - b).square().sum() for a, b in pairs).sqrt()
            torch.testing.assert_close(norms[7 * place + j], lost, rtol=1e-12, atol=0)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_compact_equals_the_large_lstm_with_units_zeroed(options):
    lstm = random_lstm(**options)
    groups = unit_groups(lstm)
    factors = torch.ones(groups.num_groups).double().view(-1, 7)
    factors[:, [1, 4, 6]] = 1e-3
    factors[-1, [0, 1]] = 1e-3  # so the last place has one that stays for the others' sake
    groups.scale(lstm, factors.flatten())
    kept, small = kept_units(lstm), compact_lstm(lstm)
    assert small.hidden_size == len(kept[0]) == (3 if len(kept) == 1 else 4)
    assert {len(units) for units in kept} == {small.hidden_size}
    large = zeroed(lstm, kept)

    x = torch.randn(5, 4, 3, dtype=torch.float64)
    columns = output_columns(lstm, kept)
    ours, (h, c) = small(x)
    theirs, (h_large, c_large) = large(x)
    torch.testing.assert_close(ours, theirs[..., columns], rtol=0, atol=1e-10)
    others = [j for j in range(theirs.shape[-1]) if j not in columns]
    assert theirs[..., others].eq(0).all()
    for place, units in enumerate(kept):
        torch.testing.assert_close(h[place], h_large[place][:, units], rtol=0, atol=1e-10)
        torch.testing.assert_close(c[place], c_large[place][:, units], rtol=0, atol=1e-10)


def test_readers_of_the_output_belong_to_the_units():
    model = nn.ModuleDict({"lstm": random_lstm(), "decoder": nn.Linear(7, 2).double()})
    alone = unit_groups(model["lstm"]).norms(model["lstm"])
    groups = unit_groups(model["lstm"], "lstm.", readers=["decoder.weight"])
    expected = alone.square() + model["decoder"].weight.square().sum(0)
    torch.testing.assert_close(groups.norms(model), expected.sqrt())


def test_training_with_the_proximal_step_removes_units_exactly():
    """A copy of the input one step later takes few units; others end at exactly zero."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"lstm": nn.LSTM(1, 8), "decoder": nn.Linear(8, 1)})
    groups = unit_groups(model["lstm"], "lstm.", readers=["decoder.weight"])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    x = torch.randn(6, 64, 1)

    def loss():
        return (model["decoder"](model["lstm"](x)[0])[1:] - x[:-1]).square().mean()

    for _ in range(150):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        groups.shrink(model, 0.11)
    exactly_zero = groups.norms(model).eq(0).sum().item()
    assert 1 <= exactly_zero < 8 and loss() < 0.3
    kept = kept_units(model["lstm"], 0.0)
    small = compact_lstm(model["lstm"], 0.0)
    assert small.hidden_size == 8 - exactly_zero
    torch.testing.assert_close(small(x)[0], model["lstm"](x)[0][..., kept[0]])


def test_what_cannot_be_compacted_is_named():
    lstm = nn.LSTM(3, 4)
    with pytest.raises(InputError, match="threshold 100 leaves no unit: the largest norm is"):
        compact_lstm(lstm, 100)
    with pytest.raises(InputError, match="proj_size=2"):
        unit_groups(nn.LSTM(3, 4, proj_size=2))
