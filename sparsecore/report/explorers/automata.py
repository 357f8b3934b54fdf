"""The automata reader: what learned automata look for in a text, and what pruning leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from sparsecore.errors import InputError
from sparsecore.report.explorers.bundle import module, style
from sparsecore.report.explorers.numbers import packed


class AutomataReader(anywidget.AnyWidget):
    """Type a text; see which words each automaton takes or skips, and its part in the decision.

    A slider removes states by their group norm, as pruning does.

    Args:
        lengths: transitions of each of the D automata; S in all.
        main, loop: (S, E) weights of the layer; bias: (S,).
        norms: (S,) group norm of each state.
        weight: (D,) what a score adds to the logit of the second label over the first.
        offset: what is added whatever the scores are.
        labels: names of the first and the second label.
        vectors: the vector (E,) of each word that can be read, those at either end of a text
            (``<s>``, ``</s>``) too if the model reads them.
        samples: texts to pick, each with its label: ``[{"label": …, "text": …}]``, words apart.
        threshold: the pruning shown at first.
        phrases: of each automaton, of each of its states, phrases that score highest in a corpus;
            shown beside an automaton are those of the last state that pruning leaves.

    Attributes:
        text, threshold: what is shown; they can be read and set.

    Raises:
        InputError: sizes that do not fit, or no words.

    Source: Dodge et al. 2019, §4, Figs. 1 and 2, Table 1.
    """

    _esm = module("automata.js")
    _css = style("explorer.css")

    data = traitlets.Dict().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    threshold = traitlets.Float(0.1).tag(sync=True)

    def __init__(
        self,
        lengths: Sequence[int],
        main: NDArray[Any],
        loop: NDArray[Any],
        bias: NDArray[Any],
        norms: NDArray[Any],
        weight: NDArray[Any],
        offset: float,
        labels: Sequence[str],
        vectors: dict[str, NDArray[Any]],
        samples: Sequence[dict[str, str]] = (),
        threshold: float = 0.1,
        phrases: Sequence[Sequence[Sequence[str]]] = (),
    ) -> None:
        S = sum(lengths)
        given = {"main": len(main), "loop": len(loop), "bias": len(bias), "norms": len(norms)}
        for name, rows in given.items():
            if rows != S:
                raise InputError(f"{name} must have a row for each of {S} states, got {rows}")
        if len(weight) != len(lengths):
            raise InputError(f"weight must have {len(lengths)} numbers, got {len(weight)}")
        if phrases and [len(states) for states in phrases] != list(lengths):
            raise InputError(f"phrases must have a list for each of {S} states")
        if not vectors:
            raise InputError("vectors must hold the vector of at least one word")
        table = np.stack(list(vectors.values()))
        if table.shape[1] != main.shape[1]:
            raise InputError(
                f"vectors must have {main.shape[1]} numbers a word, got {table.shape[1]}"
            )
        data = {
            "lengths": [int(length) for length in lengths],
            "width": int(main.shape[1]),
            "main": packed(main),
            "loop": packed(loop),
            "bias": [float(value) for value in bias],
            "norms": [float(value) for value in norms],
            "weight": [float(value) for value in weight],
            "offset": float(offset),
            "labels": list(labels),
            "words": list(vectors),
            "vectors": packed(table),
            "samples": [dict(sample) for sample in samples],
            "phrases": [[list(state) for state in automaton] for automaton in phrases],
        }
        text = samples[0]["text"] if samples else ""
        super().__init__(data=data, text=text, threshold=threshold)
