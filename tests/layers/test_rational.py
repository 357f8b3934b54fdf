"""The layer: parameters, options, streaming, padding, stacks."""

import math

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN
from sparsecore.ops.rational import naive_rational_recurrence

OPTIONS = [
    {},
    {"semiring": "max_plus"},
    {"semiring": "max_times", "final": "last"},
    {"final": "rho"},
    {"last_loop_one": True, "final": "last"},
    {"last_loop_one": [True, False, True]},
    {"num_layers": 2, "bidirectional": True},
]


def layer(seed=0, **options):
    torch.manual_seed(seed)
    rnn = RationalRNN(3, [2, 1, 4], **options).double()
    for parameter in rnn.parameters():
        torch.nn.init.normal_(parameter)
    return rnn


def naive_scores(rnn, x, c0=None):
    """One cell, by the reference with the options written out."""
    S = sum(rnn.lengths)
    last = torch.zeros(S, dtype=torch.float64)
    last[[1, 2, 6]] = 1
    final = {"sum": None, "last": last}.get(rnn.final, "rho")
    if final == "rho":
        final = 1 / (1 + torch.exp(-rnn.rho))
    return naive_rational_recurrence(
        *(x, rnn.main, rnn.loop, rnn.bias, rnn.lengths),
        c0=c0,
        final=final,
        semiring=rnn.semiring,
        fixed_loops=rnn.last_loop_one,
    )


@pytest.mark.parametrize("options", OPTIONS[:-1], ids=str)
def test_scores_states_and_gradients_equal_naive(options):
    rnn = layer(**options)
    x = torch.randn(7, 2, 3, dtype=torch.float64, requires_grad=True)
    leaves = [x, *rnn.parameters()]
    fast, slow = rnn(x), naive_scores(rnn, x)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    for a, b in zip(
        torch.autograd.grad(fast[0].square().sum() + fast[1].sum(), leaves),
        torch.autograd.grad(slow[0].square().sum() + slow[1].sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_layers_and_directions_compose():
    rnn = layer(num_layers=2, bidirectional=True)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    forwards, c1 = naive_scores(rnn, x)
    backwards, c2 = naive_scores(rnn.reverse, x.flip(0))
    between = torch.cat([forwards, backwards.flip(0)], -1)
    up, c3 = naive_scores(rnn.above, between)
    down, c4 = naive_scores(rnn.above.reverse, between.flip(0))
    scores, cn = rnn(x)
    torch.testing.assert_close(scores, torch.cat([up, down.flip(0)], -1), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(cn, torch.cat([c1, c2, c3, c4], 1), rtol=1e-10, atol=1e-10)
    assert rnn.output_size == scores.shape[-1] == 6
    assert len(list(rnn.cells())) == 4


@pytest.mark.parametrize("options", [*OPTIONS[:-1], {"num_layers": 3}], ids=str)
def test_pieces_of_a_text_give_the_scores_of_the_whole(options):
    rnn = layer(**options)
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    whole, end = rnn(x)
    pieces, state = [], None
    for piece in x.split([1, 5, 3]):
        scores, state = rnn(piece, state)
        pieces.append(scores)
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, end, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"final": "rho"}, {"last_loop_one": True}], ids=str)
def test_left_padding_is_exact(options):
    rnn = layer(**options)
    x = torch.randn(4, 1, 3, dtype=torch.float64)
    padded = torch.cat([torch.zeros(6, 1, 3, dtype=torch.float64), x])
    scores, cn = rnn(padded)
    alone, cn_alone = rnn(x)
    assert (scores[:6] == 0).all()
    torch.testing.assert_close((scores[6:], cn), (alone, cn_alone), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_with_a_mask_padding_is_exact_for_every_option(options):
    rnn = layer(**options)
    x = torch.randn(4, 1, 3, dtype=torch.float64)
    junk = torch.randn(3, 1, 3, dtype=torch.float64)
    mask = torch.tensor([False] * 3 + [True] * 4).unsqueeze(1)
    scores, cn = rnn(torch.cat([junk, x]), mask=mask)
    alone, cn_alone = rnn(x)
    torch.testing.assert_close(scores[3:], alone, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(cn, cn_alone, rtol=1e-12, atol=1e-12)


def test_batch_first_and_single_texts():
    rnn = layer(num_layers=2)
    other = layer(num_layers=2, batch_first=True)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    scores, cn = rnn(x)
    swapped, cn_swapped = other(x.transpose(0, 1))
    torch.testing.assert_close(swapped.transpose(0, 1), scores)
    torch.testing.assert_close(cn_swapped, cn)
    for model in (rnn, other):
        one, cn_one = model(x[:, 1], cn[1])
        torch.testing.assert_close(one, rnn(x, cn)[0][:, 1])
        assert cn_one.shape == (14,)


def test_parameters_stand_where_others_expect_them():
    rnn = sc.RationalRNN(300, [4] * 24)
    shapes = {name: tuple(p.shape) for name, p in rnn.named_parameters()}
    assert shapes == {"main": (96, 300), "loop": (96, 300), "bias": (96,)}
    bound = math.sqrt(6 / 324)
    assert 0.99 * bound < rnn.main.abs().max() <= bound
    assert rnn.bias.abs().sum() == 0


def test_lengths_of_each_cell_may_differ():
    rnn = RationalRNN(3, [[2, 1], [1], [3]], num_layers=3)
    assert [cell.lengths for cell in rnn.cells()] == [(2, 1), (1,), (3,)]
    assert [cell.input_size for cell in rnn.cells()] == [3, 2, 1]
    with pytest.raises(InputError, match="one for each of 2 layers and directions, got 3"):
        RationalRNN(3, [[2, 1], [1], [3]], num_layers=2)


def test_autocast_computes_in_the_type_of_the_weights():
    rnn = layer().float()
    x = torch.randn(4, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        scores, _ = rnn(x.bfloat16())
    torch.testing.assert_close(scores, rnn(x.bfloat16().float())[0])


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_bad_input_is_one_line():
    with pytest.raises(InputError, match="did you mean 'plus_times'"):
        RationalRNN(3, [2], semiring="plus_time")
    with pytest.raises(InputError, match=r"unknown final 'lsat'.*did you mean 'last'"):
        RationalRNN(3, [2], final="lsat")
    with pytest.raises(InputError, match=r"got \[\]"):
        RationalRNN(3, [])
    with pytest.raises(InputError, match="input_size must be at least 1, got 0"):
        RationalRNN(0, [1])
    with pytest.raises(InputError, match="a bool or 2 of them, got 1"):
        RationalRNN(3, [1, 1], last_loop_one=[True])
    rnn = RationalRNN(3, [2])
    with pytest.raises(InputError, match=r"got PackedSequence; .* pad_packed_sequence, and mask="):
        rnn(pack_sequence([torch.zeros(5, 3)]))
    with pytest.raises(InputError, match=r"input_size=3 .* got shape \(5, 2, 4\)"):
        rnn(torch.zeros(5, 2, 4))
    with pytest.raises(InputError, match=r"c0 must have shape \(2, 2\), got \(1, 2\)"):
        rnn(torch.zeros(5, 2, 3), torch.zeros(1, 2))
    for name in ("batch_first", "bidirectional"):
        with pytest.raises(InputError, match=f"{name} must be True or False, got 1"):
            RationalRNN(3, [2], **{name: 1})
    with pytest.raises(InputError, match=r"num_layers must be a whole number, got 2\.0"):
        RationalRNN(3, [2], num_layers=2.0)
    x = torch.zeros(5, 2, 3)
    with pytest.raises(InputError, match="c0 must be a tensor, got tuple"):
        rnn(x, (torch.zeros(2, 2),))
    with pytest.raises(InputError, match="mask must be a tensor, got list"):
        rnn(x, mask=[[True] * 2] * 5)
    with pytest.raises(InputError, match=r"of main, torch\.float32, got torch\.float64"):
        rnn(x.double())
    with pytest.raises(InputError, match="RationalRNN is not scripted"):
        torch.jit.script(torch.nn.Sequential(rnn))


@pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": True, "num_layers": 2}, {"semiring": "max_plus"}, {"batch_first": True}],
)
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_masks_of_numbers_are_masks(options, dtype):
    torch.manual_seed(0)
    rnn = RationalRNN(3, [2, 3], **options)
    x, mask = torch.randn(5, 5, 3), torch.arange(5) < torch.arange(1, 6).unsqueeze(1)
    for found, right in zip(rnn(x, mask=mask.to(dtype)), rnn(x, mask=mask), strict=True):
        assert torch.equal(found, right)
    one = rnn(x[0], mask=mask[2].to(dtype))
    assert torch.equal(one[0], rnn(x[0], mask=mask[2])[0])
    if not rnn.bidirectional:
        for found, right in zip(
            sc.best_paths(rnn, x, mask=mask.to(dtype)),
            sc.best_paths(rnn, x, mask=mask),
            strict=True,
        ):
            assert torch.equal(found, right)
