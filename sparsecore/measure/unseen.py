"""What was asked of a tracker and did not happen, in one warning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import nn

from sparsecore.measure.select import Signal

SHOWN = 40  # names in one sentence


class TrackingWarning(UserWarning):
    """A tracker was asked for something that did not come: it says what, by name, and why."""


@dataclass
class Seen:
    """What has come so far, by the names that signals have in the table."""

    ran: set[str] = field(default_factory=set)
    differentiable: set[str] = field(default_factory=set)  # a gradient could have come
    gradients: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)  # an error has named it
    left_out: dict[str, str] = field(default_factory=dict)  # name: why
    unfinished: int = 0  # forward passes
    told: set[str] = field(default_factory=set)


def unseen(
    seen: Seen,
    signals: Mapping[str, Signal],
    second: Mapping[str, str],
    model: nn.Module,
    gradients: bool,
    not_finite: Mapping[tuple[str, str], int],
) -> str:
    """The sentences of the warning that were not told before; empty if all came."""
    known = seen.ran | seen.refused | seen.left_out.keys()
    never = [name for name in signals if name not in known]
    within = [name for name in never if _in_attention(signals[name].module, model)]
    sentences = [
        f"{first} is the same module as {name} and stands under that name"
        for first, name in ((repr(a), repr(b)) for a, b in second.items())
    ]
    if within:
        sentences.append(
            f"{names(within)} never ran: nn.MultiheadAttention reads its weights without calling it"
        )
    if rest := [name for name in never if name not in within]:
        sentences.append(
            f"{names(rest)} never ran: the forward pass does not call it, or it runs in code that "
            "was compiled or exported"
        )
    if gradients and seen.ran:
        without = [name for name in signals if name in seen.ran - seen.gradients]
        if without and not seen.gradients and not seen.differentiable:
            sentences.append(
                f"no gradient came for {names(without)}: nothing was trainable or gradients were "
                "off; give gradients=False where none are wanted"
            )
        else:
            frozen = [name for name in without if name not in seen.differentiable]
            if frozen:
                sentences.append(
                    f"no gradient came for {names(frozen)}: what leads there is frozen, or ran "
                    "without gradients"
                )
            if cut := [name for name in without if name in seen.differentiable]:
                sentences.append(
                    f"no gradient came for {names(cut)}: no backward pass reached it inside the "
                    "block (the loss does not depend on it, or backward() came later)"
                )
    for reason in sorted(set(seen.left_out.values())):
        these = [name for name, why in seen.left_out.items() if why == reason]
        sentences.append(f"{names(these)} is left out: {reason}")
    sentences += [
        f"{number} positions of {layer!r} ({signal}) hold NaN or inf and are in no mean"
        for (layer, signal), number in not_finite.items()
    ]
    if seen.unfinished:
        sentences.append(f"{seen.unfinished} forward passes ended in an error and do not count")
    new = [sentence for sentence in sentences if sentence not in seen.told]
    seen.told.update(new)
    return "; ".join(new)


def _in_attention(module: nn.Module, model: nn.Module) -> bool:
    return any(
        module is child
        for parent in model.modules()
        if isinstance(parent, nn.MultiheadAttention)
        for child in parent.children()
    )


def names(some: Iterable[str]) -> str:
    """``'a', 'b'``, cut where there are many."""
    some = list(some)
    shown = ", ".join(map(repr, some[:SHOWN]))
    return shown if len(some) <= SHOWN else f"{shown} and {len(some) - SHOWN} more"
