"""What a layer returns: the vectors in it, and hooks that see each value and gradient once.

What a layer returns may be a view, its own input, a parameter, or a tensor of another pass, and may
be changed in place afterwards. A gradient hook on such a tensor would be dropped, fire twice or
stay for ever; there the model goes on with a copy, and the hook is on the copy. The view that a
linear layer makes of its product needs none: nothing else holds it, and another name will do.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsecore.errors import InputError
from sparsecore.ops.compilers import opaque

PRODUCTS = ("AddmmBackward0", "MmBackward0")


class Hook:
    """A hook of one module; what is copied or pickled with the module does nothing."""

    def __init__(self, name: str, module: nn.Module, function: Callable[..., Any]) -> None:
        self.name, self.module, self.function = name, module, function

    def __call__(self, module: nn.Module, *values: Any) -> Any:
        """What PyTorch calls; the compiler does not look into it."""
        call = opaque(self._call) if torch.compiler.is_compiling() else self._call
        return call(module, *values)

    def _call(self, module: nn.Module, *values: Any) -> Any:
        if module is self.module:
            return self.function(*values)
        if getattr(module, "_is_replica", False):
            raise InputError(
                f"layer {self.name!r} runs in the copies of nn.DataParallel, which cannot be "
                "tracked; use nn.parallel.DistributedDataParallel, or the model itself"
            )
        return None

    def __deepcopy__(self, memo: Any) -> Callable[..., None]:
        return no_hook

    def __reduce__(self) -> Any:
        return _no_hook, ()


def no_hook(*_: Any) -> None:
    """What a copy of a tracked model has in the place of its hooks."""


def _no_hook() -> Callable[..., None]:
    return no_hook


@dataclass(frozen=True)
class Found:
    """A tensor in what a layer returned, and how to put another in its place."""

    tensor: Tensor
    put: Callable[[Tensor], Any]
    packed: PackedSequence | None = None


def tensors(value: Any) -> Iterator[Found]:
    """The tensors in tuples, lists, mappings, dataclasses and packed sequences, first to last."""
    return _tensors(value, lambda tensor: tensor, None)


def _tensors(
    value: Any, put: Callable[[Any], Any], packed: PackedSequence | None
) -> Iterator[Found]:
    if isinstance(value, Tensor):
        yield Found(value, put, packed)
    elif isinstance(value, PackedSequence):
        yield from _tensors(value.data, lambda data: put(value._replace(data=data)), value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, lambda new, key=key: put(_with_item(value, key, new)), packed)
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from _tensors(item, lambda new, i=i: put(_with_index(value, i, new)), packed)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _tensors(
                getattr(value, field.name, None),
                lambda new, name=field.name: put(_with_attribute(value, name, new)),
                packed,
            )


def put_everywhere(value: Any, old: Tensor, new: Tensor) -> Any:
    """``value`` with ``new`` in each place of ``old``: a layer may return it under two names."""
    for _ in [one for one in tensors(value) if one.tensor is old]:
        value = next(one for one in tensors(value) if one.tensor is old).put(new)
    return value


def _with_item(value: Any, key: Any, new: Any) -> Any:
    changed = copy.copy(value) if isinstance(value, MutableMapping) else dict(value)
    changed[key] = new
    return changed


def _with_index(value: Any, index: int, new: Any) -> Any:
    if isinstance(value, list):
        changed = copy.copy(value)
        changed[index] = new
        return changed
    items = [*value[:index], new, *value[index + 1 :]]
    if hasattr(value, "_make"):
        return value._make(items)
    if type(value) is tuple or hasattr(value, "n_sequence_fields"):  # torch.return_types
        return type(value)(items)
    changed = tuple.__new__(type(value), items)  # a class whose constructor takes something else
    if hasattr(value, "__dict__"):
        changed.__dict__.update(value.__dict__)
    return changed


def _with_attribute(value: Any, name: str, new: Any) -> Any:
    changed = copy.copy(value)
    object.__setattr__(changed, name, new)
    return changed


def find_vectors(value: Any, shape: tuple[int, ...], layer: str) -> Found:
    """The tensor whose vectors are tracked: the first (..., D) of real or complex numbers.

    One whose leading axes are ``shape``, those of the ids, goes before others; scalars, as a loss
    in front of the logits, are passed over.

    Raises:
        InputError: there is none.
    """
    found = [one for one in tensors(value) if one.tensor.ndim >= 2]
    real = [
        one for one in found if one.tensor.dtype.is_floating_point or one.tensor.dtype.is_complex
    ]
    for one in real:
        if one.packed is not None or _axes(one.tensor) == shape:
            return one
    for one in real or [one for one in found if _axes(one.tensor) == shape]:
        return one
    raise InputError(
        f"layer {layer!r} has {describe(value)}: track one with a tensor (..., D) of real or "
        "complex numbers"
    )


def _axes(tensor: Tensor) -> tuple[int, ...] | None:
    """Those before the last; None of a nested tensor that has no shape."""
    has_none = tensor.is_nested and tensor.layout is torch.strided
    return None if has_none else tuple(tensor.shape[:-1])


def describe(value: Any) -> str:
    """``a tensor of shape ()``, or the type and the shapes that it holds."""
    shapes = [str(tuple(one.tensor.shape)) for one in tensors(value)]
    if isinstance(value, Tensor):
        return f"a tensor of shape {shapes[0]}"
    if len(shapes) == 0:
        return f"a {type(value).__name__} without tensors"
    return f"a {type(value).__name__} of tensors of shape {', '.join(shapes)}"


def check_plain(tensor: Tensor, layer: str) -> None:
    """Raise :class:`InputError` inside ``torch.func`` (``vmap``, ``grad``)."""
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        raise InputError(
            f"layer {layer!r} runs inside torch.func (vmap, grad), where values cannot be taken "
            "out; track the plain forward and backward pass, or use tracker.paused()"
        )


def hooked(tensor: Tensor, inputs: Any, hook: Callable[[Tensor], None]) -> Tensor:
    """A tensor with the same values whose gradient goes to ``hook``, once.

    It is ``tensor`` itself where nothing else can hold it; otherwise a copy: of a view (which a
    change in place would cut off), a leaf (whose hooks would stay), an input that was handed
    through (whose gradient has other parts too), and a tensor that has a hook already.
    """
    handed_through = any(one.tensor is tensor for one in tensors(inputs))
    if _is_product(tensor) and not handed_through:
        tensor = _Renamed.apply(tensor)
    elif tensor.is_leaf or tensor._is_view() or tensor._backward_hooks or handed_through:
        tensor = tensor.clone()
    tensor.register_hook(hook)
    return tensor


def _is_product(tensor: Tensor) -> bool:
    """Whether it is all of a product of matrices in the shape of the input: nn.Linear's output."""
    base = tensor._base
    if base is None or base.grad_fn is None or base.numel() != tensor.numel():
        return False
    return not tensor._backward_hooks and base.grad_fn.name() in PRODUCTS


class _Renamed(torch.autograd.Function):
    """The same values in the same place, but no view: a hook on it outlives changes in place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        return tangents[0]
