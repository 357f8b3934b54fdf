"""A sentence under the lens: chi token by token, trained against untrained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import pandas as pd
import traitlets

from sparsecore.errors import InputError
from sparsecore.report.explorers.bundle import module, style
from sparsecore.report.figures.style import LAYER_NAMES

HEADLINE = ("lstm2", "gradient")


class SentenceLens(anywidget.AnyWidget):
    """Choose a sentence; see chi of every layer's activation and gradient at each of its tokens.

    Args:
        sentences: two tables a sentence, of the trained and of the untrained network: position,
            input, target, surprisal, layer, signal, chi.

    Attributes:
        sentence: number of the one shown; view: ``trained``, ``untrained`` or ``change``.

    Raises:
        InputError: no sentence, or two tables that are not of the same one.
    """

    _esm = module("lens.js")
    _css = style("explorer.css")

    data = traitlets.Dict().tag(sync=True)
    sentence = traitlets.Int(0).tag(sync=True)
    view = traitlets.Enum(["trained", "untrained", "change"], "trained").tag(sync=True)

    def __init__(self, sentences: Sequence[tuple[pd.DataFrame, pd.DataFrame]]) -> None:
        if not sentences:
            raise InputError("the lens needs at least one sentence")
        pairs = sentences[0][0][["layer", "signal"]].drop_duplicates()
        signals = [(str(layer), str(signal)) for layer, signal in pairs.itertuples(index=False)]
        data = {
            "signals": [
                ["_".join(pair), f"{LAYER_NAMES.get(pair[0], pair[0])}, {pair[1]}"]
                for pair in signals
            ],
            "headline": signals.index(HEADLINE) if HEADLINE in signals else 0,
            "sentences": [_sentence(trained, untrained) for trained, untrained in sentences],
        }
        super().__init__(data=data)


def _sentence(trained: pd.DataFrame, untrained: pd.DataFrame) -> dict[str, Any]:
    rows = [table.drop_duplicates("position") for table in (trained, untrained)]
    tokens = [[*row["input"], row["target"].iloc[-1]] for row in rows]
    if tokens[0] != tokens[1]:
        raise InputError("the two tables of a sentence must be of the same words")
    return {
        "tokens": tokens[0],
        "surprisal": rows[0]["surprisal"].round(2).tolist(),
        "surprisal_untrained": rows[1]["surprisal"].round(2).tolist(),
        "trained": _by_signal(trained),
        "untrained": _by_signal(untrained),
    }


def _by_signal(table: pd.DataFrame) -> dict[str, list[float]]:
    ordered = table.sort_values("position", kind="stable")
    return {
        f"{layer}_{signal}": part["chi"].round(4).tolist()
        for (layer, signal), part in ordered.groupby(["layer", "signal"], sort=False)
    }
