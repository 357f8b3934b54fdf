"""A kernel that fails or errs is told once and never used; one that is right is tried once."""

import pytest
import torch

from sparsecore.ops import self_check as module
from sparsecore.ops.self_check import allclose, self_check

X = torch.zeros(1)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(module, "VERDICTS", {})


def wrong(device, dtype):
    return False


def broken(device, dtype):
    raise RuntimeError("no such instruction\nand a page of assembly")


@pytest.mark.parametrize(
    ("check", "reason"),
    [(wrong, "differs from plain PyTorch"), (broken, "RuntimeError: no such instruction")],
)
def test_what_fails_is_said_once_in_one_line(check, reason, caplog):
    assert not self_check("sums", X, check)
    assert not self_check("sums", X, check)
    assert [record.getMessage() for record in caplog.records] == [
        f"the kernel for sums is not used on cpu ({reason}): layers use a slower implementation"
    ]


def test_what_is_right_is_tried_once_for_each_device_and_precision(monkeypatch, caplog):
    calls = []

    def right(device, dtype):
        calls.append((device.type, dtype))
        return True

    for x in (X, X, X.double(), X.to("meta")):
        assert self_check("sums", x, right)
    monkeypatch.setattr(module, "float32_products", lambda: "tf32")
    assert self_check("sums", X, right) and self_check("products", X, right)
    one = ("cpu", torch.float32)
    assert calls == [one, ("cpu", torch.float64), ("meta", torch.float32), one, one]
    assert not caplog.records


def test_the_check_runs_as_if_the_caller_were_in_no_mode():
    def right(device, dtype):
        weight = torch.ones(2, 2, requires_grad=True)
        product = weight @ weight
        product.sum().backward()
        return product.dtype == torch.float32 and not product.is_inference()

    with torch.inference_mode(), torch.no_grad():
        assert self_check("sums", X, right)


def test_nothing_is_tried_within_a_cuda_graph(monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(module, "is_capturing", lambda x: True)
        assert not self_check("sums", X, broken)
    assert not caplog.records
    assert self_check("sums", X, lambda device, dtype: True)
    monkeypatch.setattr(module, "is_capturing", lambda x: True)
    assert self_check("sums", X, broken)


def test_a_compiled_program_asks_once():
    calls = []

    def right(device, dtype):
        calls.append(dtype)
        return True

    @torch.compile(backend="eager")
    def double(x):
        return 2 * x if self_check("sums", x, right) else x

    assert double(X + 1) == 2 and double(X + 2) == 4
    assert calls == [torch.float32]


def test_allclose_is_as_strict_as_the_precision():
    right = [torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64)]
    for dtype, small, large in [
        (torch.float64, 1e-10, 1e-6),
        (torch.float32, 1e-6, 1e-3),
        (torch.bfloat16, 1e-2, 1.0),
    ]:
        assert allclose([(right[0] + small).to(dtype)], right)
        assert not allclose([(right[0] + large).to(dtype)], right)
    assert not allclose([right[0] * torch.nan], right)
