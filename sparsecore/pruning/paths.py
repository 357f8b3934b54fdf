"""The best path of a text through an automaton (Dodge et al. 2019, §4).

A path into state i takes the main path i times, at tokens t_1 < … < t_i. Before t_1 it waits in the
start state, at weight 1; every other token up to the end of the text is a self-loop of the state it
stands in. Its score is the product of all weights. Main-path weights can be negative, and then the
largest product may go through the smallest one so far: both are tracked together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN
from sparsecore.ops.autocast import widest
from sparsecore.ops.rational import as_bools
from sparsecore.ops.rational.layout import layout_of

LANES = 256  # texts that are searched side by side
STAY, FROM_LARGEST, FROM_SMALLEST = 0, 1, 2


class BestPaths(NamedTuple):
    """One path for each text and state.

    Attributes:
        score: (B, S) its weight; −inf where the text has too few tokens (+inf if the smallest
            was asked for).
        steps: (B, S, n) the positions along T of its i main-path steps, first to last, then −1;
            n is the longest length of a WFSA. All −1 where there is no path.
    """

    score: Tensor
    steps: Tensor


@torch.no_grad()
def best_paths(
    rnn: RationalRNN, x: Tensor, largest: bool = True, mask: Tensor | None = None
) -> BestPaths:
    """The largest (or smallest) scoring path into each state, over the whole of each text.

        largest_i(t) = max(u·largest_{i-1}(t−1), u·smallest_{i-1}(t−1), f·largest_i(t−1))

    and the mirror image of it for smallest, both exact whatever the signs of u. Of equal
    candidates the main path is taken. In float64, where the device has it.

    Args:
        rnn: one layer, one direction. In the semiring max_plus weights add up.
        x: token vectors as for ``rnn``: (T, B, E), or (B, T, E) if it is batch_first, or (T, E)
            for a B of 1. Texts end at T.
        largest: whether the largest score is looked for, or the smallest.
        mask: of x's shape without E, False (or 0) where there is padding, which no path may use;
            None: zero vectors in front are padding.

    Raises:
        InputError: several layers or directions; shapes that do not match.

    Source: Dodge et al. 2019, §4 (paths); the search itself is exact, not the paper's.

    >>> rnn = RationalRNN(1, [2])
    >>> rnn.main.data = torch.tensor([[1.0], [-1.0]])
    >>> rnn.loop.data = torch.zeros(2, 1)
    >>> score, steps = best_paths(rnn, torch.tensor([[2.0], [3.0], [5.0]]), largest=False)
    >>> score, steps
    (tensor([[ 0.2500, -3.7500]], dtype=torch.float64), tensor([[[ 0, -1],
             [ 1,  2]]]))
    """
    if rnn.reverse is not None or rnn.above is not None:
        raise InputError(
            "best_paths needs one layer and one direction; take one of rnn.cells() and its input"
        )
    for name, given in {"x": x, "mask": mask}.items():
        if given is not None and not isinstance(given, Tensor):
            raise InputError(f"{name} must be a tensor, got {type(given).__name__}")
    single = x.ndim == 2
    if single:
        x, mask = x.unsqueeze(1), None if mask is None else mask.unsqueeze(1)
    elif rnn.batch_first:
        x, mask = x.transpose(0, 1), None if mask is None else mask.transpose(0, 1)
    if x.ndim != 3 or x.shape[0] == 0 or x.shape[2] != rnn.input_size:
        raise InputError(
            f"x must have T >= 1 and input_size={rnn.input_size} entries along its last of 2 or 3 "
            f"axes, got {tuple(x.shape)}"
        )
    if mask is None:
        mask = (x != 0).any(-1).cumsum(0) > 0
    mask = as_bools(mask)
    if mask.shape != x.shape[:2]:
        raise InputError(f"mask must have x's shape without E, got {tuple(mask.shape)}")
    parts = [
        _search(rnn, x[:, start : start + LANES], mask[:, start : start + LANES], largest)
        for start in range(0, x.shape[1], LANES)
    ]
    score, steps = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
    return BestPaths(score, steps)


def arc_weights(rnn: RationalRNN, x: Tensor) -> tuple[Tensor, Tensor]:
    """Main-path weights u and self-loop weights f of each state at each token.

    Args:
        rnn: its first layer, forward direction, is meant.
        x: (T, B, E).

    Returns:
        u, f: (T, B, S) each, float64 (on MPS, which has none, float32).
    """
    x = x.to(rnn.main.dtype)
    f = torch.sigmoid(x @ rnn.loop.t() + rnn.bias)
    u = x @ rnn.main.t()
    u = u * (1 - f) if rnn.semiring == "plus_times" else torch.sigmoid(u)
    ends = [sum(rnn.lengths[: d + 1]) - 1 for d, one in enumerate(rnn.last_loop_one) if one]
    f[..., ends] = 0.0 if rnn.semiring == "max_plus" else 1.0
    return u.to(widest(x)), f.to(widest(x))


def _search(rnn: RationalRNN, x: Tensor, mask: Tensor, largest: bool) -> tuple[Tensor, Tensor]:
    """Score (B, S) and steps (B, S, n) for a few texts, in the outer order of states."""
    layout = layout_of(rnn.lengths)
    u, f = (layout.inside(arcs.permute(2, 0, 1)) for arcs in arc_weights(rnn, x))  # S T B
    times = torch.add if rnn.semiring == "max_plus" else torch.mul
    S, T, B = u.shape
    D = len(layout.wfsas)
    position = torch.empty(S, dtype=torch.long, device=x.device)  # i of each state
    for i, block in enumerate(layout.blocks, 1):
        position[block] = i
    before = torch.cat([torch.arange(s.start, s.stop, device=x.device) for _, s in layout.spans])

    # row 0 .. D − 1: the start states, which hold one; then the states, which hold no path yet
    one = 0.0 if rnn.semiring == "max_plus" else 1.0
    high = torch.full((D + S, B), -math.inf, dtype=u.dtype, device=x.device)
    low = torch.full_like(high, math.inf)
    high[:D] = low[:D] = one
    read = torch.zeros(B, dtype=torch.long, device=x.device)  # tokens so far
    choices = torch.empty(2, T, S, B, dtype=torch.uint8, device=x.device)
    for t in range(T):
        reached = read >= position.unsqueeze(1)  # S B: is there a path that could stay
        enters = (read >= position.unsqueeze(1) - 1) & mask[t]
        stays = reached & mask[t]
        a, b = times(u[:, t], high[before]), times(u[:, t], low[before])  # NaN where impossible
        new_high, choices[0, t] = _choose(a, b, times(f[:, t], high[D:]), enters, stays, 1)
        new_low, choices[1, t] = _choose(b, a, times(f[:, t], low[D:]), enters, stays, -1)
        high[D:] = torch.where(mask[t], new_high, high[D:])
        low[D:] = torch.where(mask[t], new_low, low[D:])
        read += mask[t]
    score = (high if largest else low)[D:]
    steps = _trace(choices, before, position, largest, D)
    steps[~torch.isfinite(score)] = -1
    return layout.outside(score).t(), layout.outside(steps).transpose(0, 1)


def _choose(
    same: Tensor, other: Tensor, stay: Tensor, enters: Tensor, stays: Tensor, sign: int
) -> tuple[Tensor, Tensor]:
    """Best of three candidates, S B each, and which: the largest for sign 1, the smallest for −1.

    ``same`` enters from the best path of the same kind, ``other`` from that of the other kind.
    """
    nothing = -math.inf
    same, other = (torch.where(enters, sign * c, nothing) for c in (same, other))
    stay = torch.where(stays, sign * stay, nothing)
    come = torch.maximum(same, other)
    kind = torch.where(same >= other, FROM_LARGEST, FROM_SMALLEST)
    if sign < 0:  # the same kind is then the smallest
        kind = FROM_LARGEST + FROM_SMALLEST - kind
    moves = (come >= stay) & enters
    return sign * torch.where(moves, come, stay), torch.where(moves, kind, STAY).to(torch.uint8)


def _trace(choices: Tensor, before: Tensor, position: Tensor, largest: bool, starts: int) -> Tensor:
    """Follow the choices (2 T S B) back from the end: the main-path steps, S B n."""
    _, T, S, B = choices.shape
    device = choices.device
    row = torch.arange(starts, starts + S, device=device).unsqueeze(1).repeat(1, B)
    kind = torch.full((S, B), 0 if largest else 1, device=device)
    left = position.unsqueeze(1).repeat(1, B)  # steps not yet found
    steps = torch.full((S, B, int(position.max())), -1, device=device)
    lane = torch.arange(B, device=device).expand(S, B)
    for t in range(T - 1, -1, -1):
        choice = choices[kind, t, (row - starts).clamp_min(0), lane]
        moved = (choice != STAY) & (left > 0)
        s, b = moved.nonzero(as_tuple=True)
        if len(s) == 0:
            continue
        steps[s, b, left[s, b] - 1] = t
        left[s, b] -= 1
        kind[s, b] = choice[s, b].long() - FROM_LARGEST
        row[s, b] = before[row[s, b] - starts]
    return steps
