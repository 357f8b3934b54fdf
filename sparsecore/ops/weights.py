"""The weights of recurrent layers, as PyTorch's modules keep them: to read, refresh and freeze."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from sparsecore.errors import InputError

WEIGHT_HOOKS = (BasePruningMethod, SpectralNorm, WeightNorm)


def weight_names(module: nn.RNNBase) -> list[list[str]]:
    """Of each layer and direction the names of W_ih, W_hh and, with bias, b_ih, b_hh."""
    kinds = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if module.bias else [])]
    return [
        [f"{kind}_l{layer}{direction}" for kind in kinds]
        for layer in range(module.num_layers)
        for direction in (("", "_reverse") if module.bidirectional else ("",))
    ]


def cell_weights(module: nn.Module) -> list[list[Tensor]]:
    """Of each layer and direction the weights with which the module would now compute.

    They are read by name, so those that were pruned (``torch.nn.utils.prune``), parametrized or
    normalised are the effective ones, up to date with the parameters behind them.

    Raises:
        InputError: not an ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` (a quantised one has no weights
            that can be read), or one with a projection.
    """
    if not isinstance(module, nn.RNNBase):
        raise InputError(
            f"weights can be read from nn.LSTM, nn.GRU and nn.RNN, got {type(module).__name__}"
            f" of {type(module).__module__}"
        )
    if module.proj_size:
        raise InputError(f"a recurrent layer must have proj_size 0, got {module.proj_size}")
    refresh(module)
    return [[getattr(module, name) for name in names] for names in weight_names(module)]


def refresh(module: nn.Module) -> None:
    """Recompute attributes that stand for parameters elsewhere, as a call of the module would.

    ``torch.nn.utils.prune``, ``weight_norm`` and ``spectral_norm`` replace a parameter by an
    attribute that a hook computes before each call; between calls it is out of date.
    """
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WEIGHT_HOOKS):
            hook(module, ())


@contextmanager
def reading_weights(module: nn.Module) -> Iterator[None]:
    """Within, weights can be read for a conversion: the module is in eval mode, gradients are on.

    In training mode each reading of a spectral norm is a step of its power iteration; without
    gradients what is computed from a parameter would look as if it were frozen.
    """
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        for child, training in modes.items():
            child.training = training


def unwrapped(module: nn.Module) -> nn.Module:
    """The module that ``torch.compile`` was given, or ``module`` itself."""
    inner = getattr(module, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else module


def copy_flags(target: Tensor, *sources: Tensor) -> None:
    """Freeze ``target`` if all that it was made of is frozen."""
    target.requires_grad_(any(source.requires_grad for source in sources))
