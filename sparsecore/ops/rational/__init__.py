"""The recurrence of rational RNNs: all weighted finite-state automata of a layer, token by token.

``rational_recurrence`` picks the fast path for the device and the semiring, ``naive`` is the
reference implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sparsecore.errors import InputError, near_match
from sparsecore.ops.autocast import without_autocast
from sparsecore.ops.compilers import compiles_on_cpu, installed, is_transformed
from sparsecore.ops.rational.layout import Recurrence, check_lengths, layout_of
from sparsecore.ops.rational.maximum import maximum
from sparsecore.ops.rational.naive import naive_rational_recurrence
from sparsecore.ops.rational.plus_times import plus_times
from sparsecore.ops.self_check import self_check

__all__ = [
    "INITIAL",
    "as_bools",
    "check_lengths",
    "naive_rational_recurrence",
    "rational_recurrence",
]

INITIAL = {"plus_times": 0.0, "max_plus": -100.0, "max_times": -100.0}  # before the first token


def rational_recurrence(
    x: Tensor,
    main: Tensor,
    loop: Tensor,
    bias: Tensor,
    lengths: Sequence[int],
    *,
    c0: Tensor | None = None,
    final: Tensor | None = None,
    semiring: str = "plus_times",
    fixed_loops: Sequence[bool] | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Scores of D automata after each token, and their S states after the last.

    Plus-times, the paper's: state i of a WFSA holds the total weight of all paths into it,

        c_t^i = f·c_{t-1}^i + u·c_{t-1}^{i-1},  c^0 = 1,  f = sigmoid(x·loop + bias),
        u = (x·main)(1 − f)

    max_plus and max_times hold the weight of the best path instead, with u = sigmoid(x·main).

    Args:
        x: (T, B, E) token vectors, T >= 1.
        main: (S, E) main-path weights, WFSA by WFSA, S = sum(lengths).
        loop: (S, E) self-loop weights.
        bias: (S,) of the self-loops.
        lengths: D numbers of transitions.
        c0: (B, S) states before the first token; None: 0, or −100 in the max semirings.
        final: (S,) weights of the states in the scores; None: 1 each.
        semiring: plus_times | max_plus | max_times.
        fixed_loops: of each WFSA, whether its last state's self-loop is the semiring's one.
        mask: (T, B), False (or 0, of a mask of numbers) where a position is padding: there every
            state stays as it is.

    Returns:
        scores: (T, B, D), the weighted sum of each WFSA's states.
        states: (B, S) after the last token.

    Raises:
        InputError: shapes or types that do not match, an unknown semiring.

    Source: Dodge et al. 2019, §2 (after Peng et al. 2018).
    """
    lengths = check_lengths(lengths)
    S = sum(lengths)
    if x.ndim != 3 or x.shape[0] == 0 or x.shape[1] == 0:
        raise InputError(f"x must have shape (T, B, E) with T, B >= 1, got {tuple(x.shape)}")
    T, B, E = x.shape
    wanted = {"main": (main, (S, E)), "loop": (loop, (S, E)), "bias": (bias, (S,))}
    if c0 is None:
        c0 = x.new_full((B, S), INITIAL.get(semiring, 0.0))
    wanted |= {"c0": (c0, (B, S)), "final": (final, (S,)), "mask": (mask, (T, B))}
    for name, (tensor, shape) in wanted.items():
        if tensor is not None and not isinstance(tensor, Tensor):
            raise InputError(f"{name} must be a tensor, got {type(tensor).__name__}")
        if tensor is not None and tensor.shape != shape:
            raise InputError(f"{name} must have shape {shape}, got {tuple(tensor.shape)}")
    if x.dtype != main.dtype:
        raise InputError(
            f"x must be of the type of main, {main.dtype}, got {x.dtype}: convert one of them with "
            ".to(…)"
        )
    if mask is not None:
        mask = as_bools(mask)
    if fixed_loops is not None and len(fixed_loops) != len(lengths):
        raise InputError(f"fixed_loops needs {len(lengths)} entries, got {len(fixed_loops)}")
    layout = layout_of(lengths)
    fixed = layout.last_rows(fixed_loops) if fixed_loops is not None else []
    if semiring not in INITIAL:
        raise InputError(f"unknown semiring {semiring!r}{near_match(semiring, INITIAL)}")
    tensors: list[Any] = [x, main, loop, bias, c0, final]
    if not torch.is_grad_enabled():  # then nothing of a long text is kept for the backward pass
        tensors = [None if tensor is None else tensor.detach() for tensor in tensors]
    given = Recurrence(*tensors, mask=mask, layout=layout, fixed=fixed)
    with without_autocast(x):
        if is_transformed():
            return naive_rational_recurrence(
                x, main, loop, bias, lengths, c0=c0, final=final, semiring=semiring,
                fixed_loops=fixed_loops, mask=mask,
            )  # fmt: skip
        if torch.compiler.is_exporting():
            from sparsecore.ops.rational.exported import exported

            return exported(given, semiring)
        return IMPLEMENTATIONS[semiring](given)


def as_bools(mask: Tensor) -> Tensor:
    """A mask of numbers, 0 where there is padding, as one of booleans."""
    return mask if mask.dtype == torch.bool else mask != 0


def _plus_times(given: Recurrence) -> tuple[Tensor, Tensor]:
    """The kernel of the device, where it is compiled and found right; else plain PyTorch."""
    x = given.x
    fits = 2 * len(given.main) * x.shape[0] * x.shape[1] < 2**31  # the kernel's 32-bit indices
    if x.is_cuda and fits and installed("triton", "gpu"):
        if self_check("rational recurrences", x, _matches_reference):
            from sparsecore.ops.rational.triton import plus_times_triton

            return plus_times_triton(given)
    if compiles_on_cpu(x):
        from sparsecore.ops.rational.compiled import plus_times_compiled

        return plus_times_compiled(given)
    return plus_times(given)


def _matches_reference(device: torch.device, dtype: torch.dtype) -> bool:
    from sparsecore.ops.rational.triton import matches_reference

    return matches_reference(device, dtype)


IMPLEMENTATIONS: dict[str, Callable[[Recurrence], tuple[Tensor, Tensor]]] = {
    "plus_times": _plus_times,
    "max_plus": partial(maximum, add=True),
    "max_times": partial(maximum, add=False),
}
