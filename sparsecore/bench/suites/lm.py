"""One training step of the language model of Saphra & Lopez 2019: what do all the statistics cost?

- sparsecore: chi and ℓ1 of all seven signals, summed per word as input and as target.
- plain: the same model with all logits at once and ``F.cross_entropy``; no statistics.
- by hand: the plain step with ``retain_grad`` and a Python dictionary of words.
- chunked by PyTorch: ``F.linear_cross_entropy`` where this PyTorch has it; no statistics.

On a GPU sparsecore's step is replayed as the experiment does it, from one CUDA graph, and there are

- eager: sparsecore's step, made from Python.
- plain, replayed: the plain step as a CUDA graph.

and the step of language modelling at random lengths (:mod:`~sparsecore.bench.suites.lm_windows`).

Forward, backward, clipping and SGD. Memory: of the largest tensor with a vocabulary axis; none is
seen in a graph.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.bench.case import REFERENCE, Case, Prepared, Values
from sparsecore.bench.suites import lm_windows
from sparsecore.bench.suites.lm_replayed import plain_replayed, replayed
from sparsecore.bench.suites.lm_steps import (
    Sizes,
    by_hand,
    by_hand_values,
    text,
    tracked,
    untracked,
    untrained,
)
from sparsecore.models.language_model import LSTMLanguageModel


def cases(device: torch.device, quick: bool) -> list[Case]:
    """The paper's sizes; quick: 50 words."""
    sizes = Sizes(50, 3, 4, 8) if quick else Sizes()
    name = f"V {sizes.V}, T {sizes.T}, B {sizes.B}, 2 × {sizes.D}"
    tokens = sizes.T * sizes.B
    one = Case(
        name, lambda: prepare(sizes, device), tokens, "token", sizes.flops(), watched=sizes.V
    )
    return [one, *(lm_windows.cases(device, quick) if device.type == "cuda" else [])]


def prepare(sizes: Sizes, device: torch.device) -> Prepared:
    """Models of their own with equal weights, on the same text."""
    ids = text(sizes, device)
    inputs, targets = ids[:-1], ids[1:]
    model = partial(untrained, sizes, device)

    def plain(model: LSTMLanguageModel) -> Tensor:
        logits = model.logits(model(inputs)[0])
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def chunked(model: LSTMLanguageModel) -> Tensor:
        hidden = model(inputs)[0].flatten(0, 1)
        weight, bias = model.decoder.weight, model.decoder.bias
        options = nn.LinearCrossEntropyOptions()
        words = targets.flatten()
        return F.linear_cross_entropy(hidden, weight, words, linear_bias=bias, options=options)

    def truth() -> Values:
        return by_hand_values(model().double(), inputs, targets)

    contestants = {
        REFERENCE: tracked(model(), ids),
        "plain": untracked(model(), plain),
        "by hand": by_hand(model(), inputs, targets),
    }
    if hasattr(nn, "LinearCrossEntropyOptions"):
        contestants["chunked by PyTorch"] = untracked(model(), chunked)
    if device.type == "cuda":
        contestants["eager"] = contestants[REFERENCE]
        contestants[REFERENCE] = replayed(model(), ids)
        contestants["plain, replayed"] = plain_replayed(model(), ids)
    return Prepared(contestants, truth)
