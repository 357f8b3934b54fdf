"""The inner loops of the compiled plus-times recurrence: one chunk of time, every WFSA.

Plain Python over NumPy arrays that Numba turns into vector code: the innermost loop always runs
over the B texts, whose numbers lie side by side. States are in the caller's order, WFSA by WFSA:
those of automaton d are the rows ``starts[d]`` to ``starts[d + 1]``.
"""

from __future__ import annotations

import numpy as np

from sparsecore.ops.compilers import jit


@jit
def run(
    main: np.ndarray,
    gate: np.ndarray,
    weights: np.ndarray,
    starts: np.ndarray,
    fixed: np.ndarray,
    c: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Fill ``c[:, 1:]`` and ``scores``.

    main, gate: S k B, the products x·main and the sigmoids.
    weights: S, of the states in the scores.
    fixed: D, whether the last state's self-loop is 1.
    c: S k+1 B, with the states before the chunk at 0.
    scores: k D B.
    """
    steps, B = main.shape[1], main.shape[2]
    one = main.dtype.type(1)
    for d in range(len(fixed)):
        first, last = starts[d], starts[d + 1] - 1
        for t in range(steps):
            score = scores[t, d]
            score[:] = 0
            for s in range(first, last + 1):
                m, f, old, new = main[s, t], gate[s, t], c[s, t], c[s, t + 1]
                weight = weights[s]
                stays = fixed[d] and s == last
                if s == first:
                    for b in range(B):
                        stay = one if stays else f[b]
                        value = stay * old[b] + m[b] * (one - f[b])
                        new[b] = value
                        score[b] += weight * value
                else:
                    before = c[s - 1, t]
                    for b in range(B):
                        stay = one if stays else f[b]
                        value = stay * old[b] + m[b] * (one - f[b]) * before[b]
                        new[b] = value
                        score[b] += weight * value


@jit
def run_backward(
    main: np.ndarray,
    gate: np.ndarray,
    weights: np.ndarray,
    starts: np.ndarray,
    fixed: np.ndarray,
    c: np.ndarray,
    own: np.ndarray,
    returning: np.ndarray,
    gradient: np.ndarray,
    weighted: bool,
    grad_weights: np.ndarray,
) -> None:
    """The backward pass of :func:`run`.

    own: k D B, the gradient of the scores.
    returning: S B, what comes back to the states after the chunk; replaced by what goes back to
        those before it.
    gradient: 2 S k B, filled with the gradients of x·main and of x·loop + bias.
    weighted: whether the gradient of ``weights`` is wanted.
    grad_weights: S B, to which it is added, text by text.
    """
    steps, B = main.shape[1], main.shape[2]
    one = main.dtype.type(1)
    for d in range(len(fixed)):
        first, last = starts[d], starts[d + 1] - 1
        for t in range(steps - 1, -1, -1):
            score = own[t, d]
            for s in range(first, last + 1):
                f, back = gate[s, t], returning[s]
                old, new = c[s, t], c[s, t + 1]
                by_main, by_loop = gradient[0, s, t], gradient[1, s, t]
                weight = weights[s]
                for b in range(B):
                    g = back[b] + weight * score[b]
                    by_loop[b] = g * f[b] * (old[b] - new[b])
                    by_main[b] = g * (one - f[b])
                    back[b] = g * f[b]
                if fixed[d] and s == last:
                    for b in range(B):
                        back[b] += by_main[b]
                if s > first:
                    m, before, earlier = main[s, t], c[s - 1, t], returning[s - 1]
                    for b in range(B):
                        earlier[b] += m[b] * by_main[b]
                        by_main[b] *= before[b]
                if weighted:
                    by_weight = grad_weights[s]
                    for b in range(B):
                        by_weight[b] += score[b] * new[b]
