"""How time and memory grow with each size, all others fixed: points for a curve.

Only this library takes part. Each axis has sizes that double or quadruple; what is fitted to them
(:func:`sparsecore.stats.growth.exponent`) says whether doubling the size doubles the time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared, Values
from sparsecore.bench.suites import embedding, lm_steps, lstm, rational
from sparsecore.data.encode import encode_file, new_index
from sparsecore.layers.sparse_rnn import SparseLSTM
from sparsecore.training.batches import columns, num_windows, window

MIB = 1 << 20
WORD_LENGTHS = (2, 9)  # letters of a generated word
BATCH, STEPS = 40, 35  # of the windows that a corpus is read in
WIDTH = 960  # units of the LSTM that is cut into blocks
FEASIBLE = 10_000_000  # logits of the naive language model

VOCABULARIES = (1000, 4000, 16_000, 64_000, 256_000, 1_000_000)
TIMES = (50, 200, 800, 3200, 10_000)
CORPORA = (1_000_000, 4_000_000, 16_000_000, 64_000_000, 200_000_000)
ONCE = 10_000_000  # tokens from which a text is prepared a single time


@dataclass(frozen=True)
class Axis:
    """One size that grows: what is made of it, its values, and few small ones."""

    prepare: Callable[[int, torch.device], Prepared]
    sizes: Sequence[int]
    quick: Sequence[int]
    item: str  # token: the size counts them; step: it does not


def cases(device: torch.device, quick: bool) -> list[Case]:
    """A case for each size of each axis."""
    return [
        _case(name, axis, size, device)
        for name, axis in AXES.items()
        for size in (axis.quick if quick else axis.sizes)
    ]


def _case(name: str, axis: Axis, size: int, device: torch.device) -> Case:
    return Case(
        f"{name}: {size:,}",
        lambda: axis.prepare(size, device),
        size if axis.item == "token" else 1,
        axis.item,
        rounds=1 if axis.prepare is _text and size > ONCE else None,
        helpers=axis.prepare is _text,
        axis=name,
        size=size,
    )


def _own(prepared: Prepared) -> Prepared:
    """Without the other contestants."""
    return Prepared({REFERENCE: prepared.contestants[REFERENCE]}, prepared.truth, prepared.close)


def _model(sizes: lm_steps.Sizes, device: torch.device) -> Prepared:
    """A training step with every statistic; held against the naive one where that is feasible."""
    ids = lm_steps.text(sizes, device)
    ours = lm_steps.tracked(lm_steps.untrained(sizes, device), ids)
    if sizes.V * sizes.T * sizes.B > FEASIBLE:
        ours = Contestant(ours.step)

    def truth() -> Values:
        exact = lm_steps.untrained(sizes, device).double()
        return lm_steps.by_hand_values(exact, ids[:-1], ids[1:])

    return Prepared({REFERENCE: ours}, truth)


def _blocks(num_blocks: int, device: torch.device) -> Prepared:
    """960 → 960 units in so many blocks, each of which sees its own share of the inputs."""
    torch.manual_seed(0)
    layer = SparseLSTM(WIDTH, WIDTH, num_blocks, 1 / num_blocks, device=device)

    def call(x: Tensor) -> Tensor:
        return layer(x)[0]

    def truth() -> Values:
        exact = layer.to_dense().double()
        return lstm.values(layer, exact, lambda x: exact(x)[0])

    ours = Contestant(
        lstm.timed(layer, call, WIDTH, WIDTH), lambda: lstm.values(layer, layer, call)
    )
    return Prepared({REFERENCE: ours}, truth)


def _text(tokens: int, _device: torch.device) -> Prepared:
    """A file of words drawn by Zipf's law to a file of ids."""
    folder = tempfile.TemporaryDirectory()
    text, ids = Path(folder.name, "text.txt"), Path(folder.name, "text.ids")
    with open(text, "w", encoding="utf-8") as sink:
        sink.writelines(_lines(tokens))

    def step() -> None:
        encode_file(text, new_index(), ids, form="lines")

    return Prepared({REFERENCE: Contestant(step)}, dict, folder.cleanup)


def _lines(tokens: int, width: int = 20) -> Iterator[str]:
    """Lines of ``width`` words; with the end of each, so many tokens in all."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(
        ["".join(random.choice(letters, random.integers(*WORD_LENGTHS))) for _ in range(20_000)]
    )
    for start in range(0, tokens // (width + 1), 10_000):
        lines = min(10_000, tokens // (width + 1) - start)
        drawn = np.exp(random.random((lines, width)) * np.log(len(words))).astype(int) - 1
        for row in words[drawn]:
            yield " ".join(row) + "\n"


def _windows(tokens: int, _device: torch.device) -> Prepared:
    """All windows of a corpus that lies on the disk."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "corpus.npy")
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.int32, shape=(tokens,))
    for start in range(0, tokens, MIB):
        made[start : start + MIB] = np.arange(start, min(start + MIB, tokens)) % 1000
    made.flush()
    del made
    cpu = torch.device("cpu")

    def step() -> int:
        text = columns(np.load(path, mmap_mode="c", allow_pickle=False), BATCH)
        return sum(
            window(text, index, STEPS, cpu)[1].numel() for index in range(num_windows(text, STEPS))
        )

    def values() -> Values:
        return {"targets": torch.tensor(step())}

    def truth() -> Values:
        return {"targets": torch.tensor((tokens // BATCH - 1) * BATCH)}

    return Prepared({REFERENCE: Contestant(step, values)}, truth, folder.cleanup)


AXES = {
    "vocabulary of the language model": Axis(
        lambda size, device: _model(lm_steps.Sizes(size, 8, 10, 64), device),
        VOCABULARIES,
        (20, 40),
        "step",
    ),
    "tokens in a window of the language model": Axis(
        lambda size, device: _model(lm_steps.Sizes(5000, 1, size, 64), device),
        TIMES,
        (4, 8),
        "token",
    ),
    "width of the language model": Axis(
        lambda size, device: _model(lm_steps.Sizes(5000, 20, 20, size), device),
        (50, 100, 200, 400, 800, 1600),
        (4, 8),
        "step",
    ),
    "blocks of the sparse LSTM": Axis(_blocks, (1, 2, 4, 8, 16, 32), (24, 48), "step"),
    "vocabulary of the sparse embedding": Axis(
        lambda size, device: _own(embedding.prepare(embedding.Geometry(size, 40, 0.1, 10), device)),
        VOCABULARIES,
        (20, 40),
        "step",
    ),
    "tokens of the rational RNN": Axis(
        lambda size, device: _own(rational.prepare(rational.Sizes(size), device)),
        TIMES,
        (4, 8),
        "token",
    ),
    "tokens of a text that is prepared": Axis(_text, CORPORA, (2000, 4000), "token"),
    "tokens of a corpus that is read in windows": Axis(_windows, CORPORA, (4000, 8000), "token"),
}
