"""Rational RNNs leave PyTorch: compiled, exported for texts of any length, in ONNX."""

import numpy as np
import pytest
import torch

import sparsecore as sc

# PyTorch's own tracers and exporters warn of their own deprecations
pytestmark = pytest.mark.filterwarnings("ignore")

T, B = torch.export.Dim("T", min=2, max=4096), torch.export.Dim("B", min=2, max=1024)
OPTIONS = [
    {},
    pytest.param({"semiring": "max_plus", "final": "rho"}, marks=pytest.mark.slow),
    pytest.param(
        {"semiring": "max_times", "final": "last", "last_loop_one": True}, marks=pytest.mark.slow
    ),
]


def inputs(steps, batch, width=7):
    mask = torch.rand(steps, batch) > 0.2
    return torch.randn(steps, batch, 3), torch.rand(batch, width), mask


@pytest.mark.parametrize("options", OPTIONS)
def test_exported_program_takes_any_length_and_batch(options):
    torch.manual_seed(0)
    rnn = sc.RationalRNN(3, [2, 1, 4], **options)
    shapes = ({0: T, 1: B}, {0: B}, {0: T, 1: B})
    program = torch.export.export(rnn, inputs(5, 4), dynamic_shapes=shapes)
    for steps, batch in [(9, 3), (2, 2)]:
        given = inputs(steps, batch)
        torch.testing.assert_close(program.module()(*given), rnn(*given))


@pytest.mark.slow
def test_onnx_of_the_exported_program(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    rnn = sc.RationalRNN(3, [2, 1, 4], bidirectional=True, num_layers=2)
    file, shapes = tmp_path / "rnn.onnx", ({0: T, 1: B},)
    torch.onnx.export(rnn, inputs(5, 4)[:1], file, dynamic_shapes=shapes, verbose=False)
    (x, *_) = inputs(9, 3)
    session = onnxruntime.InferenceSession(file)
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    for ours, theirs in zip(found, rnn(x), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("options", OPTIONS)
def test_compiled_layer_trains_like_the_plain_one(options):
    torch.manual_seed(0)
    rnn = sc.RationalRNN(3, [2, 1, 4], **options)
    compiled = torch.compile(rnn, backend="aot_eager")
    x, c0, mask = inputs(6, 4)
    gradients = []
    for call in (compiled, rnn):
        scores, _ = call(x, c0, mask)
        weights = [rnn.main, rnn.loop, rnn.bias]
        gradients.append(torch.autograd.grad(scores.square().sum(), weights))
    torch.testing.assert_close(gradients[0], gradients[1])
