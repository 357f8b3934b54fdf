"""Second derivatives of operations with backward passes of their own: right, or refused."""

import pytest
import torch
from torch import nn

import sparsecore as sc
from sparsecore.ops.linear_cross_entropy import linear_cross_entropy
from sparsecore.ops.rational import naive_rational_recurrence, rational_recurrence

FLOAT64 = {"dtype": torch.float64}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("semiring", ["plus_times", "max_plus", "max_times"])
def test_second_derivatives_of_the_recurrence_are_those_of_the_reference(
    semiring, compiled, monkeypatch
):
    if not compiled:
        monkeypatch.setattr("sparsecore.ops.rational.compiles_on_cpu", lambda x: False)
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 2, 2), (5, 2), (5, 2), (5,), (2, 5), (5,))  # x, main, loop, bias, c0, final
    given = [torch.randn(shape, generator=generator, **FLOAT64) for shape in shapes]
    mask = torch.tensor([[True, True], [True, True], [True, False]])
    options = {"semiring": semiring, "mask": mask, "fixed_loops": [True, False]}

    def found(function):
        tensors = [t.clone().requires_grad_() for t in given]
        x, main, loop, bias, c0, final = tensors
        scores, states = function(x, main, loop, bias, [2, 3], c0=c0, final=final, **options)
        first = torch.autograd.grad(scores.sum() + states.sum(), tensors, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), tensors)

    expected = found(naive_rational_recurrence)
    assert any(g.abs().sum() > 0 for g in expected)
    for ours, theirs in zip(found(rational_recurrence), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_stacked_layers_pass_gradgradcheck():
    torch.manual_seed(0)
    rnn = sc.RationalRNN(2, [[1, 2], [1]], num_layers=2).double()
    x = torch.randn(2, 1, 2, requires_grad=True, **FLOAT64)
    assert torch.autograd.gradgradcheck(lambda x: rnn(x)[0], (x,))


@pytest.mark.parametrize("compiled", [True, False])
def test_embedding_and_tied_logits_pass_gradgradcheck(compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr("sparsecore.ops.staircase.lookup.compiles_on_cpu", lambda x: False)
    torch.manual_seed(0)
    embedding = sc.SparseEmbedding(5, 4, 0.6, 3).double()
    names, tables = zip(*embedding.named_parameters(), strict=True)
    ids = torch.tensor([[4, 0, 4], [2, 1, 3]])

    def squared(*tables):
        given = dict(zip(names, tables, strict=True))
        return torch.func.functional_call(_Tied(embedding), _prefixed(given), (ids,))

    assert torch.autograd.gradcheck(squared, tables)
    assert torch.autograd.gradgradcheck(squared, tables)


class _Tied(nn.Module):
    def __init__(self, embedding):
        super().__init__()
        self.embedding = embedding

    def forward(self, ids):
        return self.embedding.tied_logits(self.embedding(ids))


def _prefixed(given):
    return {f"embedding.{name}": table for name, table in given.items()}


def test_a_loss_without_second_derivatives_is_refused():
    hidden = torch.randn(4, 3, requires_grad=True)
    weight, bias = torch.randn(5, 3), torch.zeros(5)
    loss = linear_cross_entropy(hidden, weight, bias, torch.tensor([0, 1, 2, 3]))
    loss = loss if isinstance(loss, torch.Tensor) else loss[0]
    with pytest.raises(sc.InputError, match=r"create_graph=True.*cross_entropy on the logits"):
        torch.autograd.grad(loss, hidden, create_graph=True)
