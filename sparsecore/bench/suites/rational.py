"""The rational recurrence, forward and backward: 24 WFSAs with 4 transitions, 64 texts.

- sparsecore: this package.
- in place: a preallocated array of states for each transition, written token by token, as one would
  write it first (and as the paper's code does on a CPU); autograd copies the whole array at every
  token, so time grows with its square.
- loop: all WFSAs and states at once, token by token, states in a list; autograd as usual.
- scan: each state as a first-order recurrence over time, by doubling (Kogge & Stone).
- projection: the matrix products alone that all ways share (vectors to weights of arcs, and the
  gradients of the parameters); what the recurrence itself takes is the difference to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared, Values, random_tensor
from sparsecore.ops.rational import naive_rational_recurrence, rational_recurrence

D, N = 24, 4
TIMES = (50, 100, 400, 1600, 10_000)
QUADRATIC, MEMORY = 400, 1600  # longest texts of the ways that are quadratic, or keep much
CHECKED = 40  # tokens that are held against the naive twin

Way = Callable[[Tensor, Tensor], Tensor]  # u and f, T B D N each -> scores, T B D


@dataclass(frozen=True)
class Sizes:
    """T tokens of E numbers in B texts."""

    T: int
    B: int = 64
    E: int = 50

    def flops(self) -> float:
        """Products of the two projections, and of the gradients of their weights."""
        return 2 * 2 * 2 * self.T * self.B * self.E * D * N

    def bytes(self) -> float:
        """x in, u and f out and in, scores out; then x, u, f, gradients in, those of u, f out, in.

        What a way that holds everything in cache between two products need not move is counted
        too, so its share may pass 1.
        """
        S = D * N
        return 4 * self.T * self.B * ((self.E + 4 * S + D) + (self.E + 6 * S + D))


def cases(device: torch.device, quick: bool) -> list[Case]:
    """Texts of 50 to 10,000 tokens; quick: 6, of 3 texts."""
    grid = [Sizes(6, 3, 5)] if quick else [Sizes(T) for T in TIMES]
    return [case(sizes, device) for sizes in grid]


def case(sizes: Sizes, device: torch.device) -> Case:
    """Texts of one length."""
    return Case(
        f"T {sizes.T}, B {sizes.B}, E {sizes.E}, {D} × {N}",
        partial(prepare, sizes, device),
        sizes.T * sizes.B,
        "token",
        sizes.flops(),
        sizes.bytes(),
    )


@dataclass(frozen=True)
class Texts:
    """Vectors x, T B E; matrices and bias of the arcs; the gradient of the scores, T B D."""

    x: Tensor
    parameters: list[Tensor]
    upward: Tensor

    def contestant(self, scores: Callable[..., Tensor], counted: bool = True) -> Contestant:
        """A way from vectors and parameters to scores."""

        def step() -> None:
            scores(self.x, *self.parameters).backward(self.upward)
            for parameter in self.parameters:
                parameter.grad = None

        return Contestant(step, lambda: self.values(scores, torch.float32), counted)

    def values(self, scores: Callable[..., Tensor], dtype: torch.dtype) -> Values:
        """Scores and gradients of the first tokens."""
        few = [p.detach().to(dtype).requires_grad_() for p in self.parameters]
        found = scores(self.x[:CHECKED].to(dtype), *few)
        gradients = torch.autograd.grad(found, few, self.upward[:CHECKED].to(dtype))
        names = ("gradient: main", "gradient: loop", "gradient: bias")
        return {"scores": found.detach()} | dict(zip(names, gradients, strict=True))


def texts(sizes: Sizes, device: torch.device) -> Texts:
    """The same every time."""
    shapes = ((D * N, sizes.E), (D * N, sizes.E), (D * N,))
    return Texts(
        random_tensor(sizes.T, sizes.B, sizes.E, device=device) / sizes.E**0.5,
        [
            random_tensor(*shape, seed=seed, device=device).mul(0.3).requires_grad_()
            for seed, shape in enumerate(shapes, 1)
        ],
        random_tensor(sizes.T, sizes.B, D, seed=9, device=device),
    )


def prepare(sizes: Sizes, device: torch.device) -> Prepared:
    """Each way on the same texts: scores, a gradient, back to the parameters."""
    given = texts(sizes, device)

    def ours(x: Tensor, main: Tensor, loop: Tensor, bias: Tensor) -> Tensor:
        return rational_recurrence(x, main, loop, bias, [N] * D)[0]

    def naive(x: Tensor, main: Tensor, loop: Tensor, bias: Tensor) -> Tensor:
        return naive_rational_recurrence(x, main, loop, bias, [N] * D)[0]

    contestants = {
        REFERENCE: given.contestant(ours),
        "loop": given.contestant(with_arcs(loop)),
    }
    if sizes.T <= QUADRATIC:
        contestants["in place"] = given.contestant(with_arcs(in_place))
    if sizes.T <= MEMORY:
        contestants["scan"] = given.contestant(with_arcs(scan))
    contestants["projection"] = projection(given.x, *given.parameters[:2])
    return Prepared(contestants, lambda: given.values(naive, torch.float64))


def with_arcs(way: Way) -> Callable[..., Tensor]:
    """Vectors and parameters to scores, by a way that takes the weights of the arcs."""
    return lambda x, main, loop, bias: way(*arcs(x, main, loop, bias))


def arcs(x: Tensor, main: Tensor, loop: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """u and f, T B D N each."""
    f = torch.sigmoid(x @ loop.t() + bias)
    u = (x @ main.t()) * (1 - f)
    return u.unflatten(-1, (D, N)), f.unflatten(-1, (D, N))


def in_place(u: Tensor, f: Tensor) -> Tensor:
    """States written into slices of an array."""
    kept = [torch.zeros_like(u[..., 0]) for _ in range(N)]
    states = [torch.zeros_like(u[0, ..., 0]) for _ in range(N)]
    for t in range(len(u)):
        before: list[Tensor | float] = [1.0, *states]
        states = [states[i] * f[t, ..., i] + u[t, ..., i] * before[i] for i in range(N)]
        for i in range(N):
            kept[i][t, :, :] = states[i]
    return torch.stack(kept).sum(0)


def loop(u: Tensor, f: Tensor) -> Tensor:
    """All states of a token at once, tokens in a list."""
    c, start = torch.zeros_like(u[0]), torch.ones_like(u[0, ..., :1])
    scores = []
    for u_t, f_t in zip(u.unbind(0), f.unbind(0), strict=True):
        c = f_t * c + u_t * torch.cat([start, c[..., :-1]], -1)
        scores.append(c.sum(-1))
    return torch.stack(scores)


def scan(u: Tensor, f: Tensor) -> Tensor:
    """State by state, over time by doubling."""
    states = [torch.ones_like(u[..., 0])]
    for i in range(N):
        start = torch.ones_like if i == 0 else torch.zeros_like
        before = torch.cat([start(states[-1][:1]), states[-1][:-1]])
        a, b = f[..., i], u[..., i] * before
        shift = 1
        while shift < len(u):  # (a, b)_t after (a, b)_{t - shift}
            b = torch.cat([b[:shift], b[shift:] + a[shift:] * b[:-shift]])
            a = torch.cat([a[:shift], a[shift:] * a[:-shift]])
            shift *= 2
        states.append(b)
    return torch.stack(states[1:]).sum(0)


def projection(x: Tensor, main: Tensor, loop: Tensor) -> Contestant:
    """The four matrix products, nothing else."""
    flat = x.flatten(0, 1)
    back_u, back_f = torch.zeros(2, len(flat), D * N, device=x.device)
    products = (
        (flat, main.t()),
        (flat, loop.t()),
        (back_u.t(), flat),
        (back_f.t(), flat),
    )

    def step() -> None:
        with torch.no_grad():
            for left, right in products:
                torch.mm(left, right)

    return Contestant(step)
