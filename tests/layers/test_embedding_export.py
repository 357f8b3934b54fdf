"""The sparse embedding leaves PyTorch: compiled, exported, in ONNX, in half precision, on a GPU."""

import numpy as np
import pytest
import torch
from torch import nn

import sparsecore as sc

onnxruntime = pytest.importorskip("onnxruntime")

# PyTorch's own tracers and exporters warn of their own deprecations
pytestmark = pytest.mark.filterwarnings("ignore")

T, B = torch.export.Dim("T", min=2, max=4096), torch.export.Dim("B", min=2, max=1024)


class Tied(nn.Module):
    """Vectors of the ids and the scores that they give to all words."""

    def __init__(self, *geometry, **options):
        super().__init__()
        self.embedding = sc.SparseEmbedding(*geometry, **options)

    def forward(self, ids):
        vectors = self.embedding(ids)
        return vectors, self.embedding.tied_logits(vectors)


def make(geometry, ordered=True):
    torch.manual_seed(0)
    order = torch.randperm(geometry[0]) if ordered else None
    return Tied(*geometry, order=order), torch.randint(geometry[0], (5, 2))


def assert_onnx_equals(file, model, ids):
    session = onnxruntime.InferenceSession(file)
    found = session.run(None, {session.get_inputs()[0].name: ids.numpy()})
    for ours, theirs in zip(found, model(ids), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-6)


def test_exported_program_and_its_onnx_take_any_length(tmp_path):
    model, ids = make((67, 7, 0.4, 3))
    model.eval()
    program = torch.export.export(model, (ids,), dynamic_shapes=({0: T, 1: B},))
    other = torch.randint(67, (9, 3))
    torch.testing.assert_close(program.module()(other), model(other))
    torch.onnx.export(program, (ids,), tmp_path / "tied.onnx", verbose=False)
    assert_onnx_equals(tmp_path / "tied.onnx", model, other)


@pytest.mark.parametrize(
    "geometry", [(67, 7, 0.4, 3), (60, 40, 0.2), (67, 7, 1.0, 1), (67, 8, 0.25, 4)], ids=str
)
def test_onnx_of_the_traced_model(geometry, tmp_path):
    model, ids = make(geometry, ordered=False)
    file = tmp_path / "tied.onnx"
    torch.onnx.export(
        model.eval(),
        (ids,),
        file,
        dynamo=False,
        input_names=["ids"],
        dynamic_axes={"ids": {0: "T", 1: "B"}},
    )
    assert_onnx_equals(file, model, torch.randint(geometry[0], (9, 3)))


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "geometry",
    [(67, 7, 0.4, 3), pytest.param((60, 40, 0.2), marks=pytest.mark.slow)],
    ids=str,
)
def test_compiled_in_one_graph_it_trains_alike(geometry, backend):
    torch.compiler.reset()
    model, _ = make(geometry)
    model.double()
    compiled = torch.compile(model, fullgraph=True, backend=backend, dynamic=True)
    for shape in [(5, 3), (9, 4)]:
        ids = torch.randint(geometry[0], shape)
        gradients = []
        for call in (compiled, model):
            vectors, logits = call(ids)
            loss = vectors.sin().sum() + logits.cos().sum()
            gradients.append(torch.autograd.grad(loss, list(model.parameters())))
        for ours, theirs in zip(*gradients, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0)


def test_autocast_runs_the_products_in_half_precision():
    model, ids = make((67, 40, 0.4))
    with torch.autocast("cpu", torch.bfloat16):
        vectors, logits = model(ids)
    assert vectors.dtype == torch.float32 and logits.dtype == torch.bfloat16
    logits.float().square().sum().backward()
    found = [table.grad.clone() for table in model.embedding.tables]
    model.zero_grad()
    expected = model(ids)[1]
    torch.testing.assert_close(logits.float(), expected, atol=0.02, rtol=0.02)
    expected.square().sum().backward()
    for ours, table in zip(found, model.embedding.tables, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - table.grad).norm() <= 0.02 * table.grad.norm() + 1e-6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("geometry", [(67, 7, 0.4, 3), (60, 40, 0.2), (67, 8, 0.25, 4)], ids=str)
def test_a_gpu_computes_the_same(geometry):
    model, ids = make(geometry)
    model.double()
    gradients = []
    for device in ("cpu", "cuda"):
        model.to(device).zero_grad()
        vectors, logits = model(ids.to(device))
        (vectors.sin().sum() + logits.cos().sum()).backward()
        gradients.append(
            [torch.zeros(()) if p.grad is None else p.grad.cpu() for p in model.parameters()]
        )
    for on_cpu, on_gpu in zip(*gradients, strict=True):
        torch.testing.assert_close(on_cpu, on_gpu.expand_as(on_cpu), atol=1e-10, rtol=0)
