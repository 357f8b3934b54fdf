"""sc.prune keeps what is attached to a model and its layers, or says what it cannot keep."""

import threading

import pytest
import torch
from torch import nn
from torch.ao import quantization
from torch.nn.utils import parametrizations, prune

import sparsecore as sc
from sparsecore.errors import InputError
from sparsecore.ops.weights import weight_names
from sparsecore.pruning.stack import RecurrentStack

H = 7
GONE = [[1, 4], [0, 1, 2]]  # layer by layer


class Model(nn.Module):
    def __init__(self, num_layers=1, kind=nn.LSTM):
        super().__init__()
        self.rnn, self.out = kind(3, H, num_layers), nn.Linear(H, 2)
        with torch.no_grad():
            for names, gone in zip(weight_names(self.rnn), GONE, strict=False):
                for name in names:
                    self.rnn.get_parameter(name).unflatten(0, (-1, H))[:, gone] = 0

    def forward(self, x):
        return self.out(self.rnn(x)[0])


def x():
    return torch.randn(5, 4, 3)


def sizes(model):
    layers = model.rnn.layers if isinstance(model.rnn, RecurrentStack) else [model.rnn]
    return [*(layer.hidden_size for layer in layers), model.out.in_features]


@pytest.mark.parametrize("num_layers", [1, 2])
def test_hooks_of_cut_layers_go_on_and_change_the_outputs_alike(num_layers):
    torch.manual_seed(0)
    model, seen = Model(num_layers), []
    model.rnn.register_forward_pre_hook(
        lambda layer, args, kwargs: ((args[0] * 2,), kwargs), with_kwargs=True
    )
    model.rnn.register_forward_hook(lambda layer, args, output: (output[0] * 3, output[1]))
    model.out.register_forward_hook(
        lambda layer, args, kwargs, output: output + 1, with_kwargs=True, always_call=True
    )
    model.out.register_full_backward_hook(lambda *_: seen.append("backward"))
    model.register_forward_hook(lambda *_: seen.append("model"))
    given = x()
    small = sc.prune(model, given)
    seen.clear()
    y = small(given)
    torch.testing.assert_close(y, model(given))
    assert sizes(small) == [H - len(gone) for gone in GONE[:num_layers]] + [sizes(small)[-2]]
    y.sum().backward()
    assert seen == ["model", "model", "backward"]
    assert list(small.out._forward_hooks_always_called) == list(small.out._forward_hooks)


def test_hook_that_depends_on_the_number_of_units_is_refused_by_name():
    model = Model()
    scale = torch.randn(H)

    def rescale(layer, args):
        return (args[0] * scale,)

    model.out.register_forward_pre_hook(rescale)
    with pytest.raises(InputError, match=r"or the hook .*rescale of 'out', relies on the number"):
        sc.prune(model, x())
    model = Model()
    model.rnn.register_forward_hook(lambda layer, args, output: (output[0] + 1, output[1]))
    with pytest.raises(InputError, match=r"of 'rnn', relies on .*outputs of shape"):
        sc.prune(model, x())


class Recurrent(nn.LSTM):
    """A class of the user's own with the forward of ``nn.LSTM``."""


class Head(nn.Linear):
    def of_last(self, y):
        return self(y[-1])


@pytest.mark.parametrize("num_layers", [1, 2])
def test_buffers_attributes_and_classes_of_cut_layers_stay(num_layers):
    model = Model(num_layers, kind=Recurrent)
    weight = model.out.weight
    model.out = Head(H, 2)
    model.out.weight, model.out.tag = weight, "head"
    model.out.register_buffer("seen", torch.arange(3))
    model.listed = [model.rnn]  # not registered: the same object all the same
    prune.l1_unstructured(model.rnn, "weight_hh_l0", amount=0.2)
    parametrizations.weight_norm(model.out, "weight")
    given = x()
    expected = model(given)
    small = sc.prune(model, given)
    torch.testing.assert_close(small(given), expected)
    assert type(small.rnn) is Recurrent and type(small.out) is Head and small.out.tag == "head"
    assert small.listed[0] is small.rnn and small.rnn.hidden_size == H - 2
    names = {*small.state_dict()}
    assert names == {"out.seen"} | {name for name, _ in Model(num_layers).named_parameters()}
    assert small.out.of_last(torch.randn(4, 2, H - 2 if num_layers == 1 else 5)).shape == (2, 2)
    torch.testing.assert_close(model(given), expected)  # its own parametrization still works


def test_outputs_and_states_kept_as_attributes_are_copied_as_values():
    model = Model()
    model.rnn.register_forward_hook(lambda layer, args, output: setattr(layer, "last", [output]))
    given = x()
    model(given)
    model.cache = {"y": (model.rnn(given)[0],)}
    small = sc.prune(model, given)
    torch.testing.assert_close(small(given), model(given))
    assert torch.equal(small.cache["y"][0], model.cache["y"][0])
    assert not small.cache["y"][0].requires_grad and model.cache["y"][0].requires_grad


def test_what_cannot_be_copied_is_named():
    model = Model()
    model.rnn.lock = threading.Lock()
    with pytest.raises(InputError, match=r"attribute 'lock' of 'rnn' cannot be copied .*lock"):
        sc.prune(model, x())
    model = Model()
    model.out = nn.LazyLinear(2)
    with pytest.raises(InputError, match=r"needs 'out.weight', which has no size yet: call model"):
        sc.prune(model, x())


def test_compiled_parts_are_cut_and_hooks_of_the_wrapper_stay():
    model = Model()
    given = x()
    model.rnn = torch.compile(model.rnn, backend="eager")
    model.rnn.register_forward_hook(lambda layer, args, output: (output[0] * 2, output[1]))
    expected = model.out(model.rnn._orig_mod(given)[0] * 2)
    small = sc.prune(model, given)
    assert type(small.rnn) is nn.LSTM and sizes(small) == [5, 5]
    torch.testing.assert_close(small(given), expected)
    assert type(model.rnn) is not nn.LSTM and not model.rnn._orig_mod._forward_hooks


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_pruned_models_are_scripted_where_layers_stay_of_one_size():
    given = x()
    small = sc.prune(Model(), given)
    torch.testing.assert_close(torch.jit.script(small)(given), small(given))
    with pytest.raises(
        InputError, match="RecurrentStack, layers of unequal sizes, is not scripted"
    ):
        torch.jit.script(sc.prune(Model(2), given))


def test_pruned_in_inference_mode_can_be_trained():
    with torch.inference_mode():
        given = x()
        small = sc.prune(Model(), given)
    small(x()).sum().backward()
    assert small.rnn.weight_hh_l0.grad is not None


@pytest.mark.parametrize("threshold", ["0.1", None, float("nan"), -1.0])
def test_threshold_that_is_no_number_is_refused(threshold):
    with pytest.raises(InputError, match="threshold must be"):
        sc.prune(Model(), x(), threshold)
    with pytest.raises(InputError, match="threshold must be"):
        sc.compact(sc.RationalRNN(3, [2]), threshold)


def test_weights_that_are_no_numbers_are_not_taken_for_zero():
    model, rnn = Model(), sc.RationalRNN(3, [2, 1])
    with torch.no_grad():
        model.rnn.weight_hh_l0[3, 2] = rnn.main[0, 0] = float("nan")
    with pytest.raises(InputError, match="a norm is NaN"):
        sc.prune(model, x())
    with pytest.raises(InputError, match="a norm is NaN"):
        sc.compact(rnn)


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_models_that_became_something_else_say_what_to_do():
    quantised = quantization.quantize_dynamic(Model().eval(), {nn.LSTM})
    scripted = torch.jit.script(Model())
    with pytest.raises(InputError, match="a quantised LSTM: prune the model first, then quantise"):
        sc.prune(quantised, x())
    with pytest.raises(InputError, match="it is scripted: prune the model first, then script it"):
        sc.prune(scripted, x())
    traced = torch.fx.GraphModule({}, torch.fx.Graph())
    with pytest.raises(InputError, match="it is exported: prune the model first, then export it"):
        sc.prune(traced, x())
    with pytest.raises(InputError, match=r"prune takes an nn.Module, got int of builtins"):
        sc.prune(3, x())
    with pytest.raises(InputError, match=r"nn.LSTM, got LSTM of torch\.ao\.nn\.quantized"):
        sc.SparseLSTM.from_dense(quantised.rnn)
