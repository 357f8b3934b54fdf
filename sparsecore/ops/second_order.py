"""Second derivatives of operations whose backward pass is written by hand.

Such a backward pass cannot be differentiated itself. PyTorch's ``once_differentiable`` notices
that only where the gradient that comes in requires one: a penalty on the gradient of a plain sum
would be left out in silence. Here a backward pass that is to be differentiated itself
(``create_graph=True``) either goes through plain operations or is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sparsecore.errors import InputError

Backward = Callable[..., Any]


def first_order_only(what: str, instead: str) -> Callable[[Backward], Backward]:
    """Refuse ``create_graph=True`` through a backward pass, in one line that says what has it."""

    def decorate(backward: Backward) -> Backward:
        @functools.wraps(backward)
        def checked(ctx: Any, *gradients: Tensor) -> Any:
            if torch.is_grad_enabled():
                raise InputError(f"{what} has no second derivative (create_graph=True): {instead}")
            return backward(ctx, *gradients)

        return checked

    return decorate


def differentiable_gradients(
    function: Callable[..., Tensor | tuple[Tensor, ...]],
    inputs: Sequence[Tensor | None],
    needed: Sequence[bool],
    gradients: Tensor | tuple[Tensor, ...],
) -> list[Tensor | None]:
    """Gradients of ``function(*inputs)`` that can be differentiated; None where not needed.

    ``inputs`` may depend on each other: only the direct part counts, as in any backward pass.
    """
    with torch.enable_grad():
        given = [
            x.view_as(x) if x is not None and need else x
            for x, need in zip(inputs, needed, strict=True)
        ]
        wanted = [x for x, need in zip(given, needed, strict=True) if x is not None and need]
        found = torch.autograd.grad(
            function(*given), wanted, gradients, create_graph=True, materialize_grads=True
        )
    rest = iter(found)
    return [
        next(rest) if x is not None and need else None
        for x, need in zip(inputs, needed, strict=True)
    ]
