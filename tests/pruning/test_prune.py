"""sc.prune: the smaller model computes what the large one does with the removed units at zero."""

import copy
import importlib

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.models.tagger import Tagger
from sparsecore.ops.weights import weight_names
from sparsecore.pruning.stack import RecurrentStack

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
GONE = [[1, 4, 6], [0, 1, 2, 5], [3]]  # layer by layer
H = 7


def zero_units(rnn, gone=GONE):
    """Set what enters these units of each layer to zero, in both directions."""
    directions = 2 if rnn.bidirectional else 1
    with torch.no_grad():
        for place, names in enumerate(weight_names(rnn)):
            for name in names:
                rows = rnn.get_parameter(name).unflatten(0, (-1, rnn.hidden_size))
                rows[:, gone[place // directions]] = 0
    return rnn


class Model(nn.Module):
    """An embedding, a recurrent layer, and a linear head that ``read`` leads to."""

    def __init__(self, rnn, read, width):
        super().__init__()
        self.embedding = nn.Embedding(11, 3)
        self.rnn, self.read = rnn, read
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(width, 2)

    def forward(self, ids):
        return self.out(self.dropout(self.read(*self.rnn(self.embedding(ids)))))


def every_step(y, state):
    return torch.tanh(y)


def last_step(y, state):
    return y[-1]


def last_state(y, state):
    h = state[0] if isinstance(state, tuple) and not torch.is_tensor(state[0][0][0]) else state
    return (h[0] if isinstance(h, tuple) and torch.is_tensor(h[0]) and h[0].dim() == 3 else h)[-1]


def mean_and_max(y, state):
    return torch.cat([y.mean(0), F.relu(y).amax(0)], -1)


def ids():
    return torch.randint(11, (5, 4))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pruned_model_equals_the_large_one_where_units_are_zero(kind, num_layers, bidirectional):
    torch.manual_seed(0)
    rnn = zero_units(
        KINDS[kind](3, H, num_layers, bidirectional=bidirectional, dropout=0.1 * (num_layers > 1))
    )
    model = Model(rnn, every_step, H * (2 if bidirectional else 1)).eval()
    before = copy.deepcopy(model.state_dict())
    given = ids()
    small = sc.prune(model, given)
    torch.testing.assert_close(small(given), model(given))
    sizes = [H - len(gone) for gone in GONE[:num_layers]]
    layers = [small.rnn] if num_layers == 1 else list(small.rnn.layers)
    assert [layer.hidden_size for layer in layers] == sizes
    assert all(type(layer) is KINDS[kind] for layer in layers)
    assert small.out.in_features == sizes[-1] * (2 if bidirectional else 1)
    assert not small.training and type(small.out) is nn.Linear
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("read", "width"), [(every_step, H), (last_step, H), (mean_and_max, 2 * H)]
)
def test_readers_behind_common_heads_are_cut(read, width):
    model = Model(zero_units(nn.GRU(3, H)), read, width).train()
    given = ids()
    small = sc.prune(model, given)
    assert small.training and small.out.in_features == width * 4 // H
    torch.testing.assert_close(small.eval()(given), model.eval()(given))


class Classifier(nn.Module):
    """Padded sentences in a batch-first, bidirectional stack; the last states decide."""

    def __init__(self, num_layers):
        super().__init__()
        self.rnn = zero_units(nn.LSTM(3, H, num_layers, batch_first=True, bidirectional=True))
        self.out = nn.Linear(2 * H, 2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, (h, _) = self.rnn(packed)
        y, _ = pad_packed_sequence(y, batch_first=True)
        return self.out(torch.cat([h[-2], h[-1]], -1)), self.out(y)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_packed_sequences_and_last_states_in_both_directions(num_layers):
    model = Classifier(num_layers).eval()
    given = torch.randn(3, 5, 3), torch.tensor([5, 2, 4])
    small = sc.prune(model, given)
    torch.testing.assert_close(small(*given), model(*given))
    by_name = sc.prune(model, {"x": given[0], "lengths": given[1]})
    torch.testing.assert_close(by_name(*given), model(*given))
    assert small.out.in_features == 2 * (H - len(GONE[num_layers - 1]))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_language_model_and_its_states(num_layers):
    torch.manual_seed(0)
    model = LSTMLanguageModel(11, 3, H, num_layers).eval()
    for layer in range(num_layers):
        zero_units(model.get_submodule(f"lstm{layer + 1}"), [GONE[layer]])
    given, after = ids(), ids()
    small = sc.prune(model, given)
    state = small_state = None
    for part in (given, after):  # the state of the one goes into the other
        hidden, state = model(part, state)
        found, small_state = small(part, small_state)
        torch.testing.assert_close(small.logits(found), model.logits(hidden))
        assert small_state[-1][0].shape[-1] == H - len(GONE[num_layers - 1])
    assert small.decoder.in_features == H - len(GONE[num_layers - 1])
    loss, small_loss = (m.loss(h, after)[0] for m, h in ((model, hidden), (small, found)))
    torch.testing.assert_close(small_loss, loss)


def test_tagger_of_two_layers_side_by_side():
    model = Tagger(nn.Embedding(11, 3), num_tags=5, hidden_size=H).eval()
    zero_units(model.forward_rnn, [[0]])
    zero_units(model.backward_rnn, [[2, 3]])
    given = ids(), torch.tensor([5, 3, 2, 5])
    small = sc.prune(model, given)
    torch.testing.assert_close(small(*given), model(*given))
    assert small.projection.in_features == 2 * H - 3


def test_units_that_are_not_zero_are_taken_as_zero():
    model = Model(nn.LSTM(3, H), every_step, H).eval()
    norms = model.rnn.weight_ih_l0.new_tensor(
        [
            torch.cat([p.detach()[j::H].flatten() for p in model.rnn.parameters()]).norm()
            for j in range(H)
        ]
    )
    given, middle = ids(), float(norms.median()) * (1 + 1e-6)
    small = sc.prune(model, given, middle)
    gone = [j for j in range(H) if norms[j] <= middle]
    assert small.rnn.hidden_size == H - len(gone)
    zero_units(model.rnn, [gone])
    torch.testing.assert_close(small(given), model(given))


def test_pruned_parametrized_and_frozen_layers_become_plain_ones():
    model = Model(zero_units(nn.LSTM(3, H, 2)), every_step, H).eval()
    prune.l1_unstructured(model.rnn, "weight_hh_l0", amount=0.5)
    parametrizations.weight_norm(model.out, "weight")
    model.rnn.weight_ih_l1.requires_grad_(False)
    given = ids()
    expected = model(given)
    small = sc.prune(model, given)
    torch.testing.assert_close(small(given), expected)
    assert all("orig" not in name and "param" not in name for name, _ in small.named_parameters())
    frozen = [name for name, p in small.named_parameters() if not p.requires_grad]
    assert frozen == ["rnn.layers.1.weight_ih_l0"]


def test_stack_takes_back_the_states_that_it_gives():
    model = Model(zero_units(nn.LSTM(3, H, 2, bidirectional=True)), every_step, 2 * H).eval()
    stack = sc.prune(model, ids()).rnn
    assert isinstance(stack, RecurrentStack)
    x = torch.randn(6, 2, 3)
    (y, state), (z, other) = stack(x), model.rnn(x)
    again, _ = stack(x, state)
    expected, _ = model.rnn(x, other)
    kept = [j for j in range(H) if j not in GONE[1]]
    columns = kept + [H + j for j in kept]
    torch.testing.assert_close(y, z[..., columns])
    torch.testing.assert_close(again, expected[..., columns])


def test_sizes_in_the_models_own_code_keep_layers_equal():
    """``hn.view`` needs one tensor of states: then all layers keep as many units as the widest."""
    model = Model(zero_units(nn.GRU(3, H, 2)), lambda y, h: h.view(2, 4, -1)[-1], H).eval()
    given = ids()
    small = sc.prune(model, given)
    torch.testing.assert_close(small(given), model(given))
    assert type(small.rnn) is nn.GRU and small.rnn.hidden_size == 4


class Residual(Model):
    def forward(self, ids):
        x = self.embedding(ids)
        return self.out(self.rnn(x)[0][..., :3] + x)


class WithState(Model):
    def forward(self, ids):
        return self.out(self.rnn(self.embedding(ids), torch.zeros(1, ids.shape[1], H))[0])


class Tied(Model):
    def __init__(self):
        super().__init__(nn.GRU(3, H), every_step, H)
        self.back = nn.Embedding(2, H)
        self.back.weight = self.out.weight


def refused():
    gru = nn.GRU(3, H)
    yield Model(gru, lambda y, h: y.softmax(-1), H), "units of 'rnn' through softmax"
    yield Model(gru, lambda y, h: torch.sigmoid(y), H), "units of 'rnn' through sigmoid"
    yield Model(gru, lambda y, h: F.layer_norm(y, (H,)), H), "through layer_norm"
    yield Model(gru, lambda y, h: y + 1, H), "through add"
    yield Residual(gru, None, 3), "units of 'rnn' through (__add__|add)"
    yield WithState(gru, None, H), "'rnn' is given an initial state"
    yield Tied(), "cannot cut 'out': its weight is tied to 'back.weight'"
    yield Model(nn.LSTM(3, H, proj_size=4), every_step, 4), "'rnn': it has proj_size=4"
    yield nn.Sequential(nn.Embedding(11, 3), nn.GRU(3, H)), "units of '1' leave the model"
    yield nn.Sequential(nn.Embedding(11, 3), nn.Linear(3, 2)), "no nn.LSTM, nn.GRU or nn.RNN"
    yield Model(sc.SparseGRU(3, H), every_step, H), r"no nn.LSTM.*to_dense\(\)"
    yield sc.SparseLSTM(3, H), r"no nn.LSTM, nn.GRU or nn.RNN to prune; SparseLSTM.to_dense\(\)"


@pytest.mark.parametrize(
    ("model", "message"), list(refused()), ids=[message for _, message in refused()]
)
def test_what_cannot_be_followed_is_refused_by_name(model, message):
    for rnn in model.modules():
        if isinstance(rnn, nn.RNNBase) and not rnn.proj_size and rnn.hidden_size == H:
            zero_units(rnn)
    with pytest.raises(InputError, match=message):
        sc.prune(model, ids())


def test_a_layer_without_units_and_one_that_never_ran_are_refused():
    model = Model(nn.GRU(3, H, 2), every_step, H)
    with pytest.raises(InputError, match=r"threshold 100 leaves no unit of 'rnn \(layer 0\)'"):
        sc.prune(model, ids(), 100)
    with pytest.raises(InputError, match="threshold must be at least 0, got -1"):
        sc.prune(model, ids(), -1)
    model.unused = nn.LSTM(3, 4)
    with pytest.raises(InputError, match="saw no call of 'unused'"):
        sc.prune(model, ids())


def test_prune_is_a_function_whatever_was_imported():
    importlib.import_module("sparsecore.pruning.paths")
    assert callable(sc.prune) and "prune" in sc.__all__
