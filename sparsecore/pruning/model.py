"""A model without the hidden units that nothing enters: ``sparsecore.prune``.

The model runs once on the given inputs while labels follow its hidden units (:mod:`follow`); then
its recurrent layers and what reads them are cut, and the result has to compute what the model does
with those units at zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_leaves_with_path

from sparsecore.errors import InputError
from sparsecore.layers.sparse_rnn import SparseRecurrent
from sparsecore.ops.cells import num_directions
from sparsecore.ops.weights import copy_flags, reading_weights, refresh, weight_names
from sparsecore.pruning.compact import THRESHOLD, check_threshold
from sparsecore.pruning.copies import copied, hooks_of, turn_into
from sparsecore.pruning.follow import Trace
from sparsecore.pruning.stack import cut_stack
from sparsecore.pruning.units import Kept, cut_layers, entering_norms, largest_units

FORWARDS = (nn.LSTM.forward, nn.GRU.forward, nn.RNN.forward)
CLOSE = {torch.float64: 1e-9, torch.float32: 1e-4}  # of the largest value


@torch.inference_mode(False)  # else its parameters could not be trained
def prune(model: nn.Module, inputs: Any, threshold: float = THRESHOLD) -> nn.Module:
    """A smaller model without the hidden units of recurrent layers that are (nearly) zero.

    A unit of an ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` is removed if the ℓ2 norm of the weights that
    enter it, its rows of W_ih, W_hh and the biases, is at most ``threshold``: such a unit puts out
    (nearly) zero. With it go the columns that read it, in further recurrent layers and in linear
    layers, also through functions that keep zero at zero, dropout, views, indexing, pooling over
    time and concatenation. The result computes what the model computes with the removed units at
    exactly zero: the same, where they were zero.

    Both directions of a layer keep as many units as the one that keeps more. The layers of a
    multi-layer module keep numbers of their own: it becomes a
    :class:`~sparsecore.pruning.stack.RecurrentStack` of one-layer modules, called as before, whose
    final states are a tuple, layer by layer and direction by direction.

    Weights that were pruned, parametrized or normalised are plain parameters again, and compiled
    parts are no longer compiled. What else is attached to a layer stays: hooks (they also run while
    ``prune`` calls the model), buffers, attributes.

    Args:
        model: any module; it is not changed.
        inputs: what it is called with to see what reads what, ``model(inputs)``: one argument, a
            tuple of several or a dictionary of named ones. Of a model that has a method
            ``logits(hidden)``, as the language models here, that is called too, with the first of
            what ``model(inputs)`` returns.
        threshold: norms up to it count as zero; at least 0.

    Returns:
        A new model of the same classes, in the same mode, of the same types and devices, frozen
        where the model is. Final states that it returns have the new sizes.

    Raises:
        InputError: no recurrent layer, or one that is not called; a layer that would lose all
            units; what cannot be followed, by name: units that are added to something else, go
            through a function of all units (softmax, a norm), or leave the model; an initial state
            from outside; tied weights; ``proj_size``; code or hooks that rely on the number of
            units; an attribute that cannot be copied.

    Source: Dodge et al. 2019, §2 (groups of what enters a state, the threshold); Wen et al. 2018.

    >>> class Tagger(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.rnn, self.out = nn.GRU(3, 8), nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.out(torch.tanh(self.rnn(x)[0]))
    >>> model = Tagger()
    >>> with torch.no_grad():
    ...     for parameter in model.rnn.parameters():
    ...         parameter.unflatten(0, (3, 8))[:, [1, 4, 6]] = 0
    >>> small = prune(model, torch.randn(5, 2, 3))
    >>> small.rnn.hidden_size, small.out.in_features
    (5, 5)
    """
    check_threshold(threshold, torch.zeros(0))
    if not isinstance(model, nn.Module):
        kind = f"{type(model).__name__} of {type(model).__module__}"
        raise InputError(f"prune takes an nn.Module, got {kind}{_remedy(model)}")
    source = copied(model)
    modes = {module: module.training for module in source.modules()}
    source.eval()
    layers = _recurrent_layers(source)
    trace = Trace(source, layers)
    outputs = trace.run(_call, inputs)
    norms = {name: entering_norms(layer) for name, layer in layers.items()}
    each = {name: _kept(name, layers[name], norms[name], threshold) for name in layers}
    equal = {name: largest_units(norms[name], threshold, name) for name in layers}
    error: Exception | None = None
    for kept in (each, equal) if each != equal else (equal,):
        try:
            small = _cut(source, trace, kept)
            _check_equal(_reference(source, layers, kept), small, trace, inputs, outputs)
        except InputError:
            raise
        except Exception as wrong:  # of the model's own code: its kind is not known
            error = wrong
            continue
        _set_modes(small, source, trace, modes)
        return small
    names, said = ", ".join(map(repr, layers)), str(error).partition("\n")[0]
    hooks = hooks_of({n: m for n, m in source.named_modules() if m in trace.inputs})
    raise InputError(
        f"the model's own code{f', or the hook {hooks},' if hooks else ''} relies on the number of "
        f"units of {names}: {said}"
    )


def _call(model: nn.Module, inputs: Any) -> Any:
    """The outputs of model(inputs) and, where it has them, the logits of the first."""
    if isinstance(inputs, Mapping):
        outputs = model(**inputs)
    elif isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence):
        outputs = model(*inputs)
    else:
        outputs = model(inputs)
    logits = getattr(model, "logits", None)
    if callable(logits) and isinstance(outputs, tuple) and isinstance(outputs[0], Tensor):
        return logits(outputs[0]), outputs[1:]
    if dataclasses.is_dataclass(outputs) and not isinstance(outputs, type):
        return {field.name: getattr(outputs, field.name) for field in dataclasses.fields(outputs)}
    return outputs


def _recurrent_layers(model: nn.Module) -> dict[str, nn.RNNBase]:
    """The layers whose units may be removed, by name."""
    sparse = [
        f"{name}." if name else ""
        for name, m in model.named_modules()
        if isinstance(m, SparseRecurrent)
    ]
    layers: dict[str, nn.RNNBase] = {}
    for name, module in model.named_modules():
        if not isinstance(module, nn.RNNBase) or name.startswith(tuple(sparse)):
            continue
        if module.proj_size:
            raise InputError(f"prune cannot follow {name!r}: it has proj_size={module.proj_size}")
        if type(module).forward not in FORWARDS:
            kind = type(module).__name__
            raise InputError(f"prune cannot follow {name!r}: {kind} has a forward of its own")
        layers[name] = module
    if not layers:
        hint = "; SparseLSTM.to_dense() makes nn.LSTM" if sparse else _remedy(model)
        raise InputError(f"the model has no nn.LSTM, nn.GRU or nn.RNN to prune{hint}")
    return layers


def _remedy(model: Any) -> str:
    """What to do about a model that was turned into something else, with layers of its own."""
    for module in model.modules() if isinstance(model, nn.Module) else [model]:
        kind = type(module)
        if isinstance(module, torch.jit.ScriptModule):
            return "; it is scripted: prune the model first, then script it"
        if isinstance(module, torch.fx.GraphModule) or kind.__module__.startswith("torch.export"):
            return "; it is exported: prune the model first, then export it"
        if ".quantized" in kind.__module__:
            return f"; it has a quantised {kind.__name__}: prune the model first, then quantise it"
    return ""


def _kept(name: str, layer: nn.RNNBase, norms: Tensor, threshold: float) -> Kept:
    """Of each layer and direction the units that stay, as many in both directions."""
    directions = num_directions(layer)
    kept: Kept = []
    for level in range(layer.num_layers):
        where = name if layer.num_layers == 1 else f"{name} (layer {level})"
        kept += largest_units(norms[level * directions :][:directions], threshold, where)
    return kept


def _cut(source: nn.Module, trace: Trace, kept: dict[str, Kept]) -> nn.Module:
    """A copy of the model whose recurrent layers and their readers are smaller."""
    stays = {0}
    for name, units in kept.items():
        H = trace.layers[name].hidden_size
        first = trace.first[name]
        stays |= {first + place * H + j for place, own in enumerate(units) for j in own}
    small = copied(source)
    for name, module in source.named_modules():
        if module not in trace.inputs:
            continue
        columns = trace.inputs[module]
        left = [f for f, unit in enumerate(columns) if unit in stays]
        if isinstance(module, nn.RNNBase):
            new = cut_stack(module, kept[trace.name_of[module]], left)
        elif len(left) < len(columns):
            new = _cut_linear(module, left)
        else:
            continue
        _check_untied(source, name, module)
        turn_into(small.get_submodule(name), new)
    return small


def _cut_linear(linear: nn.Module, columns: list[int]) -> nn.Linear:
    """A plain linear layer that reads these of its inputs."""
    assert isinstance(linear, nn.Linear)
    with reading_weights(linear):
        refresh(linear)
        weight, bias = linear.weight, linear.bias
    small = nn.Linear(
        len(columns), linear.out_features, bias is not None, device="meta", dtype=weight.dtype
    ).to_empty(device=weight.device)
    with torch.no_grad():
        small.weight.copy_(weight[:, columns])
        copy_flags(small.weight, weight)
        if bias is not None:
            small.bias.copy_(bias)
            copy_flags(small.bias, bias)
    return small


def _check_untied(model: nn.Module, name: str, module: nn.Module) -> None:
    own = {id(p) for p in module.parameters()}
    inside = {id(m) for m in module.modules()}
    for other, owner in model.named_modules():
        if id(owner) in inside:
            continue
        for key, parameter in owner.named_parameters(recurse=False):
            if id(parameter) in own:
                raise InputError(
                    f"prune cannot cut {name!r}: its weight is tied to {f'{other}.{key}'!r}"
                )


def _reference(source: nn.Module, layers: dict[str, nn.RNNBase], kept: dict[str, Kept]) -> Any:
    """The model as it is, but what enters the removed units zero."""
    reference = copied(source)
    for name, layer in layers.items():
        H = layer.hidden_size
        everything = [list(range(H)) for _ in kept[name]]
        plain = cut_layers(layer, everything, list(range(layer.input_size)))
        with torch.no_grad():
            for names, units in zip(weight_names(plain), kept[name], strict=True):
                gone = [j for j in range(H) if j not in set(units)]
                for weight in names:
                    plain.get_parameter(weight).unflatten(0, (-1, H))[:, gone] = 0
        turn_into(reference.get_submodule(name), plain)
    return reference


def _check_equal(
    reference: nn.Module, small: nn.Module, trace: Trace, inputs: Any, outputs: Any
) -> None:
    """Raise unless both compute the same, apart from final states, which are smaller."""
    small.eval()
    results = []
    for model in (reference, small):
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            results.append(dict(tree_leaves_with_path(_call(model, inputs))))
    right, found = results
    compared = [
        path
        for path, leaf in tree_leaves_with_path(outputs)
        if isinstance(leaf, Tensor) and not trace.is_state(leaf)
    ]
    if not compared:
        raise InputError("prune needs a model that returns tensors: they are how it checks itself")
    for path in compared:
        if not _close(found.get(path), right[path]):
            raise ValueError(f"outputs of shape {tuple(right[path].shape)} change")


def _set_modes(small: nn.Module, source: nn.Module, trace: Trace, modes: Any) -> None:
    """Training or eval mode of every layer as the given model has it."""
    found = dict(small.named_modules(remove_duplicate=False))
    for name, module in source.named_modules(remove_duplicate=False):
        if module in trace.inputs:
            found[name].train(modes[module])  # a stack has layers that the given model lacks
        elif name in found:
            found[name].training = modes[module]


def _close(found: Any, right: Tensor) -> bool:
    if not isinstance(found, Tensor) or found.shape != right.shape:
        return False
    if not right.is_floating_point():
        return torch.equal(found, right)
    largest = right.abs().nan_to_num(0, 0, 0).max().item() if right.numel() else 0.0
    allowed = CLOSE.get(right.dtype, 0.05) * max(1.0, largest)
    return torch.allclose(found, right, rtol=0, atol=allowed, equal_nan=True)
