"""The tagger of Demeester et al. 2018: its size, its two directions, its padding, its dropouts."""

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sparsecore.errors import InputError
from sparsecore.layers.embedding import SparseEmbedding
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.models.tagger import Tagger, reversal

V = 43_815  # words in the paper


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("density", "in_embedding", "in_all"),
    [(1.0, 876_300, 879_609), (0.25, 219_075, 222_384), (0.1, 87_630, 90_939)],
)
def test_table_3_counts(density, in_embedding, in_all):
    embedding = SparseEmbedding(V, 20, density, num_bins=1 if density == 1 else None)
    model = Tagger(embedding, num_tags=49)
    assert (parameters(embedding), parameters(model)) == (in_embedding, in_all)
    recurrent = parameters(model.forward_rnn) + parameters(model.backward_rnn)
    assert (recurrent, parameters(model.projection), parameters(model.output)) == (2560, 210, 539)


def reference(model, ids):
    """Scores of one sentence, by a bidirectional nn.LSTM that has the same weights."""
    both = nn.LSTM(4, 3, bidirectional=True)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            for rnn, end in ((model.forward_rnn, "_l0"), (model.backward_rnn, "_l0_reverse")):
                getattr(both, name + end).copy_(getattr(rnn, f"{name}_l0"))
    h = both.to(torch.float64)(model.embedding(ids).unsqueeze(1))[0].squeeze(1)
    return model.output(torch.tanh(model.projection(h)))


def test_scores_are_those_of_each_sentence_alone():
    torch.manual_seed(0)
    model = Tagger(nn.Embedding(50, 4), num_tags=5, hidden_size=3, projection_size=2)
    model = model.to(torch.float64).eval()
    lengths = torch.tensor([7, 1, 4])
    ids = torch.randint(0, 50, (7, 3))
    scores = model(ids, lengths)
    for column, size in enumerate(lengths.tolist()):
        torch.testing.assert_close(scores[:size, column], reference(model, ids[:size, column]))


def test_padding_gets_no_gradient():
    embedding = nn.Embedding(9, 4)
    model = Tagger(embedding, num_tags=5)
    ids = torch.tensor([[1, 2], [3, 8], [4, 8]])  # 8 stands in the padding only
    lengths = torch.tensor([3, 1])
    model(ids, lengths)[0].sum().backward()
    gradient = embedding.weight.grad
    assert gradient is not None
    assert gradient[8].abs().sum() == 0 and gradient[[1, 2, 3, 4]].abs().sum(1).min() > 0


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 3))
def test_reversal_is_its_own_inverse(lengths, more):
    size = max(lengths) + more
    mirror = reversal(torch.tensor(lengths), size)
    assert torch.equal(mirror.gather(0, mirror), torch.arange(size)[:, None].expand_as(mirror))
    for column, length in enumerate(lengths):
        assert mirror[:length, column].tolist() == list(range(length))[::-1]


def test_one_mask_a_sentence_and_none_in_evaluation():
    torch.manual_seed(0)
    model = Tagger(nn.Embedding(30, 20), num_tags=5, dropout=0.5)
    seen = []
    model.forward_rnn.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    ids, lengths = torch.randint(0, 30, (6, 4)), torch.full((4,), 6)
    model(ids, lengths)
    off = seen[0] == 0
    assert off.any() and torch.equal(off, off[:1].expand_as(off))  # the same at all times
    assert not torch.equal(off[0, 0], off[0, 1])  # another in each sentence
    model.eval()(ids, lengths)
    assert torch.equal(seen[1], model.embedding(ids))


def test_weight_drop_acts_on_both_directions_in_training_only():
    rnn = functools.partial(SparseLSTM, num_blocks=1, weight_drop=0.5)
    model = Tagger(nn.Embedding(30, 20), num_tags=5, rnn=rnn)
    ids, lengths = torch.randint(0, 30, (6, 2)), torch.full((2,), 6)
    for name in ("forward_rnn", "backward_rnn"):
        layer, x = model.get_submodule(name), torch.randn(6, 2, 20)
        assert not torch.equal(layer(x)[0], layer(x)[0])
    model.eval()
    assert torch.equal(model(ids, lengths), model(ids, lengths))


def test_one_tag_is_too_few():
    with pytest.raises(InputError, match="at least 2 tags, got 1"):
        Tagger(nn.Embedding(3, 2), num_tags=1)
