"""Train one: a small language model that learns in the page, with the optimiser as a switch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets

from sparsecore.errors import InputError
from sparsecore.report.explorers.bundle import module, style, worker
from sparsecore.report.explorers.numbers import LARGEST, unsigned

OPTIMISERS = ["sgd-20", "sgd-5", "sgd-1", "adam-0.01", "adam-0.002"]


class TrainingExplorer(anywidget.AnyWidget):
    """Train a small LSTM language model in the browser; watch loss and ρ while it learns.

    embedding (V, H) → LSTM (H) → linear (V) → softmax, on B parallel columns of the text, T steps
    of backpropagation through time, from the start again at the text's end. ρ is Pearson's
    correlation, over words, of χ of the upward gradient Wᵀ(p − onehot(y)) by target word with log
    frequency.

    Args:
        ids: the text, a word id each.
        words: the word of each id; ``<eos>``, the end of a sentence, is one of them.
        hidden_size: H, of the embedding too.
        batch_size, sequence_length: B and T.
        updates: how long a run trains.
        clip: largest ℓ2 norm of the whole gradient.

    Attributes:
        optimiser: of the next run, with its learning rate: ``sgd-20``, ``sgd-5``, ``sgd-1``,
            ``adam-0.01`` or ``adam-0.002``.
        seed: of the next run's initial weights.
        curves: of the finished runs, to read: optimiser, seed, reports (update, loss, rho).

    Raises:
        InputError: no ``<eos>``, ids that are not those of ``words``, or a text that is too short.

    Source: the model of Saphra & Lopez 2019, §3, with one layer; their optimiser is ``sgd-20``.
    """

    _esm = module("train.js")
    _css = style("explorer.css")
    _worker = traitlets.Unicode(worker("train_worker.js")).tag(sync=True)

    data = traitlets.Dict().tag(sync=True)
    optimiser = traitlets.Enum(OPTIMISERS, "sgd-20").tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    curves = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(
        self,
        ids: Sequence[int],
        words: Sequence[str],
        *,
        hidden_size: int = 32,
        batch_size: int = 10,
        sequence_length: int = 20,
        updates: int = 2000,
        clip: float = 0.25,
    ) -> None:
        values = np.asarray(ids)
        if "<eos>" not in words or len(words) > LARGEST:
            raise InputError(f"words must hold '<eos>' and at most {LARGEST:,} words")
        least = batch_size * (sequence_length + 1)
        if len(values) < least:
            raise InputError(f"ids has {len(values)} words, too few: it needs at least {least}")
        if values.min() < 0 or values.max() >= len(words):
            raise InputError(
                f"ids must lie between 0 and {len(words) - 1}, the number of words minus 1"
            )
        sizes: dict[str, Any] = {"E": hidden_size, "H": hidden_size}
        sizes |= {"B": batch_size, "T": sequence_length, "updates": updates, "clip": clip}
        data = {
            "ids": unsigned(values),
            "words": list(words),
            "eos": list(words).index("<eos>"),
            "settings": sizes,
        }
        super().__init__(data=data)
