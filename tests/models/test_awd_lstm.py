"""The AWD-LSTM: where its dropouts act and where not, its penalties, its tied output."""

import pytest
import torch
import torch.nn.functional as F

from sparsecore.errors import InputError
from sparsecore.layers.embedding import SparseEmbedding
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.models.awd_lstm import AWDLanguageModel, activation_penalty
from sparsecore.models.language_model import detach

V, E, H, T, B = 31, 6, 9, 8, 5


def make(weight_drop=0.0, words=0.0, **dropouts):
    torch.manual_seed(0)
    rates = {"dropout": 0.0, "dropouth": 0.0, "dropouti": 0.0, **dropouts}
    embedding = SparseEmbedding(V, E, 1.0, 1, word_dropout=words)
    layers = [SparseLSTM(E, H, weight_drop=weight_drop), SparseLSTM(H, E, weight_drop=weight_drop)]
    return AWDLanguageModel(embedding, layers, **rates).double()


def seen_by(model, name, ids):
    """What the named submodule gives on one call of the model in training."""
    caught = []
    handle = model.get_submodule(name).register_forward_hook(lambda m, i, o: caught.append(o))
    model(ids)
    handle.remove()
    return caught


ids = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(1))


def test_output_equals_plain_lstms():
    model = make(dropout=0.4, dropouth=0.3, dropouti=0.4, words=0.2, weight_drop=0.5).eval()
    first, second = (layer.to_dense() for layer in model.layers)
    h, raw, state = model(ids)
    weight = model.embedding.dense()
    reference = second(first(F.embedding(ids, weight))[0])
    torch.testing.assert_close(h, reference[0])
    assert h is raw
    torch.testing.assert_close(state[1], reference[1])
    logits = h @ weight.t() + model.bias
    torch.testing.assert_close(model.logits(h), logits)
    loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
    torch.testing.assert_close(model.loss(h, ids), loss)


def test_state_is_carried():
    model = make().eval()
    whole = model(ids)[0]
    _, _, state = model(ids[:3])
    torch.testing.assert_close(model(ids[3:], detach(state))[0], whole[3:])


@pytest.mark.parametrize(
    ("rate", "name"),
    [("dropouti", "input_dropout"), ("dropouth", "hidden_dropout"), ("dropout", "output_dropout")],
)
def test_a_locked_mask_is_constant_over_time(rate, name):
    (given,) = seen_by(make(**{rate: 0.5}), name, ids)
    zero = given == 0
    assert torch.equal(zero.all(0), zero.any(0))  # off at all times or at none
    assert 0.2 < zero[0].double().mean() < 0.8
    assert len({tuple(row) for row in zero[0].tolist()}) > 1  # another mask for each text


def test_a_dropped_word_is_dropped_wherever_it_stands():
    model = make(words=0.4)
    every = torch.arange(V).repeat(2, 1)
    (vectors,) = seen_by(model, "embedding", every)
    kept = vectors.abs().sum(-1) > 0
    assert torch.equal(kept[0], kept[1]) and 0.3 < kept[0].double().mean() < 0.9
    torch.testing.assert_close(vectors[0][kept[0]], model.embedding.dense()[kept[0]] / 0.6)


def test_the_tied_output_drops_no_word():
    model = make(words=0.9)
    h = torch.randn(T, B, E, dtype=torch.float64)
    before = model.logits(h)
    torch.testing.assert_close(model.logits(h), before)
    torch.testing.assert_close(before, h @ model.embedding.dense().t() + model.bias)
    loss = F.cross_entropy(before.flatten(0, 1), ids.flatten())
    torch.testing.assert_close(model.loss(h, ids), loss)


def test_recurrent_weights_get_their_gradient_through_weight_drop():
    model = make(weight_drop=0.5)
    hidden, _, _ = model(ids)
    model.loss(hidden, ids).backward()
    for layer in model.layers:
        weight = dict(layer.named_parameters())["blocks.0.weight_hh_l0"]
        assert weight.grad.abs().sum() > 0
        assert 0.2 < (weight.grad == 0).double().mean() < 0.8  # a dropped weight gets none
    assert all(p.grad is not None for p in model.parameters())


def test_penalties_by_hand():
    dropped = torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]], [[0.0, 4.0]]])
    raw = torch.tensor([[[1.0, 1.0]], [[2.0, 3.0]], [[0.0, 4.0]]])
    activations, changes = (1 + 4 + 16) / 6, (1 + 4 + 4 + 1) / 4
    assert float(activation_penalty(dropped, raw, 2, 0)) == pytest.approx(2 * activations)
    assert float(activation_penalty(dropped, raw, 0, 3)) == pytest.approx(3 * changes)
    assert float(activation_penalty(dropped[:1], raw[:1], 1, 1)) == pytest.approx(0.5)


def test_penalties_look_at_both_sides_of_the_output_dropout():
    model = make(dropout=0.5)
    dropped, raw, _ = model(ids)
    assert (dropped == 0).any() and not (raw == 0).any()
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], 2 * raw[kept])


def test_layers_that_do_not_meet_the_embedding():
    with pytest.raises(InputError, match=r"embedding has dimensions \(6\), got hidden_size=9"):
        AWDLanguageModel(SparseEmbedding(V, E, 1.0, 1), [SparseLSTM(E, H)])
