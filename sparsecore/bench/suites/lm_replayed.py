"""The steps of suite ``lm`` as CUDA graphs, recorded by what records those of the experiment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparsecore.bench.case import Contestant, Values
from sparsecore.bench.suites.lm_steps import CLIP, named, no_dropout, take_gradients, word_sums
from sparsecore.experiments.emergent.task import gradients, update
from sparsecore.measure.tracker import track
from sparsecore.models.language_model import LSTMLanguageModel, State, detach
from sparsecore.training.graphs import Compute, StaticStep, recorded, zero_state

Sums = Callable[[], Mapping[Any, Tensor]]


def replayed(model: LSTMLanguageModel, ids: Tensor) -> Contestant:
    """The step of the experiment, with all statistics; ``ids`` (T + 1, B) are its window."""
    words = [str(word) for word in range(model.decoder.out_features)]
    tracker = track(model, model.signals, vocabulary=words, dense=True)

    def compute(inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        with tracker:
            return gradients(model, tracker, inputs, targets, state, targets.numel())

    def values() -> Values:
        found = replayed_values(model, ids, compute, lambda: tracker.sums)
        sums = word_sums(tracker)
        tracker.sums.clear()
        return {**found, **named(sums)}

    return Contestant(replayed_step(model, ids, compute, lambda: tracker.sums), values)


def plain_replayed(model: LSTMLanguageModel, ids: Tensor) -> Contestant:
    """The plain step, without statistics."""

    def compute(inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        model.zero_grad(set_to_none=True)
        hidden, after = model(inputs, state)
        loss = F.cross_entropy(model.logits(hidden).flatten(0, 1), targets.flatten())
        loss.backward()
        return loss.detach(), detach(after)

    return Contestant(
        replayed_step(model, ids, compute, dict), lambda: replayed_values(model, ids, compute, dict)
    )


def replayed_step(
    model: LSTMLanguageModel, ids: Tensor, compute: Compute, sums: Sums
) -> Callable[[], None]:
    """A step with its update, recorded at the first call: always the same window of text."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)

    def with_update(inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        result = compute(inputs, targets, state)
        update(model, optimizer, CLIP, 1.0)
        return result

    replay: list[Callable[[], object]] = []

    def step() -> None:
        if not replay:
            replay.append(record(model, ids, with_update, sums)[1])
        replay[0]()

    return step


def replayed_values(
    model: LSTMLanguageModel, ids: Tensor, compute: Compute, sums: Sums
) -> dict[str, Tensor]:
    """Loss and gradients of one replay, without dropout."""
    with no_dropout(model):
        static, replay = record(model, ids, compute, sums)
        replay()
    return {"loss": static.losses[0].clone(), **take_gradients(model)}


def record(
    model: LSTMLanguageModel, ids: Tensor, compute: Compute, sums: Sums
) -> tuple[StaticStep, Callable[[], object]]:
    """The step over ``ids`` from its beginning, and what replays it; itself where that fails.

    Args:
        sums: what ``compute`` changes beside the model.
    """
    static = StaticStep(ids, len(ids) - 1, zero_state(model, ids.shape[1]), compute)

    def step() -> None:
        static.seek(0)
        static()

    def tensors() -> dict[Any, Tensor]:
        return {**model.state_dict(), **sums(), **static.tensors()}

    return static, recorded(step, tensors, ids.device) or step
