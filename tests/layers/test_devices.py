"""Layers and losses on devices that no test machine has: by shapes alone, and by what they lack."""

import pytest
import torch

import sparsecore as sc
from sparsecore.ops.linear_cross_entropy import linear_cross_entropy
from sparsecore.ops.rational.steps import ProjectionGradients
from sparsecore.ops.word_sums import quantise
from sparsecore.pruning.paths import arc_weights
from tests.fake_gpu import fake_gpu

META = torch.device("meta")


def sparse_embedding_with_logits():
    layer = sc.SparseEmbedding(40, 6, 0.5)
    return layer, (torch.zeros(3, 2, dtype=torch.int64),), lambda y: layer.tied_logits(y)


LAYERS = {
    "SparseLSTM": lambda: (sc.SparseLSTM(8, 6, 2, 0.75), (torch.zeros(5, 3, 8),), lambda y: y[0]),
    "SparseGRU": lambda: (sc.SparseGRU(8, 6, 2, 0.75), (torch.zeros(5, 3, 8),), lambda y: y[0]),
    "RationalRNN": lambda: (sc.RationalRNN(8, [4, 2]), (torch.zeros(5, 3, 8),), lambda y: y[0]),
    "SparseEmbedding": sparse_embedding_with_logits,
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_its_shapes_on_the_meta_device(name):
    layer, given, output = LAYERS[name]()
    shape = output(layer(*given)).shape
    layer, given = layer.to(META), [x.to(META) for x in given]
    found = output(layer(*given))
    assert found.is_meta and found.shape == shape


def test_cross_entropy_has_its_shapes_on_the_meta_device():
    hidden = torch.zeros(7, 4, device=META, requires_grad=True)
    weight, bias = torch.zeros(9, 4, device=META), torch.zeros(9, device=META)
    target = torch.zeros(7, dtype=torch.int64, device=META)
    loss, chi, l1 = linear_cross_entropy(hidden, weight, bias, target)
    loss.backward()
    assert loss.shape == () and chi.shape == l1.shape == (7,) and hidden.grad.shape == (7, 4)


def test_sums_of_words_need_no_float64():
    values = torch.rand(1000)
    with NoFloat64():
        found = quantise(values, values * 100)
    assert torch.equal(found, quantise(values.double(), (values * 100).double()))


def test_layers_need_no_float64_on_mps():
    with fake_gpu(kind="mps") as device, NoFloat64():
        for make in LAYERS.values():
            layer, given, output = make()
            assert output(layer.to(device)(*(x.to(device) for x in given))).device == device
        x, weight = torch.zeros(5, 3, 8, device=device), torch.zeros(12, 8, device=device)
        gradients = ProjectionGradients(x, weight, need_x=True)
        gradients.add(slice(0, 5), torch.zeros(2, 6, 5, 3, device=device))
        assert gradients.main.device == device and gradients.main.dtype == torch.float32
        u, f = arc_weights(sc.RationalRNN(8, [4, 2]).to(device), x)
        assert u.dtype == f.dtype == torch.float32


class NoFloat64(torch.utils._python_dispatch.TorchDispatchMode):
    """Refuses float64, as MPS does."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        assert not (isinstance(made, torch.Tensor) and made.dtype == torch.float64), func
        return made
