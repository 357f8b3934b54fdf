"""The cross entropy's GPU kernel equals the reference: on a GPU, and in Triton's interpreter."""

import pytest
import torch

from sparsecore.ops.linear_cross_entropy import (
    chunked,
    linear_cross_entropy,
    naive_linear_cross_entropy,
)
from sparsecore.ops.linear_cross_entropy.chunked import default_rows
from tests.ops.gpu import assert_compiles, interpreted, needs_triton, on_a_gpu
from tests.ops.test_linear_cross_entropy import problem

CASES = [(7, 3, 5000, 3), (1, 2, 2, 1), (4, 5, 4096, 9), (5, 4, 41, 2)]  # rows, D, V, chunk


def compare(rows, width, vocabulary, chunk_rows, device="cpu"):
    """Loss, statistics and gradients beside those of the reference, in float64."""
    inputs, target = problem(rows, width, vocabulary, seed=rows)
    slow = naive_linear_cross_entropy(*inputs, target)
    right = torch.autograd.grad(3 * slow[0], inputs)
    inputs = [x.detach().to(device).requires_grad_() for x in inputs]
    target = target.to(device)
    fast = linear_cross_entropy(*inputs, target, chunk_rows=chunk_rows)
    found = torch.autograd.grad(3 * fast[0], inputs)
    for a, b in zip([*fast, *found], [*slow, *right], strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-10, atol=1e-11)
    with torch.no_grad():
        torch.testing.assert_close(linear_cross_entropy(*inputs, target), fast)


def tails(device="cpu"):
    """Sure predictions, improbable targets, huge logits: what the plain sweep knows, and more."""
    from sparsecore.ops.linear_cross_entropy.triton import sweep_triton

    words = torch.tensor([0, 1, 2, 9], device=device)
    logits = torch.zeros(4, 5, device=device)
    logits[0, 0], logits[1, 0], logits[2] = 60.0, 200.0, 1e4
    loss = torch.ones(4, dtype=torch.float64, device=device)
    chi, l1 = torch.empty(2, 4, device=device)
    gradient = sweep_triton(logits, words, loss, chi, l1, True)
    assert gradient is logits
    four = 0.5 * (1 + 1 / 4) ** 0.5
    assert chi[:3].tolist() == pytest.approx([four, 0.5 * 2**0.5, four], rel=1e-6)
    assert l1[:3].tolist() == pytest.approx([8 * torch.tensor(-60.0).exp().item(), 2, 1.6])
    assert loss[:3].sub(1).tolist() == pytest.approx([0, 200, torch.tensor(5.0).log().item()])
    assert logits[2].tolist() == pytest.approx([0.2, 0.2, -0.8, 0.2, 0.2])
    assert loss[3].isnan()  # no word of this vocabulary


def through_the_interpreter():
    from sparsecore.ops.linear_cross_entropy.triton import matches_reference, sweep_triton

    chunked._kernel = lambda hidden: sweep_triton
    for case in CASES:
        compare(*case)
    tails()
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert matches_reference(torch.device("cpu"), dtype)


@needs_triton
def test_the_kernel_equals_naive_in_tritons_interpreter():
    interpreted(through_the_interpreter)


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("logits", ["fp32", "bf16", "fp64"])
def test_the_kernel_compiles_for_a_gpu(logits):
    import triton.language as tl

    from sparsecore.ops.linear_cross_entropy import triton as module

    wide = "fp64" if logits == "fp64" else "fp32"
    constants = {
        "GRADIENT": True,
        "WIDE": {"fp32": tl.float32, "fp64": tl.float64}[wide],
        "TILE": module.TILE,
    }
    types = {"logits": f"*{logits}", "target": "*i64", "loss": "*fp64", "stride": "i32", "V": "i32"}
    assert_compiles(module._sweep, constants, types, "*" + wide, **module.OPTIONS)


def test_a_chunk_on_a_gpu_is_an_eighth_of_large_logits():
    """At the paper's sizes, and at ten times as many positions or words; small ones are whole."""
    for rows, words in ((1400, 19_500), (14_000, 19_500), (1400, 195_000)):
        chunk_rows = default_rows(rows, words, 200, "cuda")
        assert 8 * chunk_rows <= rows and chunk_rows * 9 >= rows
    assert default_rows(100, 19_500, 200, "cuda") == 100


@on_a_gpu
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_equals_naive_on_a_gpu(case):
    assert chunked._kernel(torch.zeros(1, device="cuda")) is not None
    compare(*case, "cuda")


@on_a_gpu
def test_tails_on_a_gpu():
    tails("cuda")
