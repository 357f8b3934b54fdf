"""Suite ``lm`` on a GPU: the step of language modelling over windows of random lengths.

The paper's AWD-LSTMs, dense and predefined-sparse, on words drawn at random: five windows, with
dropout, clipping and averaged SGD.

- sparsecore: the step of the experiment, the replay of one CUDA graph a length.
- one by one: the same step, its operations launched from Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared, Values
from sparsecore.bench.suites.lm_steps import take_gradients
from sparsecore.bench.suites.lstm import without_tf32
from sparsecore.data.vocabulary import Vocabulary
from sparsecore.experiments.language.config import Language, sparse_match
from sparsecore.experiments.language.task import Task
from sparsecore.training.windows import AFTER

LENGTHS = (70, 66, 35, 74, 70)
CHECKED = 6  # length of the window that is held against float64
WORDS = 10_000
NO_DROPOUT = dict.fromkeys(("dropout", "dropouth", "dropouti", "dropoute", "weight_drop"), 0.0)
TINY = Language(embedding_size=8, hidden_size=12, num_layers=2, batch_size=3)


def cases(device: torch.device, quick: bool) -> list[Case]:
    """Two models of the paper's sizes; quick: of a dozen units."""
    dense, words = (TINY, 50) if quick else (Language(), WORDS)
    lengths = ", ".join(map(str, LENGTHS))
    items = sum(LENGTHS) * dense.batch_size
    return [
        Case(
            f"{name} AWD-LSTM, V {words}, T {lengths}, B {dense.batch_size}",
            partial(prepare, config, words, device),
            items,
            "token",
        )
        for name, config in (("dense", dense), ("sparse", sparse_match(dense)))
    ]


def prepare(config: Language, words: int, device: torch.device) -> Prepared:
    """Models of their own with equal weights, on the same text."""
    task = partial(begun, config, words, device)

    def truth() -> Values:
        exact = task(**NO_DROPOUT)
        exact.model.double()
        text = exact.texts["train"][: CHECKED + 1]
        (loss,), _ = exact.compute(text[:-1], text[1:], None)
        return {"loss": loss, **take_gradients(exact.model)}

    contestants = {REFERENCE: contestant(task), "one by one": contestant(task, replays=False)}
    return Prepared(contestants, truth, without_tf32())


def contestant(task: Callable[..., Task], replays: bool = True) -> Contestant:
    """The step of the experiment; every length is recorded here, if any is to be."""
    timed = task()
    timed.windows.on &= replays

    def step() -> None:
        start = 0
        for length in LENGTHS:
            timed.step((start, length))
            start += length

    def values() -> Values:
        checked = task(**NO_DROPOUT)
        checked.windows.on &= replays
        for _ in range(AFTER + 1):
            checked.windows(0, CHECKED)
        checked.state.value = None
        (loss,) = checked.windows(0, CHECKED)
        return {"loss": loss, **take_gradients(checked.model)}

    if timed.windows.on:
        for _ in range(AFTER + 1):
            step()
    return Contestant(step, values)


def begun(config: Language, words: int, device: torch.device, **changes: Any) -> Task:
    """A task on words drawn at random, with the same weights every time."""
    counts = np.arange(words, 0, -1)
    text = np.random.default_rng(0).integers(0, words, config.batch_size * (sum(LENGTHS) + 1))
    vocabulary = Vocabulary([str(word) for word in range(words)], counts)
    corpus: Any = SimpleNamespace(
        name="random words", vocabulary=vocabulary, train=text, valid=text, test=text
    )
    task = Task(replace(config, **changes), corpus, Path())
    torch.manual_seed(0)
    task.build(device)
    task.optimizer.start_averaging()
    return task
