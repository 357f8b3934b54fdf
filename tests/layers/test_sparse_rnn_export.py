"""Sparse recurrent layers leave PyTorch: compiled, exported, in ONNX, saved, in half precision."""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import sparsecore as sc
from sparsecore.ops.autocast import cpu_lstm_runs_in

onnxruntime = pytest.importorskip("onnxruntime")

# PyTorch's own tracers and exporters warn of their own deprecations
pytestmark = pytest.mark.filterwarnings("ignore")

LAYERS = [sc.SparseLSTM, sc.SparseGRU, sc.SparseRNN]
T, B = torch.export.Dim("T", min=2, max=4096), torch.export.Dim("B", min=1, max=1024)


def inputs(layer, steps, batch, with_state):
    """(x, state) as the layer takes them, batch first or not."""
    shape = (batch, steps, 8) if layer.batch_first else (steps, batch, 8)
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    h0, c0 = torch.randn(rows, batch, 6), torch.randn(rows, batch, 6)
    state = (h0, c0) if isinstance(layer, sc.SparseLSTM) else h0
    return (torch.randn(shape), state) if with_state else (torch.randn(shape),)


def dynamic(layer, with_state):
    x = {0: B, 1: T} if layer.batch_first else {0: T, 1: B}
    state = ({1: B}, {1: B}) if isinstance(layer, sc.SparseLSTM) else {1: B}
    return (x, state) if with_state else (x,)


@pytest.mark.parametrize(
    ("make", "options", "with_state"),
    [
        (sc.SparseLSTM, {}, False),
        pytest.param(sc.SparseGRU, {"bidirectional": True}, True, marks=pytest.mark.slow),
        pytest.param(sc.SparseRNN, {"bias": False}, True, marks=pytest.mark.slow),
        pytest.param(
            sc.SparseLSTM,
            {"batch_first": True, "bidirectional": True, "num_layers": 2},
            True,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_exported_program_takes_any_length_and_batch(make, options, with_state):
    layer = make(8, 6, 2, 0.75, **options).eval()
    example = inputs(layer, 5, 3, with_state)
    program = torch.export.export(layer, example, dynamic_shapes=dynamic(layer, with_state))
    for steps, batch in [(9, 4), (2, 1)]:
        other = inputs(layer, steps, batch, with_state)
        torch.testing.assert_close(program.module()(*other), layer(*other))


@pytest.mark.parametrize(
    "make", [sc.SparseGRU, *(pytest.param(m, marks=pytest.mark.slow) for m in LAYERS[::2])]
)
def test_onnx_of_the_exported_program(make, tmp_path):
    layer = make(8, 6, 2, 0.75).eval()
    file = tmp_path / "layer.onnx"
    shapes = dynamic(layer, True)
    torch.onnx.export(layer, inputs(layer, 5, 3, True), file, dynamic_shapes=shapes, verbose=False)
    assert_onnx_equals(file, layer, inputs(layer, 9, 4, True))


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}])
def test_onnx_with_its_own_recurrent_operators(make, options, tmp_path):
    layer = make(8, 6, 2, 0.75, **options).eval()
    file = tmp_path / "layer.onnx"
    names = ["x", "h0", "c0"][: 3 if make is sc.SparseLSTM else 2]
    torch.onnx.export(
        layer,
        inputs(layer, 5, 3, True),
        file,
        dynamo=False,
        input_names=names,
        dynamic_axes={name: {0: "T", 1: "B"} if name == "x" else {1: "B"} for name in names},
    )
    assert_onnx_equals(file, layer, inputs(layer, 9, 4, True))


def assert_onnx_equals(file, layer, given):
    """Outputs and final states as ONNX Runtime computes them."""
    x, state = given
    tensors = [x, *(state if isinstance(state, tuple) else [state])]
    session = onnxruntime.InferenceSession(file)
    feed = {i.name: t.numpy() for i, t in zip(session.get_inputs(), tensors, strict=True)}
    y, *final = session.run(None, feed)
    expected, states = layer(*given)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-5)
    for ours, theirs in zip(final, states if isinstance(states, tuple) else [states], strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("weight_drop", [0.0, 0.5])
def test_compiled_layer_trains_like_the_plain_one(weight_drop):
    torch.manual_seed(0)
    layer = sc.SparseLSTM(8, 6, 2, 0.75, weight_drop=weight_drop)
    compiled = torch.compile(layer, backend="aot_eager")
    for steps, batch in [(5, 3), (9, 4)]:
        x = torch.randn(steps, batch, 8)
        gradients = []
        for call in (compiled, layer):
            torch.manual_seed(1)
            y, _ = call(x)
            gradients.append(torch.autograd.grad(y.square().sum(), list(layer.parameters())))
        torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.slow
def test_compiled_by_inductor():
    layer, x = sc.SparseGRU(8, 6, 2, 0.75), torch.randn(5, 3, 8)
    torch.testing.assert_close(torch.compile(layer)(x), layer(x))


@pytest.mark.parametrize("make", LAYERS)
def test_safetensors(make, tmp_path):
    layer, other = make(8, 6, 2, 0.75), make(8, 6, 2, 0.75)
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    other.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    x = torch.randn(5, 3, 8)
    torch.testing.assert_close(other(x), layer(x))


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("weight_drop", [0.0, 1e-9])
def test_autocast(make, weight_drop):
    layer, x = make(8, 6, 2, 0.75, weight_drop=weight_drop), torch.randn(5, 3, 8)
    dense = layer.to_dense()
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = layer(x)
        if isinstance(dense, torch.nn.LSTM) and not cpu_lstm_runs_in(torch.bfloat16):
            assert y.dtype == torch.float32  # as PyTorch's GRU on every processor
        else:
            assert y.dtype == dense(x)[0].dtype
    y.float().sum().backward()
    torch.testing.assert_close(y.float(), dense(x)[0], atol=0.03, rtol=0.03)
    for parameter in layer.parameters():
        assert parameter.grad is not None and parameter.grad.dtype == torch.float32


def test_autocast_without_a_processor_for_it_computes_in_the_type_of_the_weights(monkeypatch):
    monkeypatch.setattr("sparsecore.ops.autocast.cpu_lstm_runs_in", lambda dtype: False)
    layer = sc.SparseLSTM(8, 6, 2, 0.75, num_layers=2, weight_drop=0.5)
    x, state = torch.randn(5, 3, 8), (torch.randn(2, 3, 6), torch.randn(2, 3, 6))
    torch.manual_seed(0)
    y, (h, c) = layer(x.bfloat16().float(), state)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        found, (hn, cn) = layer(x.bfloat16(), state)
    assert all(map(torch.equal, (found, hn, cn), (y, h, c)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("weight_drop", [0.0, 1e-9])
def test_gpu_equals_cpu(make, weight_drop):
    layer = make(8, 6, 2, 0.75, weight_drop=weight_drop, num_layers=2, bidirectional=True)
    given: Any = inputs(layer, 5, 3, True)
    y, _ = layer(*given)
    y.sum().backward()
    gradients = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    layer.cuda()
    x, state = given
    moved = tuple(s.cuda() for s in state) if isinstance(state, tuple) else state.cuda()
    z, _ = layer(x.cuda(), moved)
    z.sum().backward()
    torch.testing.assert_close(z.cpu(), y, atol=1e-4, rtol=1e-4)
    for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad.cpu(), gradient, atol=1e-3, rtol=1e-3)
