"""What the page of the patterns shows: the automata of a learned model, in words.

As published the automata and their phrases are those of the smallest model of the reference runs.
Their weights are not committed; a text is decided about by the model of the automata explorer, of
which the scores of the commonest words are.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sparsecore.data.text import tokenize
from sparsecore.errors import InputError, near_match
from sparsecore.experiments.sentiment.tables import load_trained
from sparsecore.layers.rational import RationalRNN
from sparsecore.models.classifier import SequenceClassifier, rnn_of
from sparsecore.pruning.patterns import explain
from sparsecore.report.pages.automata import pruned, reference_automata
from sparsecore.report.pages.parts import (
    as_typed,
    executed_anew,
    html_table,
    markdown,
    markup,
    reference_folder,
)
from sparsecore.report.pages.sentiment import about_run, smallest_run
from sparsecore.runs.reference import read_reference
from sparsecore.training.documents import text_vectors

SHOWN = "books"  # the reviews whose smallest model has three automata, as the paper's Table 1 has
SHOWN_TOP = 4  # phrases at either end, as in that table

Vectors = Callable[[str], tuple[Tensor, list[str]]]


@dataclass(frozen=True)
class Reader:
    """One learned model to read.

    ``about``: what it is. ``states``: its states before and after. ``patterns``: its phrases.
    ``model``: decides about a text, given its ``vectors`` (T, E) and tokens, for one of ``labels``.
    """

    about: str
    states: pd.DataFrame
    patterns: pd.DataFrame
    model: SequenceClassifier
    vectors: Vectors
    labels: Sequence[str]

    @property
    def rnn(self) -> RationalRNN:
        """The automata of the model."""
        return rnn_of(self.model)


def open_reader(preset: str, reference: str, explorer: str, **overrides: Any) -> Reader:
    """The smallest learned model of the reference runs, or of a preset with fields of your own.

    Args:
        reference: folder of the study; explorer: folder of the model that decides about a text.
        overrides: fields of :class:`~sparsecore.experiments.sentiment.config.Sentiment`.

    Raises:
        InputError: unknown preset, field or reference.
    """
    if executed_anew(preset, overrides):
        run = smallest_run(preset, **overrides)
        trained, states = load_trained(run.path, run.config), run.table("states")
        about = f"Your model. {about_run(dict(run.results.iloc[0]), len(states))}"
        labels = trained.inputs.corpus.labels
        return Reader(
            about, states, run.table("patterns"), trained.model,
            lambda text: text_vectors(text, trained.inputs, trained.config), labels,
        )  # fmt: skip
    return _reference(reference, explorer, SHOWN)


def _reference(reference: str, explorer: str, category: str) -> Reader:
    folder = reference_folder("sentiment", reference)
    tables, _ = read_reference(folder)
    phrases = tables["patterns"]
    steps = [*phrases.filter(like="transition_").columns, "after"]  # empty in shorter automata
    phrases[steps] = phrases[steps].astype(object).fillna("")
    known = list(phrases["category"].unique())
    if category not in known:
        raise InputError(f"no phrases of category {category!r}{near_match(category, known)}")
    states, patterns = (
        table[table["category"] == category] for table in (tables["states"], phrases)
    )
    runs, first = tables["runs"], patterns.iloc[0]
    ours = runs[(runs["category"] == category) & (runs["seed"] == first["seed"])]
    results = ours[ours["goal"] == first["goal"]].iloc[0].to_dict()
    results["test_accuracy"] /= 100  # in percent there
    arguments, _ = reference_automata(explorer)
    about = (
        f"The smallest model that the group lasso left for reviews of {as_typed(category)} in the "
        f"reference runs. {about_run(results, len(states))}"
    )
    ids = {word: n for n, word in enumerate(arguments["words"])}
    return Reader(
        about, states, patterns, pruned(arguments),
        lambda text: _one_hot(text, ids), arguments["labels"],
    )  # fmt: skip


def _one_hot(text: str, ids: dict[str, int]) -> tuple[Tensor, list[str]]:
    """(T, V), a row for each token that the model knows, and these."""
    words = [word for word in tokenize(text) if word in ids]
    if not words:
        raise InputError("the text has no word that the model knows")
    tokens = ["<s>", *words, "</s>"]
    rows = torch.tensor([ids[token] for token in tokens])
    return torch.nn.functional.one_hot(rows, len(ids)).float(), tokens


def about_reader(reader: Reader) -> Any:
    """What was learned, in one paragraph."""
    return markdown(reader.about)


def kept_automata(reader: Reader) -> tuple[pd.DataFrame, dict[int, str]]:
    """The states of the WFSAs that were not wholly removed, and the names of these patterns."""
    states = reader.states
    left = states.loc[states["kept"], "wfsa"].unique().tolist()
    names = {wfsa: f"pattern {number}" for number, wfsa in enumerate(left, 1)}
    return states[states["wfsa"].isin(left)], names


def phrase_rows(patterns: pd.DataFrame) -> Any:
    """Table 1: for each WFSA the top and bottom phrases of its last state, step by step."""
    if patterns.empty:
        return markdown("The model has too many WFSAs to be read.")
    steps = [c for c in patterns.columns if str(c).startswith("transition_")]
    last = patterns.groupby("wfsa")["state"].transform("max")
    rows = patterns[(patterns["state"] == last) & (patterns["rank"] <= SHOWN_TOP)]
    used = [c for c in steps if rows[c].str.len().gt(0).any()]
    shown = []
    for row in rows.to_dict("records"):
        first = row["rank"] == 1
        name = f"pattern {row['wfsa'] + 1}" if first and row["end"] == "top" else ""
        steps_taken = [_marked(row[c]) for c in used]
        end = row["end"] if first else ""
        shown.append([name, end, *steps_taken, _marked(row["after"]), html.escape(row["label"])])
    names = ["", "", *(f"transition {i}" for i in range(1, len(used) + 1)), "after", "document"]
    return html_table(pd.DataFrame(shown, columns=pd.Index(names)), escape=False)


def decision(reader: Reader, text: str) -> Any:
    """What each automaton does at each word of a text, and its share of the decision.

    Bold: taken by a transition. Grey and small: skipped by a self-loop, at a price. Faint: before
    the pattern begins.
    """
    x, tokens = reader.vectors(text)
    shares, words = explain(rnn_of(reader.model), reader.model.output, x, tokens)
    first, second = reader.labels
    total = float(shares["contribution"].sum())
    rows = []
    for row in shares.to_dict("records"):
        own = words[words["wfsa"] == row["wfsa"]]
        shown = " ".join(_role(w, r) for w, r in zip(own["word"], own["role"], strict=True))
        name = "bias" if row["wfsa"] < 0 else f"automaton {_letter(int(row['wfsa']))}"
        votes = second if row["contribution"] > 0 else first
        share = f"{abs(100 * row['share']):.0f} %"
        rows.append([name, shown, share, html.escape(votes)])
    table = html_table(
        pd.DataFrame(rows, columns=pd.Index(["", "path", "share", "for"])), escape=False
    )
    verdict = html.escape(second if total > 0 else first)
    chance = 1 / (1 + math.exp(-min(abs(total), 700)))
    return markup(f"{table.data}<p>Together: <b>{verdict}</b>, probability {chance:.2f}.</p>")


def check_sentence(sentence: str) -> None:
    """Refuse a sentence without words before anything is computed."""
    if not str(sentence).strip():
        raise InputError("parameter sentence must hold at least one word")


def _marked(words: str) -> str:
    """Words of a main-path step, those of self-loops smaller and marked SL."""
    shown = []
    for word in str(words).split():
        loop = word.endswith("_SL")
        text = html.escape(word.removesuffix("_SL"))
        shown.append(f"<small>{text}<sub>SL</sub></small>" if loop else f"<b>{text}</b>")
    return " ".join(shown)


def _letter(number: int) -> str:
    """A name that is no number, since the patterns of the other model have these.

    >>> _letter(0), _letter(5), _letter(26)
    ('A', 'F', 'AA')
    """
    return ascii_uppercase[number % 26] * (number // 26 + 1)


def _role(word: str, role: str) -> str:
    text = html.escape(word)
    if role == "taken":
        return f"<b><u>{text}</u></b>"
    return (
        f"<small>{text}</small>" if role == "loop" else f'<span style="opacity: 0.72">{text}</span>'
    )
