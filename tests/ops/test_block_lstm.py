"""Many LSTMs at once equal ``nn.LSTM`` on each: outputs, states and all gradients, in float64."""

import pytest
import torch
from torch import nn

from sparsecore.errors import InputError
from sparsecore.ops.block_lstm import block_lstm, fuses, naive_block_lstm

SIZES = [(5, 3), (4, 4), (5, 3)]  # inputs and units of each block
CASES = [  # T, B, sizes, with bias, with states
    (4, 3, SIZES, True, True),
    (2, 3, SIZES, False, True),
    (2, 2, SIZES, True, False),
    (1, 1, [(1, 1)], True, True),
    (2, 1, [(2, 70), (3, 69)], False, False),
    (1, 18, [(67, 2), (66, 3)], True, True),
]


def problem(T, B, sizes, bias, states, seed=0):
    """Inputs, weights and states of each block, leaves in float64."""
    generator = torch.Generator().manual_seed(seed)

    def leaf(*shape):
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        return drawn.div_(shape[-1] ** 0.5).requires_grad_()

    xs = [leaf(T, B, w) for w, _ in sizes]
    shapes = [((4 * s, w), (4 * s, s), (4 * s,), (4 * s,)) for w, s in sizes]
    weights = [[leaf(*shape) for shape in own[: 4 if bias else 2]] for own in shapes]
    return xs, weights, [(leaf(B, s), leaf(B, s)) for _, s in sizes] if states else None


def outputs_and_gradients(way, xs, weights, states):
    """Everything that comes out, and the gradient of a sum of it by everything that goes in."""
    outputs = [t for y, final in way(xs, weights, states) for t in (y, *final)]
    generator = torch.Generator().manual_seed(9)
    loss = outputs[0].new_zeros(())
    for t in outputs:
        loss = loss + (torch.randn(t.shape, generator=generator).to(t) * t).sum()
    leaves = [
        *xs,
        *(w for own in weights for w in own),
        *(s for each in states or () for s in each),
    ]
    return outputs + list(torch.autograd.grad(loss, leaves))


def each_alone(xs, weights, states):
    """``nn.LSTM`` of every block."""
    results = []
    for n, (x, own) in enumerate(zip(xs, weights, strict=True)):
        lstm = nn.LSTM(x.shape[-1], own[1].shape[1], bias=len(own) == 4, dtype=x.dtype)
        values = dict(zip((name for name, _ in lstm.named_parameters()), own, strict=True))
        state = None if states is None else tuple(s.unsqueeze(0) for s in states[n])
        y, (h, c) = torch.func.functional_call(lstm, values, (x, state))
        results.append((y, (h[0], c[0])))
    return results


@pytest.mark.parametrize("way", [naive_block_lstm, block_lstm])
@pytest.mark.parametrize("case", CASES)
def test_equals_pytorchs_lstm_on_each_block(way, case):
    given = problem(*case)
    found, right = outputs_and_gradients(way, *given), outputs_and_gradients(each_alone, *given)
    for a, b in zip(found, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_no_kernel_for_tensors_of_a_cpu():
    assert not fuses(torch.zeros(3, 2, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda xs, weights, states: xs.clear(), "as many blocks, at least 1, got 0, 3 and 3"),
        (lambda xs, weights, states: states.pop(), "got 3, 3 and 2"),
        (lambda xs, weights, states: xs.insert(0, xs.pop(0)[:0]), r"T B w, .* got \(0, 3, 5\)"),
        (lambda xs, weights, states: xs.append(xs.pop()[1:]), r"x of block 2 .* \(4, 3, 5\)"),
        (lambda xs, weights, states: weights[1].pop(), r"weights\[1\] must be .* got 3 tensors"),
        (
            lambda xs, weights, states: weights[1].insert(0, weights[1].pop(0)[:, 1:]),
            r"W_ih of block 1 must have shape \(16, 4\), got \(16, 3\)",
        ),
        (
            lambda xs, weights, states: states.append((states.pop()[0], xs[0])),
            r"c0 of block 2 must have shape \(3, 3\), got \(4, 3, 5\)",
        ),
    ],
)
def test_what_does_not_match_is_one_clear_line(change, message):
    given = problem(*CASES[0])
    change(*given)
    with pytest.raises(InputError, match=message):
        block_lstm(*given)
