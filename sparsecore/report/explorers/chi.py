"""Chi by word: how concentrated each signal is for chosen words, over training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import pandas as pd
import traitlets

from sparsecore.errors import InputError, near_match
from sparsecore.report.explorers.bundle import module, style
from sparsecore.report.figures.style import LAYER_NAMES

SCALE = 10_000  # chi is carried as whole numbers of 1e-4, -1 where a word was not met


class ChiExplorer(anywidget.AnyWidget):
    """Pick words; see chi of a signal over the epochs and against the words' frequency.

    Args:
        trajectories: one row a word and epoch: word, frequency, word_class, sample (in the samples
            matched in frequency), epoch, and a column ``chi_LAYER_SIGNAL_ROLE`` for each signal.
        words: those shown at first.
        signal: the column shown at first.
        width: units of the layers, D, for the least possible chi, 1/√D; None if unknown.

    Attributes:
        words, signal, epoch, matched: what is shown, to read and to set. Epoch -1 is the last.

    Raises:
        InputError: a column is missing, or ``signal`` is not one of them.

    Source: Saphra & Lopez 2019, Figs. 2 and 5.
    """

    _esm = module("chi.js")
    _css = style("explorer.css")

    data = traitlets.Dict().tag(sync=True)
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    signal = traitlets.Unicode().tag(sync=True)
    epoch = traitlets.Int(-1).tag(sync=True)
    matched = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        trajectories: pd.DataFrame,
        words: Sequence[str] = ("the", "of", "and"),
        signal: str = "chi_lstm2_gradient_target",
        width: int | None = None,
    ) -> None:
        data = explorer_data(trajectories, width)
        if signal not in data["chi"]:
            raise InputError(f"signal: {signal!r} is unknown{near_match(signal, data['chi'])}")
        super().__init__(data=data, words=list(words), signal=signal)


def explorer_data(trajectories: pd.DataFrame, width: int | None = None) -> dict[str, Any]:
    """What the browser needs, as small as it can be: see :class:`ChiExplorer`."""
    needed = ["word", "frequency", "word_class", "sample", "epoch"]
    missing = [column for column in needed if column not in trajectories.columns]
    if missing:
        raise InputError(f"the table of trajectories has no column {missing[0]!r}")
    table = trajectories.sort_values(["frequency", "word", "epoch"], ascending=[False, True, True])
    described = table.drop_duplicates("word").set_index("word")
    epochs = sorted(int(epoch) for epoch in table["epoch"].unique())
    signals = [str(column) for column in table.columns if str(column).startswith("chi_")]
    chi: dict[str, Any] = {}
    for name in signals:
        wide = table.pivot(index="word", columns="epoch", values=name)
        grid = wide.loc[described.index, epochs].to_numpy(dtype=np.float64)
        whole = np.where(np.isnan(grid), -1, np.rint(grid * SCALE)).astype(int)
        chi[name] = {"values": whole.ravel().tolist(), "scale": SCALE}
    return {
        "words": described.index.tolist(),
        "frequency": described["frequency"].astype(int).tolist(),
        "word_class": described["word_class"].astype(str).tolist(),
        "sample": described["sample"].astype(bool).tolist(),
        "epochs": epochs,
        "signals": [[name, signal_name(name)] for name in signals],
        "chi": chi,
        "floors": {
            name: 1 / math.sqrt(width) if width and "softmax" not in name else None
            for name in signals
        },
    }


def signal_name(column: str) -> str:
    """A column in words.

    >>> signal_name("chi_lstm2_gradient_target")
    'upper LSTM gradient, by target word'
    """
    _, layer, signal, role = column.split("_")
    return f"{LAYER_NAMES.get(layer, layer)} {signal}, by {role} word"
