"""A sweep of runs, in turn and on two workers: what a second process brings, start-up included.

Eight runs of the first part on generated text, each with a seed of its own.

- sparsecore: ``sparsecore sweep --jobs 2``, two workers of a Dask cluster on this machine.
- in turn: the same runs one after the other, in this process.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared, Values
from sparsecore.bench.suites.data import home_in
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.runs.cluster import Workers
from sparsecore.runs.sweep import run_all

RUNS = 8
TOKENS, WORDS = 40_000, 500  # of the generated text
SMALL = {"embedding_size": 4, "hidden_size": 4, "epochs": 1, "max_tokens": 3000}
LARGE = {"embedding_size": 100, "hidden_size": 100, "epochs": 9}


def cases(device: torch.device, quick: bool) -> list[Case]:
    """Runs of some ten seconds each; quick: as small as they get."""
    del device
    name = f"{RUNS} runs of the language model, {TOKENS:,} tokens"
    return [Case(name, lambda: prepare(quick), RUNS, "run", rounds=1, helpers=True)]


def prepare(quick: bool) -> Prepared:
    """Both ways in a home of their own; no run is made twice, for each has a new seed."""
    folder = tempfile.TemporaryDirectory()
    text = Path(folder.name, "text.txt")
    text.write_text("\n".join(_lines()) + "\n", encoding="utf-8")
    seeds = itertools.count(RUNS)

    def configs(sizes: dict[str, int], first: int) -> list[Emergent]:
        own = {**sizes, "corpus": str(text), "device": "cpu", "threshold": 1, "class_threshold": 1}
        runs = range(first, first + RUNS)
        return [Emergent.preset("quick", **own, seed=seed) for seed in runs]

    def contestant(name: str, workers: Workers | None) -> Contestant:
        def step() -> None:
            with home_in(folder.name):
                first = next(seeds) * RUNS
                run_all(configs(SMALL if quick else LARGE, first), workers, progress=False)

        def values() -> Values:
            with home_in(str(Path(folder.name, name))):
                runs = run_all(configs(SMALL, 0), workers, progress=False)
                return {"loss": torch.tensor([run.epochs["valid_loss"].iloc[-1] for run in runs])}

        return Contestant(step, values)

    in_turn = contestant("in turn", None)
    assert in_turn.values is not None
    contestants = {REFERENCE: contestant("workers", Workers("local", 2)), "in turn": in_turn}
    return Prepared(contestants, in_turn.values, folder.cleanup)


def _lines(width: int = 20) -> Iterator[str]:
    """Words that follow Zipf's law."""
    random = np.random.default_rng(0)
    ranks = np.exp(random.random((TOKENS // (width + 1), width)) * np.log(WORDS)).astype(int)
    for row in ranks:
        yield " ".join(f"w{rank}" for rank in row)
