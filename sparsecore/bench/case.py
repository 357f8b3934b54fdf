"""What a suite says of its cases: who runs, what is right, and how much work it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

REFERENCE = "sparsecore"  # the contestant that every case has, and the ratios are to
Values = Mapping[str, Tensor]


@dataclass(frozen=True)
class Contestant:
    """One way to do it.

    Attributes:
        step: what is timed.
        values: what it computes, outputs and gradients by name, to be held against the truth before
            anything is timed; None where it computes something else on purpose (a dense layer with
            as many parameters, say).
        counted: its operations can be watched one by one, for the memory that they take; those of
            compiled code cannot.
    """

    step: Callable[[], object]
    values: Callable[[], Values] | None = None
    counted: bool = True


@dataclass(frozen=True)
class Prepared:
    """The live objects of a case.

    Attributes:
        contestants: by name, :data:`REFERENCE` among them.
        truth: what is right, by the obvious twin, in float64.
        close: called when the case is over, whatever happened.
        absent: of peers that cannot run here, by name, why not.
    """

    contestants: dict[str, Contestant]
    truth: Callable[[], Values]
    close: Callable[[], object] = lambda: None
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        name: says the sizes.
        prepare: makes the contestants; called once, when it is the case's turn.
        items, item: how many of what a step works through (1400 tokens).
        flops, bytes: the least that the result needs, for the share of the machine's ceilings.
        watched: length of the last axis of the tensors whose largest is reported (the vocabulary,
            for logits); None: of any tensor.
        rounds: at most so many; a single one has no warm-up.
        helpers: other processes take part, so only the wall clock sees all of it.
        axis, size: the curve that the case is a point of, and where on it.
    """

    name: str
    prepare: Callable[[], Prepared]
    items: int
    item: str
    flops: float = 0.0
    bytes: float = 0.0
    watched: int | None = None
    rounds: int | None = None
    helpers: bool = False
    axis: str = ""
    size: float = math.nan


def gradients_of(
    module: nn.Module, call: Callable[[], Tensor], upward: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The output of ``call`` and the gradients it leaves in the parameters of ``module``, by name.

    The parameters' own ``grad`` is cleared before and after.
    """
    module.zero_grad(set_to_none=True)
    output = call()
    output.backward(upward)
    found = {
        name: p.grad.detach().clone() for name, p in module.named_parameters() if p.grad is not None
    }
    module.zero_grad(set_to_none=True)
    return output.detach(), found


def forward_backward(
    module: nn.Module, call: Callable[[], Tensor], upward: Tensor, *inputs: Tensor
) -> Callable[[], None]:
    """A step: forward, backward from ``upward``, gradients of parameters and inputs forgotten."""

    def step() -> None:
        call().backward(upward)
        module.zero_grad(set_to_none=True)
        for x in inputs:
            x.grad = None

    return step


def random_tensor(
    *shape: int, seed: int = 0, device: torch.device | str = "cpu", requires_grad: bool = False
) -> Tensor:
    """Normal numbers that do not depend on what was drawn before (nor on the device)."""
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return drawn.to(device).requires_grad_(requires_grad)
