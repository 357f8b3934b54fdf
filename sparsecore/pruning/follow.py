"""Which features of a model are hidden units of which recurrent layer: labels follow the data.

While a model runs, every tensor that holds hidden units has a tensor of labels beside it, of the
same shape: the number of the unit at each place, 0 where there is none. Functions that move data
move the labels too; functions of single values that map zero to zero keep them; what else is done
to units is refused by name. Linear and recurrent layers that get units are their readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map_only

from sparsecore.errors import InputError
from sparsecore.ops.cells import num_directions

MOVES = frozenset(
    "view reshape flatten unflatten permute transpose t swapaxes movedim squeeze unsqueeze select "
    "narrow index_select gather take_along_dim __getitem__ cat concat concatenate stack hstack "
    "vstack chunk split split_with_sizes tensor_split unbind expand expand_as repeat "
    "repeat_interleave contiguous clone detach flip roll view_as reshape_as __get__ "
    "_pack_padded_sequence _pad_packed_sequence".split()
)
ZERO_KEEPING = frozenset(
    "relu relu_ tanh tanh_ leaky_relu elu celu selu gelu silu mish hardtanh hardswish softsign "
    "tanhshrink softshrink hardshrink neg __neg__ abs square sqrt sin asinh tan expm1 log1p sign "
    "dropout dropout1d dropout2d feature_dropout alpha_dropout feature_alpha_dropout "
    "to float double half bfloat16 type type_as cpu cuda nan_to_num".split()
)
PRODUCTS = frozenset({"mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"})
QUOTIENTS = frozenset({"div", "div_", "divide", "true_divide", "__truediv__"})
SUMS = frozenset({"add", "add_", "__add__", "__radd__", "__iadd__", "sub", "__sub__"})
POOLS = frozenset({"mean", "sum", "amax", "max", "adaptive_max_pool1d", "adaptive_avg_pool1d"})
MATRIX_PRODUCTS = frozenset({"matmul", "__matmul__", "bmm"})  # units on the right: sums over time
NEW_TENSORS = frozenset(
    "zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty "
    "new_full".split()
)


class Labels(TorchFunctionMode):
    """The mode in which functions carry labels along.

    Attributes:
        names: of each unit number the recurrent layer that it belongs to.
    """

    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()
        self.names = names
        self._labels: dict[int, tuple[Tensor, Tensor]] = {}  # by id; the tensor itself stays alive
        self.inside = 0  # how deep in layers whose inputs and outputs are labelled as a whole

    def of(self, tensor: Any) -> Tensor | None:
        """The labels of a tensor, None if it holds no unit."""
        if isinstance(tensor, PackedSequence):
            tensor = tensor.data
        known = self._labels.get(id(tensor))
        return None if known is None else known[1]

    def put(self, tensor: Tensor, labels: Tensor | None) -> None:
        """Say which units a tensor holds."""
        if labels is not None and bool(labels.any()):
            self._labels[id(tensor)] = (tensor, labels)

    def layers_of(self, labels: Tensor) -> str:
        """The recurrent layers that labels name."""
        names = {self.names[int(u)] for u in labels.abs().unique() if u}
        return " and ".join(repr(name) for name in sorted(names))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within, nothing is followed."""
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self.inside:
            return result
        given = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        labelled = [leaf for leaf in given if self.of(leaf) is not None]
        results = [leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor)]
        if labelled and any(leaf.is_floating_point() for leaf in results):
            with self.aside():
                self._carry(func, args, kwargs, labelled, results)
        return result

    def _carry(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        labelled: list[Tensor],
        results: list[Tensor],
    ) -> None:
        name = getattr(func, "__name__", str(func))
        found = [self.of(tensor) for tensor in labelled]
        first = found[0]
        assert first is not None
        if name in NEW_TENSORS:
            return
        if name in MOVES:
            moved = func(*self._swapped(args), **self._swapped(kwargs))
            for tensor, labels in zip(results, _tensors(moved), strict=False):
                if tensor.is_floating_point() and tensor.shape == labels.shape:
                    self.put(tensor, labels)
            return
        labels = None
        if name in ZERO_KEEPING or (name in QUOTIENTS and args[0] is labelled[0]):
            labels = first
        elif name in PRODUCTS or name in SUMS:
            labels = self._broadcast(found, results[0], same=name in SUMS, args=args)
        elif name in POOLS:
            labels = _pooled(first, results[0])
        elif name in MATRIX_PRODUCTS and len(labelled) == 1 and args[1] is labelled[0]:
            labels = _last_axis(first, results[0])
        if labels is None or labels.shape != results[0].shape:
            raise InputError(
                f"prune cannot follow the units of {self.layers_of(first)} through {name}"
            )
        self.put(results[0], labels)

    def _swapped(self, values: Any) -> Any:
        """Labels in place of tensors; zeros for those that hold no units, indices as they are."""

        def swap(tensor: Tensor) -> Tensor:
            labels = self.of(tensor)
            if labels is None and tensor.is_floating_point():
                return torch.zeros(tensor.shape, dtype=torch.int64, device=tensor.device)
            return tensor if labels is None else labels

        return tree_map_only(Tensor, swap, values)

    def _broadcast(
        self, found: list[Tensor | None], result: Tensor, same: bool, args: tuple[Any, ...]
    ) -> Tensor | None:
        """One labelling of all operands, or None where they hold different units.

        ``same``: for a sum every operand has to hold these units (0 + 0 is 0).
        """
        spread = [labels.expand(result.shape) for labels in found if labels is not None]
        if any(not torch.equal(labels, spread[0]) for labels in spread):
            return None
        operands = [arg for arg in args[:2] if isinstance(arg, Tensor) or arg != 0]
        if same and len(spread) < len(operands):
            return None
        return spread[0]


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(value)[0] if isinstance(leaf, Tensor)]


def _pooled(labels: Tensor, result: Tensor) -> Tensor | None:
    """Labels along the last axis, or None where that axis was pooled or they vary along others."""
    for axis in (labels.dim() - 1, 1):
        flat = labels.movedim(axis, -1).reshape(-1, labels.shape[axis])
        if not torch.equal(flat, flat[:1].expand_as(flat)):
            continue
        for place in reversed(range(result.dim())):
            if result.shape[place] == len(flat[0]):
                shape = [1] * result.dim()
                shape[place] = -1
                return flat[0].view(shape).expand(result.shape)
    return None


def _last_axis(labels: Tensor, result: Tensor) -> Tensor | None:
    flat = labels.reshape(-1, labels.shape[-1])
    if not torch.equal(flat, flat[:1].expand_as(flat)) or result.shape[-1] != labels.shape[-1]:
        return None
    return flat[0].expand(result.shape)


def columns_of(labels: Tensor, name: str) -> list[int]:
    """The unit of each input feature of the reader ``name``.

    Raises:
        InputError: a feature that is one unit here and another there.
    """
    flat = labels.reshape(-1, labels.shape[-1]).abs()
    columns = flat.amax(0)
    if not bool(((flat == columns) | (flat == 0)).all()):
        raise InputError(
            f"prune cannot cut {name!r}: an input of it is one unit here and another there"
        )
    return columns.tolist()


class Trace:
    """One run of a model, and what it says: who reads which units.

    Args:
        model: in eval mode; it is not changed.
        layers: the recurrent layers whose units are followed, by name.

    Attributes:
        first: of each layer by name the number of its first unit; they count layer by layer,
            direction by direction.
        inputs: of each recurrent or linear layer that ran the unit of each input, 0 for none.
    """

    def __init__(self, model: nn.Module, layers: dict[str, nn.RNNBase]) -> None:
        self.model, self.layers = model, layers
        self.name_of: dict[nn.Module, str] = {layer: name for name, layer in layers.items()}
        self.first: dict[str, int] = {}
        self.inputs: dict[nn.Module, list[int]] = {}
        names: dict[int, str] = {}
        for name, layer in layers.items():
            self.first[name] = len(names) + 1
            units = layer.num_layers * num_directions(layer) * layer.hidden_size
            names |= {self.first[name] + n: name for n in range(units)}
        self._mode = Labels(names)

    def run(self, call: Callable[[nn.Module, Any], Any], inputs: Any) -> Any:
        """The outputs of the model, labelled.

        Raises:
            InputError: what cannot be followed; a layer that did not run; units in the outputs.
        """
        with ExitStack() as stack:
            for name, module in self.model.named_modules():
                if module in self.name_of or type(module).forward is nn.Linear.forward:
                    self._hook(stack, name, module)
            stack.enter_context(torch.no_grad())
            stack.enter_context(torch.random.fork_rng(devices=[]))
            stack.enter_context(self._mode)
            outputs = call(self.model, inputs)
        for name, layer in self.layers.items():
            if layer not in self.inputs:
                raise InputError(f"prune saw no call of {name!r} in model(inputs)")
        for leaf in _tensors(outputs):
            labels = self._mode.of(leaf)
            if labels is not None and not self.is_state(leaf):
                raise InputError(
                    f"units of {self._mode.layers_of(labels)} leave the model: prune needs a model "
                    "that calls what reads them, such as its linear head"
                )
        return outputs

    def is_state(self, value: Any) -> bool:
        """Whether a value holds units as a recurrent layer's final states."""
        labels = self._mode.of(value) if isinstance(value, Tensor) else None
        return labels is not None and bool((labels <= 0).all())

    def _hook(self, stack: ExitStack, name: str, module: nn.Module) -> None:
        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            given = [*args, *kwargs.values()]
            self._mode.inside += 1
            if module in self.name_of and len(given) > 1 and given[1] is not None:
                raise InputError(
                    f"{name!r} is given an initial state: prune cannot follow where it comes from"
                )
            self._read(name, module, given[0])

        def after(module: nn.Module, args: Any, output: Any) -> None:
            if module in self.name_of:
                self._label(module, output)
            self._mode.inside -= 1

        for handle in (
            module.register_forward_pre_hook(before, with_kwargs=True),
            module.register_forward_hook(after),
        ):
            stack.callback(handle.remove)

    def _read(self, name: str, module: Any, x: Any) -> None:
        """Note which units the layer gets."""
        labels = self._mode.of(x)
        width = module.in_features if isinstance(module, nn.Linear) else module.input_size
        columns = [0] * width if labels is None else columns_of(labels, name)
        if self.inputs.setdefault(module, columns) != columns:
            raise InputError(f"prune cannot cut {name!r}: it reads different units at other calls")

    def _label(self, module: Any, output: Any) -> None:
        """Label the outputs of a recurrent layer, and its final states with negative numbers."""
        y, state = output
        y = y.data if isinstance(y, PackedSequence) else y
        H, directions = module.hidden_size, num_directions(module)
        units = self.first[self.name_of[module]] + torch.arange(
            module.num_layers * directions * H, device=y.device
        )
        self._mode.put(y, units[-directions * H :].expand(y.shape))
        for final in state if isinstance(state, tuple) else (state,):
            own = -units.view(-1, H)
            own = own if final.dim() == 2 else own.unsqueeze(1)
            self._mode.put(final, own.expand(final.shape))
