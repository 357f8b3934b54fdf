"""Chi token by token equals that of each token's own loss, written out."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.measure.token_view import sentence_chi
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.ops.autocast import backward_in_eval

WORDS = [f"w{n}" for n in range(30)]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LSTMLanguageModel(30, 8, 8, dropout=0.5).double()


def test_chi_is_that_of_each_tokens_own_loss(model):
    ids = [3, 7, 7, 1, 20]
    table = sentence_chi(model, ids, WORDS)
    assert table["position"].nunique() == 4
    first = table.drop_duplicates("position")
    assert first["input"].tolist() == ["w3", "w7", "w7", "w1"]
    assert first["target"].tolist() == ["w7", "w7", "w1", "w20"]
    assert model.training
    model.eval()
    h1 = model.lstm1(model.embedding(torch.tensor(ids[:-1]).unsqueeze(1)))[0]
    h2 = model.lstm2(h1)[0].detach().requires_grad_()
    logits = model.decoder(h2)
    loss = cross_entropy(logits.flatten(0, 1), torch.tensor(ids[1:]), reduction="none")
    (gradient,) = torch.autograd.grad(loss.sum(), h2)
    found = table.set_index(["layer", "signal"])
    upper = found.loc[("lstm2", "gradient")].sort_values("position")
    assert upper["chi"].tolist() == pytest.approx(sc.chi(gradient).flatten().tolist(), abs=1e-9)
    assert upper["surprisal"].tolist() == pytest.approx(loss.tolist())
    lower = found.loc[("lstm1", "activation")].sort_values("position")
    assert lower["chi"].tolist() == pytest.approx(sc.chi(h1).flatten().tolist(), abs=1e-9)
    softmax = torch.softmax(logits, -1).flatten(0, 1)
    softmax = softmax - torch.nn.functional.one_hot(torch.tensor(ids[1:]), 30)
    there = found.loc[("softmax", "gradient")].sort_values("position")
    assert there["chi"].tolist() == pytest.approx(sc.chi(softmax).tolist(), abs=1e-7)


def test_the_model_is_left_as_it_was(model):
    model.eval()
    weight = model.decoder.weight
    weight.grad = torch.ones_like(weight)
    sentence_chi(model, [1, 2, 3], WORDS)
    assert not model.training
    assert torch.equal(weight.grad, torch.ones_like(weight))
    assert model.embedding.weight.grad is None


@pytest.mark.parametrize(("ids", "message"), [([1], "at least 2 words"), ([1, 30], r"\[0, 30\)")])
def test_bad_sentences_are_named(model, ids, message):
    with pytest.raises(InputError, match=message):
        sentence_chi(model, ids, WORDS)


def test_cudnn_is_left_aside_where_a_recurrent_model_goes_backward_in_eval_mode():
    before = torch.backends.cudnn.enabled
    with backward_in_eval(nn.Sequential(nn.LSTM(3, 4))):
        assert not torch.backends.cudnn.enabled
    with backward_in_eval(nn.Linear(3, 4)):
        assert torch.backends.cudnn.enabled == before
    assert torch.backends.cudnn.enabled == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_recurrent_model_in_eval_mode_goes_backward_on_a_gpu():
    model = nn.LSTM(3, 4).cuda().eval()
    with backward_in_eval(model):
        model(torch.randn(5, 2, 3, device="cuda"))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
