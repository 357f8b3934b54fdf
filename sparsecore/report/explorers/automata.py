"""The automata reader: what learned automata look for in a text, and what pruning leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import traitlets
from numpy.typing import NDArray

from sparsecore.errors import InputError
from sparsecore.report.explorers.bundle import module, style
from sparsecore.report.explorers.numbers import eight_bits


class AutomataReader(anywidget.AnyWidget):
    """Type a text; see which words each automaton takes or skips, and its part in the decision.

    A slider removes states by their group norm, as pruning does.

    Args:
        lengths: transitions of each of the D automata; S in all.
        main, loop: (S, V) scores of the main transition into each state, and of its self-loop
            (before the sigmoid), for each word.
        norms: (S,) group norm of each state.
        weight: (D,) what a score adds to the logit of the second label over the first.
        offset: what is added whatever the scores are.
        labels: names of the first and the second label.
        words: the V words that can be read, those at either end of a text (``<s>``, ``</s>``) too
            if the model reads them.
        samples: texts to pick, each with its label: ``[{"label": …, "text": …}]``.
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
        norms: NDArray[Any],
        weight: NDArray[Any],
        offset: float,
        labels: Sequence[str],
        words: Sequence[str],
        samples: Sequence[dict[str, str]] = (),
        threshold: float = 0.1,
        phrases: Sequence[Sequence[Sequence[str]]] = (),
    ) -> None:
        S = sum(lengths)
        given = {"main": len(main), "loop": len(loop), "norms": len(norms)}
        for name, rows in given.items():
            if rows != S:
                raise InputError(f"{name} must have a row for each of {S} states, got {rows}")
        if len(weight) != len(lengths):
            raise InputError(f"weight must have {len(lengths)} numbers, got {len(weight)}")
        if phrases and [len(states) for states in phrases] != list(lengths):
            raise InputError(f"phrases must have a list for each of {S} states")
        if not words:
            raise InputError("words must hold at least one word")
        for name, scores in {"main": main, "loop": loop}.items():
            if scores.shape[1] != len(words):
                raise InputError(
                    f"{name} must have a score for each of {len(words)} words, got "
                    f"{scores.shape[1]}"
                )
        data = {
            "lengths": [int(length) for length in lengths],
            "main": eight_bits(main),
            "loop": eight_bits(loop),
            "norms": [float(value) for value in norms],
            "weight": [float(value) for value in weight],
            "offset": float(offset),
            "labels": list(labels),
            "words": list(words),
            "samples": [dict(sample) for sample in samples],
            "phrases": [[list(state) for state in automaton] for automaton in phrases],
        }
        text = samples[0]["text"] if samples else ""
        super().__init__(data=data, text=text, threshold=threshold)
