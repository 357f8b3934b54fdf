"""Chi by word: how concentrated each signal is for chosen words, over training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import anywidget
import pandas as pd
import traitlets

from sparsecore.errors import InputError, near_match
from sparsecore.report.explorers.bundle import module, style
from sparsecore.report.explorers.numbers import in_steps
from sparsecore.report.figures.style import LAYER_NAMES
from sparsecore.stats.tables import rows_where
from sparsecore.stats.two_level import interval_of_runs

STEP = 1e-4  # chi is carried in whole steps of this size
EXPOSED = "chi_lstm2_gradient_target"
NEEDED = ("word", "frequency", "word_class", "sample", "epoch")


class ChiExplorer(anywidget.AnyWidget):
    """Pick words; see chi of a signal over the epochs and against the words' frequency.

    Args:
        trajectories: one row a word and epoch: word, frequency, word_class, sample (in the samples
            matched in frequency), epoch, and a column ``chi_LAYER_SIGNAL_ROLE`` for each signal.
        words: those shown at first.
        signal: the column shown at first.
        width: units of the layers, D, for the least possible chi, 1/√D; None if unknown.
        last: one row for every word of the run in the last epoch, columns as in ``trajectories``
            (no sample, no epoch); None if those in ``trajectories`` are all.
        exposure: chi of the h² gradient by target word for every word and epoch: word, epoch, chi.
            None, or without some of the words: of those in ``trajectories`` alone.
        correlations: ρ of the run or runs: seed, epoch, layer, signal, role, value, method, rho,
            low, high, words; the method ``pearson_log`` is told. None leaves it out.

    Attributes:
        words, signal, epoch, matched: what is shown, to read and to set. Epoch -1 is the last.
        low, high: range of frequency whose ρ is told; 0 leaves an end open.

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
    low = traitlets.Int(0).tag(sync=True)
    high = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        trajectories: pd.DataFrame,
        words: Sequence[str] = ("the", "of", "and"),
        signal: str = EXPOSED,
        width: int | None = None,
        last: pd.DataFrame | None = None,
        correlations: pd.DataFrame | None = None,
        exposure: pd.DataFrame | None = None,
    ) -> None:
        data = explorer_data(trajectories, width, last, correlations, exposure)
        if signal not in data["last"]:
            raise InputError(f"signal: {signal!r} is unknown{near_match(signal, data['last'])}")
        super().__init__(data=data, words=list(words), signal=signal)


def explorer_data(
    trajectories: pd.DataFrame,
    width: int | None = None,
    last: pd.DataFrame | None = None,
    correlations: pd.DataFrame | None = None,
    exposure: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """What the browser needs, as small as it can be: see :class:`ChiExplorer`.

    ``words`` stand by descending frequency; ``followed`` are the rows of those of which every epoch
    is known. ``over`` has chi of these by epoch, of the signals in ``complete`` chi of all words;
    ``last`` has that of all words in the last epoch.
    """
    missing = [column for column in NEEDED if column not in trajectories.columns]
    if missing:
        raise InputError(f"the table of trajectories has no column {missing[0]!r}")
    epochs = sorted(int(epoch) for epoch in trajectories["epoch"].unique())
    ends = trajectories[trajectories["epoch"] == epochs[-1]]
    described = ends if last is None else last
    described = described.sort_values(["frequency", "word"], ascending=[False, True])
    described = described.set_index("word")
    followed = described.index[described.index.isin(trajectories["word"])]
    sample = described.index.isin(trajectories.loc[trajectories["sample"].astype(bool), "word"])
    signals = [str(name) for name in trajectories.columns if str(name).startswith("chi_")]
    over = {}
    for name in signals:
        wide = trajectories.pivot(index="word", columns="epoch", values=name)
        over[name] = in_steps(wide.loc[followed, epochs], STEP)
    complete = exposure is not None and described.index.isin(exposure["word"]).all()
    if exposure is not None and complete:
        wide = exposure.pivot(index="word", columns="epoch", values="chi")
        over[EXPOSED] = in_steps(wide.reindex(described.index)[epochs], STEP)
    return {
        "words": described.index.tolist(),
        "frequency": described["frequency"].astype(int).tolist(),
        "word_class": described["word_class"].astype(str).tolist(),
        "sample": sample.astype(int).tolist(),
        "complete": [EXPOSED] if complete else [],
        "followed": described.index.get_indexer(followed).tolist(),
        "epochs": epochs,
        "signals": [[name, signal_name(name)] for name in signals],
        "step": STEP,
        "over": over,
        "last": {name: in_steps(described[name], STEP) for name in signals},
        "rho": {} if correlations is None else {n: _rho(correlations, n, epochs) for n in signals},
        "floors": {
            name: 1 / math.sqrt(width) if width and "softmax" not in name else None
            for name in signals
        },
    }


def _rho(
    correlations: pd.DataFrame, column: str, epochs: Sequence[int]
) -> list[list[float] | None]:
    """By epoch: ρ, the ends of its interval over seeds and words, and over how many words."""
    _, layer, signal, role = column.split("_")
    table = rows_where(
        correlations, method="pearson_log", layer=layer, signal=signal, role=role, value="chi"
    )
    known = {}
    for epoch, rows in table.dropna(subset=["rho"]).groupby("epoch"):  # no ρ of a constant
        ends = interval_of_runs(rows, "rho", "low", "high")
        known[epoch] = [*(round(end, 4) for end in ends), float(rows["words"].max())]
    return [known.get(epoch) for epoch in epochs]


def signal_name(column: str) -> str:
    """A column in words.

    >>> signal_name("chi_lstm2_gradient_target")
    'upper LSTM gradient, by target word'
    """
    _, layer, signal, role = column.split("_")
    return f"{LAYER_NAMES.get(layer, layer)} {signal}, by {role} word"
