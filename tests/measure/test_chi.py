"""chi, its relatives and the closed form of the softmax gradient's chi."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsecore as sc
from sparsecore.measure.chi import concentration, concentration_of_values

vectors = st.lists(
    st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=1, max_size=40
).filter(any)


def ragged():
    return torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged)


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they will go
        return torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0, torch.qint8)


def masked():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the class is a prototype
        return torch.masked.masked_tensor(torch.ones(2, 3), torch.ones(2, 3).bool())


@given(vectors, st.floats(1e-3, 1e3), st.randoms())
def test_bounds_and_invariances(values, factor, random):
    v = torch.tensor(values, dtype=torch.float64)
    chi = sc.chi(v).item()
    assert 1 / math.sqrt(len(v)) - 1e-12 <= chi <= 1 + 1e-12
    shuffled = values.copy()
    random.shuffle(shuffled)
    assert sc.chi(-factor * torch.tensor(shuffled, dtype=torch.float64)).item() == pytest.approx(
        chi, rel=1e-12
    )
    assert sc.effective_units(v).item() == pytest.approx(chi**-2)
    if len(v) > 1:
        assert -1e-9 <= sc.hoyer(v).item() <= 1 + 1e-9


def test_known_values():
    assert sc.chi(torch.tensor([0.0, -7.0, 0.0])).item() == 1
    assert sc.chi(torch.ones(25)).item() == pytest.approx(0.2)
    assert sc.effective_units(torch.ones(25)).item() == pytest.approx(25)
    assert sc.chi(torch.tensor([3.0, 4.0])).item() == pytest.approx(5 / 7)
    gaussian = torch.randn(2000, 200, generator=torch.Generator().manual_seed(0))
    assert sc.chi(gaussian).mean().item() == pytest.approx(math.sqrt(math.pi / 400), rel=5e-3)


@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e30])
def test_neither_underflow_nor_overflow(scale):
    v = torch.tensor([3.0, -4.0, 0.0]) * scale
    assert sc.chi(v).item() == pytest.approx(5 / 7, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_are_those_of_the_reference_at_any_scale(dtype):
    torch.manual_seed(0)
    scales = torch.tensor([1.0, 1e-8, 1e-25, 1e25, 0.0, float("nan"), float("inf")])
    v = (torch.randn(7, 3, 700) * scales[:, None, None]).to(dtype)
    chi, l1 = concentration_of_values(v)
    expected = concentration(v)
    torch.testing.assert_close((chi, l1), expected, rtol=2e-6, atol=0, equal_nan=True)
    for row in range(7):  # each by itself, whatever stands beside it
        alone = concentration_of_values(v[row])
        assert torch.equal(alone[0].nan_to_num(), chi[row].nan_to_num())
        assert torch.equal(alone[1].nan_to_num(), l1[row].nan_to_num())
    wide = torch.randn(3, 2**18 + 5).to(dtype)  # a row is longer than a block
    torch.testing.assert_close(
        concentration_of_values(wide), concentration(wide), rtol=1e-5, atol=0
    )
    exact = concentration(wide.double())
    for norm, truth in zip(concentration(wide), exact, strict=True):
        torch.testing.assert_close(norm.double(), truth, rtol=4e-6, atol=0)
    assert concentration_of_values(v[:0])[0].shape == (0, 3)
    assert concentration_of_values(v[0, 0])[0].shape == ()
    assert not concentration_of_values(v.requires_grad_())[0].requires_grad


def test_zero_vector_is_nan_and_others_are_not_touched():
    result = sc.chi(torch.tensor([[0.0, 0.0], [0.0, 2.0]]))
    assert result[0].isnan() and result[1] == 1


def test_any_axis_and_half_precision():
    v = torch.randn(3, 4, 5)
    torch.testing.assert_close(sc.chi(v, dim=1), sc.chi(v.transpose(1, 2)))
    assert sc.chi(v.bfloat16()).dtype is torch.float32
    assert sc.chi(torch.tensor([1, 1])).item() == pytest.approx(0.5**0.5)


def test_differentiable():
    v = torch.tensor([[1.0, -2.0, 0.5], [3.0, 1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sc.chi, v)
    assert torch.autograd.gradcheck(sc.hoyer, v)


@settings(max_examples=50)
@given(st.integers(2, 30), st.integers(0, 10**6), st.floats(0.01, 30))
def test_softmax_gradient_closed_form(vocabulary, seed, scale):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 3, vocabulary, generator=g, dtype=torch.float64) * scale
    target = torch.randint(vocabulary, (4, 3), generator=g)
    leaf = logits.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(leaf.flatten(0, 1), target.flatten(), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, leaf)
    clear = gradient.abs().sum(-1) > 1e-6  # written out, p - onehot cancels when p_target -> 1
    ours = sc.chi_softmax_gradient(logits, target)
    torch.testing.assert_close(ours[clear], sc.chi(gradient)[clear], rtol=1e-7, atol=1e-7)
    assert ((ours > 0.5) & (ours <= 0.5**0.5 + 1e-12)).all()


def test_softmax_gradient_of_two_words_and_grad():
    logits = torch.tensor([[1.0, -3.0]], dtype=torch.float64, requires_grad=True)
    assert sc.chi_softmax_gradient(logits, torch.tensor([0])).item() == pytest.approx(0.5**0.5)
    wide = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: sc.chi_softmax_gradient(x, torch.tensor([0, 3])), wide
    )


@pytest.mark.parametrize(
    ("logits", "target"),
    [([-1e38, -1e38, 0.0], 2), ([3e38, -3e38, -3e38], 0), ([1e6 + 1, 1e6, 1e6], 0)],
)
def test_softmax_gradient_of_extreme_and_masked_logits(logits, target):
    ours = sc.chi_softmax_gradient(torch.tensor(logits), torch.tensor(target))
    assert ours.item() == pytest.approx(0.375**0.5, rel=1e-6)


def test_softmax_gradient_goes_through_vmap_and_the_compiler():
    logits, target = torch.randn(4, 3, 7), torch.randint(7, (4, 3))
    right = sc.chi_softmax_gradient(logits, target)
    torch.testing.assert_close(torch.vmap(sc.chi_softmax_gradient)(logits, target), right)
    compiled = torch.compile(sc.chi_softmax_gradient, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(logits, target), right)


@pytest.mark.parametrize("measure", [sc.chi, sc.effective_units, sc.hoyer])
def test_a_zero_vector_has_no_gradient_and_spoils_none(measure):
    v = torch.tensor([[0.0, 0.0, 0.0], [3.0, 1.0, 1.0]], requires_grad=True)
    measure(v).nanmean().backward()
    alone = v.detach()[1:].clone().requires_grad_()
    measure(alone).sum().backward()
    assert v.grad is not None and alone.grad is not None
    torch.testing.assert_close(v.grad, torch.cat([torch.zeros(1, 3), alone.grad]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sc.chi(ragged()),
            r"nested one: give v\.values",
        ),
        (lambda: sc.chi(quantised()), r"quantised tensor: give v\.dequantize"),
        (lambda: sc.chi(masked()), r"masked one: give v\.get_data"),
        (
            lambda: sc.chi_softmax_gradient(torch.ones(2, 3) * 1j, torch.zeros(2).long()),
            r"logits must be real numbers, got torch\.complex64",
        ),
        (lambda: sc.chi(torch.empty(3, 0)), "at least one entry"),
        (lambda: sc.chi(torch.tensor(1.0)), "at least one entry"),
        (lambda: sc.hoyer(torch.ones(3, 1)), "at least 2 entries"),
        (lambda: sc.chi(torch.ones(2, 3), dim=5), r"dim must be one axis .* from -2 to 1, got 5"),
        (lambda: sc.chi(torch.ones(2, 3, 4), dim=(1, 2)), r"got \(1, 2\): v\.flatten"),
        (lambda: sc.hoyer(torch.ones(2, 3), dim=-3), "from -2 to 1, got -3"),
        (lambda: sc.hoyer(torch.tensor(1.0)), "at least one entry"),
        (lambda: sc.chi(torch.eye(3).to_sparse()), r"layout torch\.sparse_coo: give v\.to_dense"),
        (lambda: sc.chi_softmax_gradient(torch.ones(2, 3), [0, 1]), "got list: give torch.as_te"),
        (lambda: sc.chi([3.0, 4.0]), r"got list: give torch\.as_tensor"),
        (lambda: sc.hoyer([3.0, 4.0]), r"got list: give torch\.as_tensor"),
        (lambda: sc.chi_softmax_gradient(torch.ones(2, 1), torch.zeros(2).long()), "2 logits"),
        (lambda: sc.chi_softmax_gradient(torch.ones(2, 3), torch.zeros(3).long()), r"\(3,\)"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(sc.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
