"""Which signals are tracked: layers by name, pattern or module, their outputs or their inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from torch import Tensor, nn

from sparsecore.errors import InputError, near_match

Layers = Iterable[str | nn.Module] | Mapping[str, str | nn.Module]
Transform = Callable[[Tensor], Tensor]

INPUT = ":input"


@dataclass(frozen=True)
class Signal:
    """A layer's output or input, and how it stands in the table.

    Attributes:
        module: the layer.
        of_input: its input instead of its output.
        by_pattern: a pattern chose it, so that it may turn out to give nothing that has words.
        transform: applied before measuring.
    """

    module: nn.Module
    of_input: bool = False
    by_pattern: bool = False
    transform: Transform | None = None


def find_signals(
    model: nn.Module,
    layers: Layers,
    transform: Transform | Mapping[str, Transform] | None = None,
) -> tuple[dict[str, Signal], dict[str, str]]:
    """Signals by the name that they have in the table, and second names: name -> first name.

    Raises:
        InputError: an unknown layer, a pattern that matches none, a name given twice, no layer.
    """
    if isinstance(layers, str | nn.Module) or not isinstance(layers, Iterable):
        raise InputError(f"layers must be a list of names, patterns or modules, got {layers!r:.60}")
    modules = dict(model.named_modules(remove_duplicate=False))
    modules.pop("")
    found: dict[str, Signal] = {}
    second: dict[str, str] = {}
    of_signal: dict[tuple[nn.Module, bool], str] = {}
    pairs = layers.items() if isinstance(layers, Mapping) else [("", layer) for layer in layers]
    for alias, layer in pairs:
        matches = _match(model, modules, layer)
        if alias and len(matches) > 1:
            raise InputError(
                f"{layer!r} matches {len(matches)} layers, which cannot all be {str(alias)!r}; "
                "give patterns in a list"
            )
        for name, signal in matches.items():
            name = str(alias) or name
            first = of_signal.setdefault((signal.module, signal.of_input), name)
            if first == name:
                found.setdefault(name, signal)
            else:
                second[name] = first
    if not found:
        raise InputError("track() needs at least one layer, got none")
    return _with_transforms(found, transform), second


def _match(
    model: nn.Module, modules: Mapping[str, nn.Module], layer: str | nn.Module
) -> dict[str, Signal]:
    if isinstance(layer, nn.Module):
        if layer is model:
            return {type(layer).__name__: Signal(layer)}
        for name, module in modules.items():
            if module is layer:
                return {name: Signal(layer)}
        raise InputError(f"a {type(layer).__name__} given as a layer is not in the model")
    if not isinstance(layer, str):
        raise InputError(f"a layer is a name, a pattern or a module, got {layer!r:.60}")
    pattern, of_input = layer.removesuffix(INPUT), layer.endswith(INPUT)
    suffix = INPUT if of_input else ""
    if pattern in modules:
        return {layer: Signal(modules[pattern], of_input)}
    matches = {
        name + suffix: Signal(module, of_input, by_pattern=True)
        for name, module in modules.items()
        if fnmatchcase(name, pattern) and not isinstance(module, nn.ModuleList | nn.ModuleDict)
    }
    if not matches:
        if any(sign in pattern for sign in "*?["):
            hint = near_match(pattern, _patterns(modules))
            raise InputError(f"the model has no layers like {layer!r}{hint}")
        raise InputError(f"the model has no layer {layer!r}{near_match(pattern, modules)}")
    return matches


def _patterns(modules: Iterable[str]) -> set[str]:
    """Patterns that the names of a model suggest: ``*.0.mlp`` and ``*.mlp`` of ``layers.0.mlp``."""
    found = set()
    for name in modules:
        parts = re.sub(r"\d+", "*", name).split(".")
        found.add(".".join(parts))
        found |= {".".join(["*", *parts[i:]]) for i in range(1, len(parts)) if parts[i] != "*"}
    return found


def _with_transforms(
    found: dict[str, Signal], transform: Transform | Mapping[str, Transform] | None
) -> dict[str, Signal]:
    if transform is None:
        return found
    pairs = transform.items() if isinstance(transform, Mapping) else [("*", transform)]
    for pattern, function in pairs:
        if not callable(function):
            raise InputError(f"transform must be a function of a tensor, got {function!r:.60}")
        matches = [name for name in found if name == pattern or fnmatchcase(name, pattern)]
        if not matches:
            raise InputError(f"transform: no tracked layer {pattern!r}{near_match(pattern, found)}")
        for name in matches:
            found[name] = replace(found[name], transform=function)
    return found
