"""The order of states inside the recurrence, and where its indices lie."""

import torch

from sparsecore.ops.rational import layout as module
from sparsecore.ops.rational.layout import layout_of, on_device


def test_outside_undoes_inside():
    layout = layout_of((2, 1, 4, 3))
    states, scores = torch.randn(3, 10), torch.randn(4, 5)
    assert torch.equal(layout.outside(layout.inside(states, 1), 1), states)
    assert torch.equal(layout.wfsas_outside(layout.wfsas_inside(scores)), scores)


def test_indices_are_copied_to_a_gpu_once(monkeypatch):
    copies = []

    def tensor(values, dtype, device):
        copies.append(values)
        return torch.asarray(values, dtype=dtype)

    monkeypatch.setattr(module.torch, "tensor", tensor)
    monkeypatch.setattr(module, "_KEPT", {})
    gpu = torch.device("cuda", 0)
    first, second = on_device((1, 0), gpu), on_device((1, 0), gpu)
    assert first is second and first.tolist() == [1, 0] and len(copies) == 1
    assert on_device((1, 0), gpu, torch.int32).dtype == torch.int32 and len(copies) == 2


def test_indices_made_in_inference_mode_serve_training():
    with torch.inference_mode():
        index = on_device((1, 0), torch.device("cpu"))
    x = torch.randn(2, requires_grad=True)
    x.index_select(0, index).sum().backward()
    assert x.grad.tolist() == [1, 1]
