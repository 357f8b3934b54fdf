"""The GPU kernel equals the reference: on a GPU, and anywhere through Triton's interpreter."""

import pytest
import torch

from sparsecore.ops.rational import naive_rational_recurrence
from sparsecore.ops.rational.layout import Recurrence, layout_of
from tests.ops.gpu import assert_compiles, interpreted, needs_triton, on_a_gpu
from tests.ops.test_rational import outputs_and_gradients, problem

ALL = dict.fromkeys(["c0", "final", "fixed", "mask"], True)
CASES = [([4, 4, 4], 19, 3, {}), ([1], 1, 1, ALL), ([2, 1, 4, 3], 17, 2, ALL), ([3], 33, 40, {})]


def compare(lengths, T, B, wanted, device="cpu"):
    """The kernel's scores, states and gradients beside those of the reference, in float64."""
    from sparsecore.ops.rational.triton import plus_times_triton

    def kernel(x, main, loop, bias, lengths, c0=None, final=None, mask=None, fixed_loops=None):
        layout = layout_of(tuple(lengths))
        fixed = layout.last_rows(fixed_loops) if fixed_loops is not None else []
        c0 = x.new_zeros(x.shape[1], len(bias)) if c0 is None else c0
        return plus_times_triton(Recurrence(x, main, loop, bias, c0, final, mask, layout, fixed))

    inputs, options = problem(T, B, 3, lengths, **wanted)
    slow = outputs_and_gradients(naive_rational_recurrence, inputs, lengths, options)
    inputs = [t.detach().to(device).requires_grad_() for t in inputs]
    options = {
        name: value.detach().to(device).requires_grad_(value.requires_grad)
        if isinstance(value, torch.Tensor)
        else value
        for name, value in options.items()
    }
    fast = outputs_and_gradients(kernel, inputs, lengths, options)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-10, atol=1e-10)


def through_the_interpreter():
    from sparsecore.ops.rational.triton import matches_reference

    assert matches_reference(torch.device("cpu"), torch.float32)  # more lanes than a program has
    compare([2, 1, 3], 18, 1, ALL)
    compare([2, 2], 3, 2, {})


@needs_triton
def test_the_kernel_equals_naive_in_tritons_interpreter():
    interpreted(through_the_interpreter)


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("name", ["_forward", "_backward"])
def test_the_kernel_compiles_for_a_gpu(name):
    from sparsecore.ops.rational import triton as module

    constants = {"N": 4, "LANES": module.LANES, "STRIDE": module.STRIDE}
    types = {"mask": "*i8", "lengths": "*i32", "loops": "*i32", "starts": "*i32"}
    types |= dict.fromkeys("TBL", "i32")
    assert_compiles(getattr(module, name), constants, types, "*fp32", **module.OPTIONS)


@on_a_gpu
@pytest.mark.parametrize(("lengths", "T", "B", "wanted"), CASES)
def test_the_kernel_equals_naive_on_a_gpu(lengths, T, B, wanted):
    compare(lengths, T, B, wanted, "cuda")
