"""The fast recurrences equal their reference in scores, states and all gradients."""

import importlib
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore.bench.footprint import Footprint
from sparsecore.errors import InputError
from sparsecore.ops import rational
from sparsecore.ops.rational import naive_rational_recurrence, rational_recurrence, steps

WAYS = {  # the module that computes, and its semiring
    "compiled": "plus_times",  # by Numba
    "plus_times": "plus_times",  # without
    "max_plus": "max_plus",
    "max_times": "max_times",
}
SEMIRINGS = ["plus_times", "max_plus", "max_times"]


def choose(way, patch):
    """Have the recurrence computed that way; the option that asks for it."""
    if way == "plus_times":
        patch.setattr(rational, "compiles_on_cpu", lambda x: False)
    return {"semiring": WAYS[way]}


def problem(T, B, E, lengths, seed=0, dtype=torch.float64, **wanted):
    """Inputs (x, main, loop, bias), the keyword arguments that are wanted, all differentiable."""
    g = torch.Generator().manual_seed(seed)
    S = sum(lengths)

    def normal(*shape):
        return torch.randn(shape, generator=g, dtype=dtype).requires_grad_()

    inputs = [normal(T, B, E), normal(S, E), normal(S, E), normal(S)]
    options = {}
    if wanted.get("c0"):
        options["c0"] = normal(B, S)
    if wanted.get("final"):
        options["final"] = normal(S)
    if wanted.get("fixed"):
        options["fixed_loops"] = [d % 2 == 0 for d in range(len(lengths))]
    if wanted.get("mask"):
        options["mask"] = torch.rand(T, B, generator=g) > 0.4
    return inputs, options


def outputs_and_gradients(function, inputs, lengths, options, seed=0):
    results = function(*inputs, lengths, **options)
    g = torch.Generator().manual_seed(seed)
    weights = [torch.randn(r.shape, generator=g, dtype=torch.float64).to(r) for r in results]
    loss = sum((w * r).sum() for w, r in zip(weights, results, strict=True))
    leaves = inputs + [options[name] for name in ("c0", "final") if name in options]
    return [*results, *torch.autograd.grad(loss, leaves, materialize_grads=True)]


@settings(max_examples=50)
@given(
    T=st.integers(1, 7),
    B=st.integers(1, 4),
    E=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    way=st.sampled_from([*WAYS]),
    chunk=st.integers(1, 20),
    wanted=st.fixed_dictionaries(dict.fromkeys(["c0", "final", "fixed", "mask"], st.booleans())),
    seed=st.integers(0, 99),
)
def test_equals_naive(T, B, E, lengths, way, chunk, wanted, seed):
    inputs, options = problem(T, B, E, lengths, seed, **wanted)
    with pytest.MonkeyPatch.context() as patch:
        options |= choose(way, patch)
        patch.setattr(steps, "CHUNK", chunk)
        fast = outputs_and_gradients(rational_recurrence, inputs, lengths, options)
    slow = outputs_and_gradients(naive_rational_recurrence, inputs, lengths, options)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_the_papers_layer():
    """24 WFSAs with 4 transitions, in default chunks."""
    inputs, options = problem(30, 5, 7, [4] * 24)
    fast = outputs_and_gradients(rational_recurrence, inputs, [4] * 24, options)
    slow = outputs_and_gradients(naive_rational_recurrence, inputs, [4] * 24, options)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("semiring", SEMIRINGS)
def test_gradcheck(semiring):
    inputs, options = problem(4, 2, 3, [3, 1, 2], c0=True, final=True, fixed=True, mask=True)

    def run(x, main, loop, bias, c0, final):
        return rational_recurrence(
            *(x, main, loop, bias, [3, 1, 2]),
            c0=c0,
            final=final,
            semiring=semiring,
            fixed_loops=options["fixed_loops"],
            mask=options["mask"],
        )

    assert torch.autograd.gradcheck(run, (*inputs, options["c0"], options["final"]))


def test_a_score_is_the_sum_over_all_paths():
    """By enumeration: which tokens take the main path, the others in between are self-loops."""
    (x, main, loop, bias), _ = problem(5, 1, 2, [3])
    scores, states = rational_recurrence(x, main, loop, bias, [3])
    f = torch.sigmoid(x[:, 0] @ loop.t() + bias)  # T S
    u = (x[:, 0] @ main.t()) * (1 - f)
    weights = []
    for i in range(1, 4):
        paths = [
            torch.stack(
                [u[t, k] if t == p[k] else f[t, k - (t < p[k])] for k, t in _steps(p)]
            ).prod()
            for p in torch.combinations(torch.arange(5), i).tolist()
        ]
        weights.append(torch.stack(paths).sum())
    torch.testing.assert_close(states[0], torch.stack(weights), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(scores[-1, 0, 0], sum(weights), rtol=1e-12, atol=1e-12)


def _steps(path):
    """(transition, token) for each token from the first main-path token on; T = 5."""
    for t in range(path[0], 5):
        taken = [k for k, p in enumerate(path) if p <= t]
        yield (taken[-1], t)


@pytest.mark.parametrize("way", ["compiled", "plus_times"])
def test_gradient_error_of_ten_thousand_tokens(way, monkeypatch):
    """float32 against float64, relative to the gradient's norm."""
    choose(way, monkeypatch)
    lengths = [1, 2, 3, 4]
    inputs, _ = problem(10_000, 2, 6, lengths, dtype=torch.float32)
    double = [t.detach().double().requires_grad_() for t in inputs]
    gradients = []
    for tensors in (inputs, double):
        scores, _ = rational_recurrence(*tensors, lengths)
        gradients.append(torch.autograd.grad(scores.square().mean(), tensors))
    for single, exact in zip(*gradients, strict=True):
        assert (single - exact).norm() / exact.norm() < 1e-6


def test_work_grows_with_the_text_and_not_faster():
    """No operation touches all of time at every step."""
    written = []
    for T in (10, 40):
        inputs, _ = problem(T, 2, 3, [4, 4], dtype=torch.float32)
        with pytest.MonkeyPatch.context() as patch, Footprint() as footprint:
            patch.setattr(steps, "CHUNK", 10)
            rational_recurrence(*inputs, [4, 4])[0].sum().backward()
        written.append(footprint.returned_bytes)
    assert written[1] < 5 * written[0]


def test_a_second_way_back_gives_the_same():
    inputs, _ = problem(5, 2, 3, [3, 1])
    scores, _ = rational_recurrence(*inputs, [3, 1])
    first = torch.autograd.grad(scores.sum(), inputs, retain_graph=True)
    for a, b in zip(first, torch.autograd.grad(scores.sum(), inputs), strict=True):
        assert torch.equal(a, b)


def test_strided_and_detached_inputs():
    (x, main, loop, bias), _ = problem(6, 3, 4, [2, 2])
    batch_first = x.detach().transpose(0, 1).contiguous().transpose(0, 1)
    scores, _ = rational_recurrence(batch_first, main, loop, bias, [2, 2])
    gradient = torch.autograd.grad(scores.sum(), [main])[0]
    other, _ = rational_recurrence(x, main, loop, bias, [2, 2])
    torch.testing.assert_close(scores, other)
    torch.testing.assert_close(gradient, torch.autograd.grad(other.sum(), [main])[0])


@pytest.mark.parametrize("way", WAYS)
def test_without_gradients_no_chunk_is_kept(way, monkeypatch):
    options = choose(way, monkeypatch)
    name = "maximum" if way.startswith("max") else way
    module = importlib.import_module(f"sparsecore.ops.rational.{name}")
    made, alive = [], []

    def counted(x, weight):
        result = steps.projections(x, weight)
        made.append(weakref.ref(result[0]))
        alive.append(sum(reference() is not None for reference in made))
        return result

    monkeypatch.setattr(steps, "CHUNK", 10)
    monkeypatch.setattr(module, "projections", counted)
    inputs, _ = problem(40, 2, 3, [2, 1])
    with torch.no_grad():
        scores, _ = rational_recurrence(*inputs, [2, 1], **options)
    assert scores.grad_fn is None
    assert max(alive) <= 2 < len(made)


def test_what_does_not_fit_is_refused():
    (x, main, loop, bias), _ = problem(3, 2, 4, [2, 1])
    with pytest.raises(InputError, match=r"main must have shape \(3, 4\), got \(2, 4\)"):
        rational_recurrence(x, main[:2], loop, bias, [2, 1])
    with pytest.raises(InputError, match=r"c0 must have shape \(2, 3\)"):
        rational_recurrence(x, main, loop, bias, [2, 1], c0=x.new_zeros(3, 2))
    with pytest.raises(InputError, match="T, B >= 1"):
        rational_recurrence(x[:0], main, loop, bias, [2, 1])
    with pytest.raises(InputError, match="fixed_loops needs 2 entries, got 1"):
        rational_recurrence(x, main, loop, bias, [2, 1], fixed_loops=[True])
    with pytest.raises(InputError, match="did you mean 'max_times'"):
        rational_recurrence(x, main, loop, bias, [2, 1], semiring="max_time")
    with pytest.raises(InputError, match="at least 1 per WFSA"):
        rational_recurrence(x, main, loop, bias, [3, 0])
