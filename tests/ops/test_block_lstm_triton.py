"""The GPU kernels equal the reference: on a GPU, and anywhere through Triton's interpreter."""

import pytest
import torch
from torch import nn

import sparsecore as sc
from sparsecore.ops.block_lstm import block_lstm, fuses, naive_block_lstm
from tests.ops.gpu import assert_compiles, interpreted, needs_triton, on_a_gpu
from tests.ops.test_block_lstm import CASES, SIZES, outputs_and_gradients, problem

SEEDS = [(7, 5), (6, 6), (7, 5)] * 2  # the blocks of two seeds
MORE = [(2, 65, [(5, 3), (4, 4)], True, True), (2, 2, SEEDS, True, True)]


def compare(case, way, device="cpu", dtype=torch.float64):
    """Outputs, states and gradients beside those of the reference in float64."""
    given = problem(*case)
    slow = outputs_and_gradients(naive_block_lstm, *given)

    def moved(value):
        if isinstance(value, torch.Tensor):
            return value.detach().to(device, dtype).requires_grad_()
        return None if value is None else type(value)(map(moved, value))

    fast = outputs_and_gradients(way, *map(moved, given))
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4
    for a, b in zip(fast, slow, strict=True):
        allowed = tolerance * (1 + b.abs().max().item())
        torch.testing.assert_close(a.cpu().double(), b, rtol=0, atol=allowed)


def equal_to_naive():
    from sparsecore.ops.block_lstm.triton import block_lstm_triton, matches_reference

    torch.use_deterministic_algorithms(True)  # new memory holds NaN
    for case in CASES + MORE:
        compare(case, block_lstm_triton)
    torch.use_deterministic_algorithms(False)
    assert matches_reference(torch.device("cpu"), torch.float32)


class Counted:
    """A kernel and how often it is started."""

    def __init__(self, kernel):
        self.kernel, self.started = kernel, 0

    def __getitem__(self, grid):
        self.started += 1
        return self.kernel[grid]


def a_launch_for_each_step():
    from sparsecore.ops.block_lstm import triton as module

    forward, backward = Counted(module._forward), Counted(module._backward)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_forward", forward)
        patch.setattr(module, "_backward", backward)
        outputs_and_gradients(module.block_lstm_triton, *problem(3, 2, SIZES, True, True))
    assert (forward.started, backward.started) == (3, 3)


def twice_through_one_graph():
    """What the backward pass needs is kept as it was: a second time gives the same."""
    from sparsecore.ops.block_lstm.triton import block_lstm_triton

    xs, weights, states = problem(2, 2, SIZES[:2], True, True)
    ((y, _), *_) = block_lstm_triton(xs, weights, states)
    once, again = (torch.autograd.grad(y.sum(), xs[0], retain_graph=True)[0] for _ in range(2))
    assert torch.equal(once, again) and once.abs().max() > 0
    with torch.no_grad():
        ((z, _), *_) = block_lstm_triton(xs, weights, states)
    assert torch.equal(y, z)


def a_layer_through_the_kernels():
    """From the layer down, as on a GPU: its blocks in both directions."""
    from sparsecore.layers import block_stack, block_sweep
    from sparsecore.ops import block_lstm as module

    torch.manual_seed(0)
    layer = sc.SparseLSTM(7, 11, 3, 0.55, bidirectional=True).double()
    x = torch.randn(3, 2, 7, dtype=torch.float64, requires_grad=True)
    found = []
    for kernels in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(block_stack, "merges", lambda *arguments: False)
            for place in (module, block_sweep):
                patch.setattr(place, "fuses", lambda x, kernels=kernels: kernels)
            y, (h, c) = layer(x)
        loss = y.square().sum() + h.sum() + 2 * c.sum()
        found.append([y, h, c, *torch.autograd.grad(loss, [x, *layer.parameters()])])
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-10)
    assert not torch.equal(found[1][0], found[0][0])  # else it was the same way twice


@needs_triton
def test_in_tritons_interpreter():
    interpreted(
        equal_to_naive, a_launch_for_each_step, twice_through_one_graph, a_layer_through_the_kernels
    )


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("name", ["_forward", "_backward"])
def test_the_kernels_compile_for_a_gpu(name):
    """Three blocks of 575 units."""
    from sparsecore.ops.block_lstm import triton as module

    for texts, number, precision in [
        (10, "fp32", "ieee"),
        (10, "fp32", "tf32"),
        (20, "fp32", "ieee"),
        (40, "fp32", "tf32"),
        (10, "fp64", "ieee"),
        (20, "fp64", "ieee"),
    ]:
        dtype = {"fp32": torch.float32, "fp64": torch.float64}[number]
        _, shared, options = module._launch(3, texts, 576, dtype)
        constants = shared | {"PRECISION": precision, "KEEP": True}
        types = dict.fromkeys("tTB", "i32")
        assert_compiles(getattr(module, name), constants, types, "*" + number, **options)


@on_a_gpu
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", [*CASES, *MORE, (70, 20, [(957, 575)] * 3, True, False)])
def test_the_kernels_equal_naive_on_a_gpu(case, dtype):
    from sparsecore.ops.block_lstm.triton import block_lstm_triton

    compare(case, block_lstm_triton, "cuda", dtype)


@on_a_gpu
def test_a_step_fits_in_a_cuda_graph():
    xs = [torch.randn(7, 20, w, device="cuda") for w in (40, 39)]
    lstms = [nn.LSTM(w, s, device="cuda") for w, s in ((40, 33), (39, 34))]
    weights = [list(lstm.parameters()) for lstm in lstms]

    def step():
        y = torch.cat([y for y, _ in block_lstm(xs, weights)], -1)
        return y, torch.autograd.grad(y.square().sum(), weights[0][1])[0]

    assert fuses(xs[0])
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        captured = step()
    for x in xs:
        x.normal_()
    graph.replay()
    for a, b in zip(captured, step(), strict=True):
        torch.testing.assert_close(a, b)
