"""What the page of the patterns shows: the automata of a learned model, in words.

As published the automata and their phrases are those of the smallest model of the reference runs.
Their weights are not committed.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sparsecore.errors import InputError, near_match
from sparsecore.report.pages.parts import (
    as_typed,
    executed_anew,
    html_table,
    markdown,
    reference_folder,
)
from sparsecore.report.pages.sentiment import about_run, smallest_run
from sparsecore.runs.reference import read_reference

SHOWN = "books"  # the reviews whose smallest model has three automata, as the paper's Table 1 has
SHOWN_TOP = 4  # phrases at either end, as in that table


@dataclass(frozen=True)
class Reader:
    """One learned model to read.

    ``about``: what it is. ``states``: its states before and after. ``patterns``: its phrases.
    """

    about: str
    states: pd.DataFrame
    patterns: pd.DataFrame


def open_reader(preset: str, reference: str, **overrides: Any) -> Reader:
    """The smallest learned model of the reference runs, or of a preset with fields of your own.

    Args:
        reference: folder of the study.
        overrides: fields of :class:`~sparsecore.experiments.sentiment.config.Sentiment`.

    Raises:
        InputError: unknown preset, field or reference.
    """
    if executed_anew(preset, overrides):
        run = smallest_run(preset, **overrides)
        states = run.table("states")
        about = f"Your model. {about_run(dict(run.results.iloc[0]), len(states))}"
        return Reader(about, states, run.table("patterns"))
    return _reference(reference, SHOWN)


def _reference(reference: str, category: str) -> Reader:
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
    about = (
        f"The smallest model that the group lasso left for reviews of {as_typed(category)} in the "
        f"reference runs. {about_run(results, len(states))}"
    )
    return Reader(about, states, patterns)


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


def _marked(words: str) -> str:
    """Words of a main-path step, those of self-loops smaller and marked SL."""
    shown = []
    for word in str(words).split():
        loop = word.endswith("_SL")
        text = html.escape(word.removesuffix("_SL"))
        shown.append(f"<small>{text}<sub>SL</sub></small>" if loop else f"<b>{text}</b>")
    return " ".join(shown)
