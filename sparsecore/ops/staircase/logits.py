"""Products of vectors with every row of a staircase matrix, bin by bin.

Bins of few columns are first joined into panels of at least ``PANEL_WIDTH`` columns, as long as
their heights are alike, so that a bin for every dimension does not mean as many thin products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparsecore.ops.autocast import autocast_dtype
from sparsecore.ops.compilers import is_traced
from sparsecore.ops.second_order import differentiable_gradients

PANEL_WIDTH = 32  # bins at least as wide stand alone
PANEL_HEIGHT = 0.75  # of a panel's first bin, the least that its others must have


def staircase_logits(
    hidden: Tensor, tables: Sequence[Tensor], bias: Tensor | None = None
) -> Tensor:
    """hidden (..., k) @ staircaseᵀ (k, V) + bias (V,), without the V x k matrix.

    Args:
        hidden: (..., k). Under autocast the products run in its type.
        tables: (r_m, width_m) each, r_0 = V; table m holds the last r_m rows of bin m.
        bias: (V,), or none.
    """
    panels = _panels(tables)
    if dtype := autocast_dtype(hidden):
        hidden, panels = hidden.to(dtype), [panel.to(dtype) for panel in panels]
        bias = None if bias is None else bias.to(dtype)
    if is_traced():
        return _sum_of_products(hidden, panels, bias)
    logits: Tensor = _Products.apply(hidden.reshape(-1, hidden.shape[-1]), bias, *panels)
    return logits.view(*hidden.shape[:-1], len(tables[0]))


def _panels(tables: Sequence[Tensor]) -> list[Tensor]:
    """Adjacent bins as one, with zeros where one of them lacks rows."""
    groups: list[list[Tensor]] = []
    for table in tables:
        group = groups[-1] if groups else None
        if (
            group is not None
            and sum(member.shape[1] for member in group) < PANEL_WIDTH
            and PANEL_HEIGHT * len(group[0]) <= len(table) <= len(group[0])
        ):
            group.append(table)
        else:
            groups.append([table])
    return [
        group[0]
        if len(group) == 1
        else torch.cat([F.pad(table, (0, 0, len(group[0]) - len(table), 0)) for table in group], 1)
        for group in groups
    ]


def _sum_of_products(hidden: Tensor, panels: Sequence[Tensor], bias: Tensor | None) -> Tensor:
    """In operations that can be traced."""
    parts = hidden.split([panel.shape[1] for panel in panels], -1)
    logits = F.linear(parts[0], panels[0], bias)
    for part, panel in zip(parts[1:], panels[1:], strict=True):
        if len(panel):
            logits = logits + F.pad(F.linear(part, panel), (len(panels[0]) - len(panel), 0))
    return logits


def _gradients_again(
    needed: Sequence[bool], gradient: Tensor, hidden: Tensor, panels: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """As the backward pass of :class:`_Products`, in operations that can be differentiated."""
    need_hidden, need_bias, *need_panels = needed
    found = differentiable_gradients(
        lambda hidden, *panels: _sum_of_products(hidden, panels, None),
        [hidden, *panels],
        [need_hidden, *need_panels],
        gradient,
    )
    return found[0], gradient.sum(0) if need_bias else None, *found[1:]


class _Products(torch.autograd.Function):
    """hidden (N, k), bias (V,) or None, panels (r, width) -> (N, V), each product added in place.

    Additions in place on a slice, left to autograd, would copy the whole gradient for each panel.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, bias: Tensor | None, *panels: Tensor) -> Tensor:
        ctx.save_for_backward(hidden, *panels)
        parts = hidden.split([panel.shape[1] for panel in panels], 1)
        logits = F.linear(parts[0], panels[0], bias)
        for part, panel in zip(parts[1:], panels[1:], strict=True):
            logits[:, len(panels[0]) - len(panel) :].addmm_(part, panel.t())
        return logits

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        hidden, *panels = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            return _gradients_again(ctx.needs_input_grad, gradient, hidden, panels)
        need_hidden, need_bias, *need_panels = ctx.needs_input_grad
        widths = [panel.shape[1] for panel in panels]
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_panels: list[Tensor | None] = []
        start = 0
        for part, panel, width, needed in zip(
            hidden.split(widths, 1), panels, widths, need_panels, strict=True
        ):
            below = gradient[:, len(panels[0]) - len(panel) :]  # N r
            grad_panels.append(below.t() @ part if needed else None)
            if grad_hidden is not None:
                torch.mm(below, panel, out=grad_hidden[:, start : start + width])
            start += width
        return grad_hidden, gradient.sum(0) if need_bias else None, *grad_panels
