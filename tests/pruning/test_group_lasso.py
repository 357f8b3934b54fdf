"""Norms, penalty and proximal step; the compacted layer equals the large one with states zeroed."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN
from sparsecore.pruning.compact import kept_lengths, kept_wfsas
from sparsecore.pruning.groups import shrink_groups


def layer(lengths, seed=0, small=(), width=3, **options):
    """A float64 layer with random weights; the states ``small`` of the first cell shrunk."""
    torch.manual_seed(seed)
    rnn = RationalRNN(width, lengths, **options).double()
    with torch.no_grad():
        for parameter in rnn.parameters():
            parameter.normal_()
        for row in small:
            for weight in (rnn.main, rnn.loop, rnn.bias):
                weight[row] *= 0.01
    return rnn


def zeroed(rnn, threshold=0.1):
    """A copy whose removed states have weights of zero, by the plain rule."""
    other = copy.deepcopy(rnn)
    with torch.no_grad():
        for cell in other.cells():
            row = 0
            for length in cell.lengths:
                norms = [
                    torch.cat([cell.main[s], cell.loop[s], cell.bias[s : s + 1]]).norm()
                    for s in range(row, row + length)
                ]
                gone = False
                for s, norm in zip(range(row, row + length), norms, strict=True):
                    gone = gone or bool(norm <= threshold)
                    if gone or (cell.final == "last" and min(norms) <= threshold):
                        cell.main[s], cell.loop[s], cell.bias[s] = 0, 0, 0
                row += length
    return other


def test_norms_are_those_of_each_states_weights():
    rnn = layer([2, 1, 3])
    expected = [
        (rnn.main[s].square().sum() + rnn.loop[s].square().sum() + rnn.bias[s] ** 2) ** 0.5
        for s in range(6)
    ]
    torch.testing.assert_close(sc.group_norms(rnn), torch.stack(expected), rtol=1e-12, atol=0)
    assert sc.group_lasso(rnn).item() == pytest.approx(sum(e.item() for e in expected))


def test_norms_of_further_cells_follow():
    rnn = layer([2, 1], num_layers=2, bidirectional=True)
    norms = sc.group_norms(rnn)
    parts = [sc.group_norms(cell)[: len(cell.bias)] for cell in rnn.cells()]
    assert norms.shape == (12,)
    torch.testing.assert_close(norms, torch.cat(parts))


def test_the_gradient_of_a_zero_group_is_zero():
    rnn = layer([2])
    with torch.no_grad():
        for weight in (rnn.main, rnn.loop, rnn.bias):
            weight[1] = 0
    sc.group_lasso(rnn).backward()
    assert rnn.main.grad[1].abs().sum() == 0 and rnn.bias.grad[1] == 0
    norm = sc.group_norms(rnn)[0]
    torch.testing.assert_close(rnn.main.grad[0], (rnn.main[0] / norm).detach())


@settings(max_examples=30)
@given(amount=st.floats(0, 6), seed=st.integers(0, 50))
def test_the_proximal_step_minimises_its_objective(amount, seed):
    """½||g − g0||² + amount·||g||: the result is no worse than anything near it, and 0 if small."""
    rnn = layer([2, 1], seed)
    before = torch.cat([rnn.main, rnn.loop, rnn.bias[:, None]], 1).detach().clone()
    shrink_groups(rnn, amount)
    after = torch.cat([rnn.main, rnn.loop, rnn.bias[:, None]], 1).detach()
    for g0, g in zip(before, after, strict=True):
        if g0.norm() <= amount:
            assert (g == 0).all()
        else:
            torch.testing.assert_close(g0 - g, amount * g / g.norm(), rtol=1e-8, atol=1e-8)


def test_training_with_proximal_steps_reaches_exact_zeros():
    rnn = layer([1, 1], width=1)
    x = torch.randn(1, 64, 1, dtype=torch.float64)
    target = torch.sigmoid(x[0]) * x[0]  # the first WFSA can do it alone
    optimizer = torch.optim.SGD(rnn.parameters(), lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        scores, _ = rnn(x)
        (scores[0].sum(-1, keepdim=True) - target).square().mean().backward()
        optimizer.step()
        shrink_groups(rnn, 0.1 * 0.05)
    norms = sc.group_norms(rnn)
    assert norms.min() == 0 and norms.max() > 0.1


OPTIONS = [
    {},
    {"final": "rho"},
    {"final": "last"},
    {"last_loop_one": True},
    {"batch_first": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_small_layer_equals_the_large_one_with_removed_states_zeroed(options):
    # the second state of the first is small: the third goes with it; the last WFSA goes whole
    rnn = layer([3, 4, 1, 2], small=[1, 6, 8], **options)
    small = sc.compact(rnn)
    assert small.lengths == {"last": (1,)}.get(rnn.final, (1, 3, 1))
    assert kept_lengths(rnn) == [[0, 0, 1, 0] if rnn.final == "last" else [1, 3, 1, 0]]
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    large, _ = zeroed(rnn)(x)
    kept = kept_wfsas(rnn)
    torch.testing.assert_close(small(x)[0], large[..., kept], rtol=0, atol=1e-10)
    gone = [d for d in range(4) if d not in kept]
    assert (large[..., gone] == 0).all()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_stacked_layers_lose_the_inputs_that_are_gone(bidirectional):
    rnn = layer([2, 1, 2], small=[2, 4], num_layers=2, bidirectional=bidirectional)
    with torch.no_grad():
        last = list(rnn.cells())[-1]
        for weight in (last.main, last.loop, last.bias):
            weight[0] *= 0.001
    small = sc.compact(rnn)
    assert small.lengths == (2, 1)
    assert small.above.input_size == (5 if bidirectional else 2)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    large, _ = zeroed(rnn)(x)
    torch.testing.assert_close(small(x)[0], large[..., kept_wfsas(rnn)], rtol=0, atol=1e-10)
    assert small.output_size == len(kept_wfsas(rnn)) == (5 if bidirectional else 2)


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    seed=st.integers(0, 99),
    threshold=st.floats(0.5, 2.5),
)
def test_any_threshold(lengths, seed, threshold):
    rnn = layer(lengths, seed, width=2)
    large = zeroed(rnn, threshold)
    if sc.group_norms(large).sum() == 0:
        with pytest.raises(InputError, match="leaves no state"):
            sc.compact(rnn, threshold)
        return
    small = sc.compact(rnn, threshold)
    x = torch.randn(5, 2, 2, dtype=torch.float64)
    expected = large(x)[0][..., kept_wfsas(rnn, threshold)]
    torch.testing.assert_close(small(x)[0], expected, rtol=0, atol=1e-10)
    assert sum(small.lengths) == int((sc.group_norms(large) > 0).sum())


def test_a_classifier_above_keeps_its_columns():
    rnn = layer([2, 1, 2], small=[2])
    classifier = torch.nn.Linear(3, 2, dtype=torch.float64)
    kept = kept_wfsas(rnn)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    large = classifier(zeroed(rnn)(x)[0])
    small = torch.nn.functional.linear(
        sc.compact(rnn)(x)[0], classifier.weight[:, kept], classifier.bias
    )
    assert kept == [0, 2]
    torch.testing.assert_close(small, large, rtol=0, atol=1e-10)


def test_what_cannot_be_done_is_said():
    rnn = layer([1], small=[0])
    with pytest.raises(InputError, match=r"threshold 0.1 leaves no state: the largest norm is 0.0"):
        sc.compact(rnn)
    with pytest.raises(InputError, match="needs semiring plus_times, got max_plus"):
        sc.compact(RationalRNN(2, [1], semiring="max_plus"))
    with pytest.raises(InputError, match="amount must be at least 0, got -1"):
        shrink_groups(rnn, -1)
    stacked = layer([1], num_layers=2)
    with pytest.raises(InputError, match=r"leaves no state of the 1\. layer or direction"):
        sc.compact(stacked, 100.0)
