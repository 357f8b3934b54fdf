"""A GPU that is not there: tensors on ``cuda:0`` that have a shape, a type and a device alone.

PyTorch's fake tensors refuse what would wait for a GPU (``.item()``, ``.tolist()``, ``.numpy()``)
and operations on tensors of two devices: the mistakes that no test on a CPU can see. Kernels of our
own, which need a real one, are switched off.
"""

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from sparsecore.ops import word_sums
from sparsecore.ops.rational.layout import _KEPT

KERNELS = ("ops.block_lstm", "ops.rational", "ops.linear_cross_entropy.chunked")
GUARDS = "_ZN3c104impl26device_guard_impl_registryE"  # an array over c10::DeviceType
PLACES = {"cuda": 1, "mps": 13, "meta": 14}


@contextlib.contextmanager
def fake_gpu(waits: bool = False, kind: str = "cuda") -> Iterator[torch.device]:
    """Inside, all tensors are fake ones, and the device given can be used as a GPU is.

    Args:
        waits: allow to wait for the GPU: numbers that come from it are symbols.
        kind: ``cuda`` or ``mps``.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_guard(kind))
        for name in KERNELS:
            target = f"sparsecore.{name}.installed"
            stack.enter_context(mock.patch(target, return_value=False))
        stack.enter_context(mock.patch.object(nn.Module, "to", _moved))
        # CPU builds warn that there is no cuDNN, those for CUDA ask it for a device
        stack.enter_context(mock.patch("torch.backends.cudnn.is_acceptable", return_value=False))
        stack.callback(torch._C._set_cudnn_enabled, torch._C._get_cudnn_enabled())
        torch._C._set_cudnn_enabled(False)
        stack.enter_context(mock.patch.object(Tensor, "backward", _backward))
        # a look at values on the host, where they are real when a model is made
        stack.enter_context(mock.patch("sparsecore.layers.embedding._checked_order", _order))
        env = ShapeEnv() if waits else None
        stack.enter_context(FakeTensorMode(shape_env=env, allow_non_fake_inputs=True))
        try:
            yield torch.device(kind, 0)
        finally:  # fake ones are no good to anybody else
            word_sums._roots.cache_clear()
            _KEPT.clear()


@contextlib.contextmanager
def _guard(kind: str) -> Iterator[None]:
    """What PyTorch asks for the current device; without one that of ``meta``, doing nothing."""
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
        guards = (ctypes.c_void_p * (max(PLACES.values()) + 1)).in_dll(library, GUARDS)
    except (OSError, ValueError):
        pytest.skip("this build of PyTorch hides how devices are registered")
    before = guards[PLACES[kind]]
    if kind != "cuda" or not torch.cuda.is_available():
        guards[PLACES[kind]] = guards[PLACES["meta"]]
    try:
        yield
    finally:
        guards[PLACES[kind]] = before


def _moved(self: Any, device: Any) -> Any:
    """``Module.to``, which cannot exchange fake parameters that others refer to."""
    moved: dict[Tensor, Tensor] = {}
    for module in self.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if parameter not in moved:
                    value = parameter.detach().to(device)
                    moved[parameter] = nn.Parameter(value, parameter.requires_grad)
                module._parameters[name] = moved[parameter]
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else buffer.to(device)
        if isinstance(module, nn.RNNBase):
            module._init_flat_weights()
    return self


def _order(values: Any, num_embeddings: int) -> Tensor:
    return torch.as_tensor(values)


def _backward(self: Tensor) -> None:
    """Empty gradients, on their device, for the leaves; the engine asks for a real accelerator."""
    nodes, seen = [self.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [before for before, _ in node.next_functions]
        if hasattr(node, "variable"):
            node.variable.grad = torch.empty_like(node.variable)
