"""Copies of models, and layers of them that become smaller in place, so that what is theirs stays.

A layer keeps its identity when it is cut, and with it what users attached to it: hooks with their
marks, buffers, attributes, its class. Only the weights, the sizes and what computed the weights
(a mask of ``torch.nn.utils.prune``, a norm, a parametrization) are replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.overrides import TorchFunctionMode

from sparsecore.errors import InputError
from sparsecore.ops.weights import WEIGHT_HOOKS, refresh, unwrapped, weight_names

HOLDERS = ("_parameters", "_buffers", "_modules")
OF_ALL = frozenset(vars(nn.Module()))  # what every module has: holders, hooks, its mode
OUTER_FIRST = ("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_backward_pre_hooks")
INNER_FIRST = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_hooks",
)
REMOVE: dict[type, Callable[[nn.Module, Any], Any]] = {
    prune.BasePruningMethod: lambda layer, hook: prune.remove(layer, hook._tensor_name),
    WEIGHT_HOOKS[1]: lambda layer, hook: remove_spectral_norm(layer, hook.name),
    WEIGHT_HOOKS[2]: lambda layer, hook: remove_weight_norm(layer, hook.name),
}


class _ValuesOfResults(TorchFunctionMode):
    """Within, ``copy.deepcopy`` copies tensors that were computed, with gradients, as values."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            result, memo = args
            memo[id(result)] = result.detach().clone()
            return memo[id(result)]
        return func(*args, **(kwargs or {}))


def copied(model: nn.Module) -> nn.Module:
    """A copy; what was pruned by a hook is a plain attribute in it, up to date.

    Outputs or states that a model keeps as attributes are copied without their gradients, what
    ``torch.compile`` wrapped (itself or parts) without the wrapper.

    Raises:
        InputError: a parameter without a size yet; an attribute that cannot be copied, by name.
    """
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise InputError(
                f"prune needs {name!r}, which has no size yet: call model(inputs) once before"
            )
    with torch.no_grad():
        for module in model.modules():
            refresh(module)
    memo: dict[int, Any] = {}
    with _ValuesOfResults():
        try:
            for module in reversed(list(model.modules())):  # inner ones first
                if unwrapped(module) is not module:
                    memo[id(module)] = _without_wrapper(module, memo)
            return copy.deepcopy(model, memo)
        except Exception as error:  # of any attribute of the model: its kind is not known
            raise InputError(_not_copied(model, error)) from error


def _not_copied(model: nn.Module, error: Exception) -> str:
    """Which attribute of which module is in the way, innermost first."""
    for name, module in reversed(list(model.named_modules())):
        for attribute, value in vars(module).items():
            try:
                if attribute != "_modules" and unwrapped(module) is module:
                    copy.deepcopy(value)
            except Exception as wrong:
                where = f"of {name!r}" if name else f"of the model, a {type(module).__name__}"
                return (
                    f"prune works on a copy, and the attribute {attribute!r} {where} cannot be "
                    f"copied ({wrong}): take it off before, put it back after"
                )
    return f"prune works on a copy, and the model cannot be copied: {error}"


def _without_wrapper(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A copy of what ``torch.compile`` wrapped; the wrapper's hooks are its own, in their order."""
    inner = copy.deepcopy(unwrapped(module), memo)
    for name in (*OUTER_FIRST, *INNER_FIRST):
        outer, own = copy.deepcopy(vars(module)[name], memo), vars(inner)[name]
        first, second = (outer, own) if name in OUTER_FIRST else (own, outer)
        vars(inner)[name] = type(own)((*first.items(), *second.items()))
    if inner._is_full_backward_hook is None:
        inner._is_full_backward_hook = vars(module)["_is_full_backward_hook"]
    return inner


def turn_into(layer: nn.Module, new: nn.Module) -> None:
    """Give ``layer`` the weights, sizes and options of the plain layer ``new``, in place.

    Raises:
        ValueError: a layer of a class of its own that would have to become of another kind.
    """
    _remove_weight_hooks(layer)
    given, kind = vars(layer), parametrize.type_before_parametrizations(layer)
    given["_modules"].pop("parametrizations", None)
    if not issubclass(kind, type(new)):
        if kind not in (nn.LSTM, nn.GRU, nn.RNN):
            raise ValueError(f"a {kind.__name__} cannot become a {type(new).__name__}")
        kind = type(new)
    layer.__class__ = kind
    old = _weights(layer)
    for name in [n for n in given if n in ("_all_weights", "nonlinearity") or n[:5] == "_flat"]:
        del given[name]
    for holder in HOLDERS:
        attached = {name: value for name, value in given[holder].items() if name not in old}
        given[holder] = type(given[holder])({**vars(new)[holder], **attached})
    given |= {name: value for name, value in vars(new).items() if name not in OF_ALL}


def _weights(layer: Any) -> set[str]:
    """The names of the parameters that a plain layer of this kind has."""
    if not hasattr(layer, "num_layers"):
        return {"weight", "bias"}
    return {name for names in weight_names(layer) for name in names}


def _remove_weight_hooks(layer: nn.Module) -> None:
    for hook in list(layer._forward_pre_hooks.values()):
        for kind, remove in REMOVE.items():
            if isinstance(hook, kind):
                remove(layer, hook)


def hooks_of(layers: dict[str, nn.Module]) -> str:
    """What users attached to these layers that runs with them, in words; empty if nothing."""
    return " and ".join(
        f"{getattr(hook, '__qualname__', type(hook).__name__)} of {name!r}"
        for name, layer in layers.items()
        for hook in (*layer._forward_pre_hooks.values(), *layer._forward_hooks.values())
        if not isinstance(hook, WEIGHT_HOOKS)
    )
