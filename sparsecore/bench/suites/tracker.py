"""A training step of a small Transformer under ``sc.track``: what do its hooks cost?

- sparsecore: chi and ℓ1 of activations and gradients, by word as input and as target; the values
  of many steps are held (8 bytes a position and signal) and summed together.
- summed at every step: the same, with the sums brought up to date after each.
- untracked: the step alone.
- hooks that keep tensors: outputs in a list with ``retain_grad``, and chi of all of them, summed
  by word, after the backward pass.

Forward, backward, clipping and SGD. 16 layers are the blocks and what the last layers of their MLPs
read; all of them is every module but the model itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared, Values
from sparsecore.bench.suites.lm_steps import loss_and_gradients, named, updater
from sparsecore.measure.chi import chi
from sparsecore.measure.tracker import Tracker, track
from sparsecore.ops.word_sums import means, unpack

SIXTEEN = ("blocks.?", "blocks.?.down:input")
ALL = ("*",)
Finish = Callable[[Tensor], Any]


class Block(nn.Module):
    """Causal attention and an MLP, each behind its norm and around a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.act, self.down = (
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(self.act(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Eight blocks of width D over V words."""

    def __init__(self, V: int, D: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, D)
        self.blocks = nn.ModuleList(Block(D, 4) for _ in range(8))
        self.head = nn.Linear(D, V)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (B, T) -> logits (B, T, V)."""
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def cases(device: torch.device, quick: bool) -> list[Case]:
    """16 layers, and all; quick: 50 words."""
    V, B, T, D = (50, 2, 5, 8) if quick else (8192, 8, 128, 256)
    flops = 6.0 * B * T * (8 * 12 * D * D + D * V)
    return [
        Case(
            f"{name}, V {V}, B {B}, T {T}, D {D}",
            partial(prepare, layers, (V, B, T, D), device),
            B * T,
            "token",
            flops,
        )
        for name, layers in (("16 layers", SIXTEEN), ("all 66 layers", ALL))
    ]


def prepare(
    layers: tuple[str, ...], sizes: tuple[int, int, int, int], device: torch.device
) -> Prepared:
    """Models of their own with equal weights, on the same text."""
    V, B, T, D = sizes
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(V, (B, T + 1), generator=generator).to(device)

    def model() -> Transformer:
        torch.manual_seed(0)
        return Transformer(V, D).to(device)

    def loss(net: Transformer) -> Tensor:
        return F.cross_entropy(net(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    plain = model()
    update = updater(plain)
    blocks = ExitStack()
    tracked = partial(_tracked, blocks, layers=layers, ids=ids, loss=loss)
    return Prepared(
        {
            REFERENCE: tracked(model(), each=False),
            "summed at every step": tracked(model(), each=True),
            "untracked": Contestant(
                lambda: update(loss(plain)), lambda: loss_and_gradients(plain, loss(plain))
            ),
            "hooks that keep tensors": _kept(model(), layers, ids, loss),
        },
        lambda: _kept(model().double(), layers, ids, loss).values(),  # pyrefly: ignore[not-callable]
        blocks.close,
    )


def _tracked(
    blocks: ExitStack,
    model: Transformer,
    layers: tuple[str, ...],
    ids: Tensor,
    loss: Any,
    each: bool,
) -> Contestant:
    tracker = blocks.enter_context(track(model, layers))  # once, as for an epoch
    update = updater(model)

    def one(finish: Finish) -> Any:
        tracker.words(input_ids=ids[:, :-1], target_ids=ids[:, 1:])
        result = finish(loss(model))
        if each:
            tracker.sums  # noqa: B018
        return result

    def values() -> Values:
        found = one(lambda value: loss_and_gradients(model, value))
        sums = _sums_of(tracker, model.head.out_features)
        tracker.sums.clear()
        return found | named(sums)

    return Contestant(lambda: one(update), values)


def _sums_of(tracker: Tracker, V: int) -> dict[tuple[str, str, str], Tensor]:
    """Sum of chi of each word, from the sums of those that occur."""
    found = {}
    for key, sums in tracker.sums.items():
        words, own = unpack(sums)
        mean, _, count = means(own)
        whole = torch.zeros(V, dtype=mean.dtype, device=mean.device)
        whole[words] = torch.where(count > 0, mean * count, 0)
        found[key] = whole
    return found


def _kept(model: Transformer, layers: tuple[str, ...], ids: Tensor, loss: Any) -> Contestant:
    names = track(model, layers).layers
    kept: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, inputs: Any, output: Any = None) -> None:
        kept[name] = inputs[0] if output is None else output
        kept[name].retain_grad()

    for name, module in names.items():
        if name.endswith(":input"):
            module.register_forward_pre_hook(partial(keep, name))
        else:
            module.register_forward_hook(partial(keep, name))
    update = updater(model)
    totals: dict[tuple[str, str, str], Tensor] = {}

    def one(finish: Finish) -> Any:
        result = finish(loss(model))
        for name, tensor in kept.items():
            for signal, vectors in (("activation", tensor.detach()), ("gradient", tensor.grad)):
                assert vectors is not None
                values = chi(vectors).flatten().nan_to_num()
                for role, words in (("input", ids[:, :-1]), ("target", ids[:, 1:])):
                    empty = values.new_zeros(model.head.out_features)
                    total = totals.setdefault((name, signal, role), empty)
                    total.index_add_(0, words.flatten(), values)
        kept.clear()
        return result

    def values() -> Values:
        totals.clear()
        found = one(lambda value: loss_and_gradients(model, value))
        return found | named(totals)

    return Contestant(lambda: one(update), values)
