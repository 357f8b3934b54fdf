"""The dropouts zero what they say, scale the rest, and leave evaluation alone."""

import pytest
import torch
import torch.nn.functional as F

from sparsecore.errors import InputError
from sparsecore.models.dropout import LockedDropout, dropped_embedding


@pytest.mark.parametrize("batch_first", [False, True])
def test_locked_dropout_holds_its_mask_over_time(batch_first):
    torch.manual_seed(0)
    time = 1 if batch_first else 0
    x = torch.rand(4, 5, 60, dtype=torch.float64) + 1
    y = LockedDropout(0.3, batch_first=batch_first)(x)
    mask = y / x
    assert torch.equal(mask.eq(0), mask.narrow(time, 0, 1).eq(0).expand_as(mask))
    torch.testing.assert_close(mask[mask != 0], torch.full_like(mask[mask != 0], 1 / 0.7))
    first = mask.select(time, 0)
    assert first.eq(0).double().mean().item() == pytest.approx(0.3, abs=0.1)
    assert not torch.equal(first[0], first[1])  # sequences have masks of their own


def test_locked_dropout_is_still_in_evaluation():
    x = torch.rand(4, 5, 6)
    assert LockedDropout(0.5).eval()(x) is x
    assert LockedDropout(0.0)(x) is x


def test_dropped_embedding_equals_a_matrix_with_dropped_rows():
    torch.manual_seed(0)
    weight = torch.rand(30, 4, dtype=torch.float64).add(1).requires_grad_()
    ids = torch.arange(30).repeat(3, 1)
    vectors = dropped_embedding(weight, ids, 0.4, training=True)
    dropped = vectors[0].eq(0).all(1)
    assert 0 < dropped.sum() < 30

    masked = weight * (~dropped).unsqueeze(1) / 0.6
    torch.testing.assert_close(vectors, F.embedding(ids, masked))
    upward = torch.rand_like(vectors)
    found = torch.autograd.grad(vectors, weight, upward)[0]
    expected = torch.autograd.grad(F.embedding(ids, masked), weight, upward)[0]
    torch.testing.assert_close(found, expected)


def test_the_last_word_is_trained_too():
    weight = torch.rand(6, 3, requires_grad=True)
    dropped_embedding(weight, torch.tensor([0, 5]), 0.0, training=True).sum().backward()
    assert weight.grad.sum(1).tolist() == [3, 0, 0, 0, 0, 3]
    for seed in range(20):
        torch.manual_seed(seed)
        vectors = dropped_embedding(weight, torch.tensor([5]), 0.5, training=True)
        if vectors.ne(0).any():
            (gradient,) = torch.autograd.grad(vectors.sum(), weight)
            assert gradient[5].tolist() == [2, 2, 2]
            return
    pytest.fail("the word was always dropped")


def test_without_training_it_is_a_lookup():
    weight, ids = torch.rand(6, 3), torch.tensor([[0, 5]])
    assert torch.equal(dropped_embedding(weight, ids, 0.9, training=False), weight[ids])


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_probabilities_outside_their_range_are_refused(p):
    with pytest.raises(InputError, match=r"p must lie in \[0, 1\)"):
        LockedDropout(p)
    with pytest.raises(InputError, match=r"p must lie in \[0, 1\)"):
        dropped_embedding(torch.rand(6, 3), torch.tensor([0]), p, training=False)
