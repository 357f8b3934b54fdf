"""The chunked cross entropy equals its reference in outputs, gradients and statistics."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore.bench.footprint import Footprint
from sparsecore.errors import InputError
from sparsecore.ops.linear_cross_entropy import linear_cross_entropy, naive_linear_cross_entropy
from sparsecore.ops.linear_cross_entropy.chunked import default_rows


def problem(rows, width, vocabulary, seed=0, dtype=torch.float64, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, width, generator=g, dtype=dtype) * scale
    weight = torch.randn(vocabulary, width, generator=g, dtype=dtype)
    bias = torch.randn(vocabulary, generator=g, dtype=dtype)
    target = torch.randint(vocabulary, (rows,), generator=g)
    return [t.requires_grad_() for t in (hidden, weight, bias)], target


@settings(max_examples=40)
@given(
    rows=st.integers(1, 23),
    width=st.integers(1, 9),
    vocabulary=st.integers(2, 41),
    chunk=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_equals_naive(rows, width, vocabulary, chunk, seed):
    inputs, target = problem(rows, width, vocabulary, seed)
    fast = linear_cross_entropy(*inputs, target, chunk_rows=chunk)
    slow = naive_linear_cross_entropy(*inputs, target)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10, equal_nan=True)
    for a, b in zip(
        torch.autograd.grad(3 * fast[0], inputs),
        torch.autograd.grad(3 * slow[0], inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_default_chunks_in_float32():
    inputs, target = problem(70, 20, 30011, dtype=torch.float32, scale=0.3)
    loss, chi, _ = linear_cross_entropy(*inputs, target)
    double = [t.double().detach().requires_grad_() for t in inputs]
    exact, exact_chi, _ = naive_linear_cross_entropy(*double, target)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-6)
    torch.testing.assert_close(chi.double(), exact_chi, rtol=1e-5, atol=1e-6)
    for a, b in zip(
        torch.autograd.grad(loss, inputs), torch.autograd.grad(exact, double), strict=True
    ):
        assert (a - b).norm() / b.norm() < 1e-6


@pytest.mark.parametrize("scale", [1e3, 1e-6])
def test_extreme_logits_keep_loss_finite(scale):
    inputs, target = problem(5, 4, 7, dtype=torch.float32, scale=scale)
    loss, chi, _ = linear_cross_entropy(*inputs, target)
    exact, *_ = naive_linear_cross_entropy(*(t.double() for t in inputs), target)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    known = chi[chi.isfinite()]
    assert ((known > 0.5) & (known <= 0.5**0.5 + 1e-6)).all()


def test_sure_prediction_keeps_its_chi():
    """p_target rounds to 1 in float32, yet chi depends only on the wrong words' shares."""
    hidden = torch.tensor([[40.0]])
    weight = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    _, chi, l1 = linear_cross_entropy(hidden, weight, torch.zeros(4), torch.tensor([0]))
    assert chi.item() == pytest.approx(0.5 * (1 + 1 / 3) ** 0.5, rel=1e-5)
    assert 0 < l1.item() < 1e-15


def test_under_no_grad_nothing_is_saved():
    inputs, target = problem(3, 2, 5)
    with torch.no_grad():
        assert linear_cross_entropy(*inputs, target)[0].grad_fn is None


def test_autocast_computes_products_in_bfloat16():
    inputs, target = problem(40, 16, 50, dtype=torch.float32)
    exact = naive_linear_cross_entropy(*inputs, target)[0]
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(*inputs, target)[0]
    gradients = torch.autograd.grad(loss, inputs)
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=2e-2)
    assert [g.dtype for g in gradients] == [torch.float32] * 3


def test_shapes_are_checked():
    inputs, target = problem(3, 2, 5)
    with pytest.raises(InputError, match=r"target must have shape \(3,\)"):
        linear_cross_entropy(*inputs, target[:2])
    with pytest.raises(InputError, match=r"needs weight \(V, 2\)"):
        linear_cross_entropy(inputs[0], inputs[1][:, :1], inputs[2], target)
    with pytest.raises(InputError, match="at least one position"):
        linear_cross_entropy(inputs[0][:0], inputs[1], inputs[2], target[:0])


def test_logits_never_exist_as_a_whole():
    """At the paper's sizes no tensor reaches a fifteenth of the logits (but the weight itself)."""
    inputs, target = problem(1400, 8, 19_500, dtype=torch.float32)
    with Footprint() as footprint:
        loss, *_ = linear_cross_entropy(*inputs, target)
        loss.backward()
    assert 0 < footprint.largest_bytes <= 4 * 1400 * 19_500 / 15


def test_the_environment_chooses_the_rows_of_a_chunk_on_a_gpu(monkeypatch):
    before = default_rows(1400, 19_500, 200, "cpu")
    monkeypatch.setenv("SPARSECORE_CHUNK_ROWS", "256")
    assert default_rows(1400, 19_500, 200, "cuda") == 256
    assert default_rows(100, 19_500, 200, "cuda") == 100
    assert default_rows(1400, 19_500, 200, "cpu") == before
    for wrong in ("0", "-1", "many", "1.5"):
        monkeypatch.setenv("SPARSECORE_CHUNK_ROWS", wrong)
        with pytest.raises(InputError, match=f"SPARSECORE_CHUNK_ROWS must be .* got '{wrong}'"):
            default_rows(1400, 19_500, 200, "cuda")
