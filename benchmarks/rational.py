"""The rational recurrence, forward and backward: 24 WFSAs with 4 transitions, 64 texts.

    python -m benchmarks.rational [--times 50 100 400 1600 10000] [--input-size 50] [--device cpu]

- projection: the matrix products alone that all ways share (vectors to weights of arcs, and the
  gradients of the parameters); what the recurrence itself takes is the difference to it.
- in_place: a preallocated array of states for each transition, written token by token, as one would
  write it first; autograd copies the whole array at every token, so time grows with its square.
- loop: all WFSAs and states at once, token by token, states in a list; autograd as usual.
- scan: each state as a first-order recurrence over time, by doubling (Kogge & Stone).
- sparsecore: this package.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from benchmarks.harness import interleave, peak_memory
from sparsecore.ops.rational import rational_recurrence

B, D, N = 64, 24, 4
SLOW = 400  # tokens beyond which the quadratic way is left out

Arcs = tuple[Tensor, Tensor]


def arcs(x: Tensor, main: Tensor, loop: Tensor, bias: Tensor) -> Arcs:
    """u and f, T B D N each."""
    f = torch.sigmoid(x @ loop.t() + bias)
    u = (x @ main.t()) * (1 - f)
    return u.unflatten(-1, (D, N)), f.unflatten(-1, (D, N))


def in_place(u: Tensor, f: Tensor) -> Tensor:
    kept = [u.new_zeros(len(u), B, D) for _ in range(N)]
    states = [u.new_zeros(B, D) for _ in range(N)]
    for t in range(len(u)):
        before: list[Tensor | float] = [1.0, *states]
        states = [states[i] * f[t, ..., i] + u[t, ..., i] * before[i] for i in range(N)]
        for i in range(N):
            kept[i][t, :, :] = states[i]
    return torch.stack(kept).sum(0)


def loop(u: Tensor, f: Tensor) -> Tensor:
    c, start = u.new_zeros(B, D, N), u.new_ones(B, D, 1)
    scores = []
    for u_t, f_t in zip(u.unbind(0), f.unbind(0), strict=True):
        c = f_t * c + u_t * torch.cat([start, c[..., :-1]], -1)
        scores.append(c.sum(-1))
    return torch.stack(scores)


def scan(u: Tensor, f: Tensor) -> Tensor:
    total = before = None
    for i in range(N):
        a, b = f[..., i], u[..., i]
        if before is not None:
            b = b * torch.cat([torch.zeros_like(before[:1]), before[:-1]])
        shift = 1
        while shift < len(u):  # (a, b)_t after (a, b)_{t - shift}
            b = torch.cat([b[:shift], b[shift:] + a[shift:] * b[:-shift]])
            a = torch.cat([a[:shift], a[shift:] * a[:-shift]])
            shift *= 2
        before, total = b, (b if total is None else total + b)
    assert total is not None
    return total


def candidates(
    time: int | str = 100, input_size: int | str = 50, device: str = "cpu"
) -> dict[str, Callable[[], None]]:
    """Each way on the same text of ``time`` tokens: scores, a gradient, back to the parameters."""
    time, input_size = int(time), int(input_size)
    torch.manual_seed(0)
    x = torch.randn(time, B, input_size, device=device) / input_size**0.5
    bound = (6 / (input_size + D)) ** 0.5
    parameters = [
        torch.empty(shape, device=device).uniform_(-bound, bound).requires_grad_()
        for shape in ((D * N, input_size), (D * N, input_size), (D * N,))
    ]
    own = torch.randn(time, B, D, device=device)
    back_u, back_f = torch.randn(2, time * B, D * N, device=device)

    def step(way: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], None]:
        return lambda: way(*arcs(x, *parameters)).backward(own)

    def projection() -> None:
        main, loop, _ = parameters
        flat = x.view(time * B, input_size)
        with torch.no_grad():
            for left, right in (
                (flat, main.t()),
                (flat, loop.t()),
                (back_u.t(), flat),
                (back_f.t(), flat),
            ):
                torch.mm(left, right)

    def ours() -> None:
        rational_recurrence(x, parameters[0], parameters[1], parameters[2], [N] * D)[0].backward(
            own
        )

    ways = {"projection": projection, "sparsecore": ours, "loop": step(loop), "scan": step(scan)}
    return ways | ({"in_place": step(in_place)} if time <= SLOW else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, nargs="+", default=[50, 100, 400, 1600, 10_000])
    parser.add_argument("--input-size", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tables = {}
    for time in options.times:
        sizes = (time, options.input_size, options.device)
        ways = candidates(*sizes)
        table = interleave(ways, options.repeats, baseline="sparsecore", warm_up=1)
        shared = table["milliseconds"].to_dict()["projection"]
        table["without_projection"] = table["milliseconds"] - shared
        if options.device == "cpu":
            table["peak_mib"] = [
                peak_memory("benchmarks.rational", name, *map(str, sizes)) for name in table.index
            ]
        tables[time] = table["milliseconds"]
        print(f"T = {time}\n{table.round(2).to_string()}\n")
    print(pd.DataFrame(tables).round(2).rename_axis(columns="T").to_string())


if __name__ == "__main__":
    main()
