"""What the notebooks of the learned part show of the study of Fig. 3."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from sparsecore.experiments.sentiment.config import STUDIES, Sentiment
from sparsecore.report.figures.marks import PERCENT, ends_to_draw
from sparsecore.report.pages.parts import (
    Study,
    as_typed,
    duration,
    html_table,
    markdown,
    open_study,
    signed,
)
from sparsecore.runs.execute import execute
from sparsecore.runs.judged import parts_of
from sparsecore.runs.reference import Summary
from sparsecore.stats.judgement import ESSENTIAL
from sparsecore.training.run_folder import Run

METHODS = {"mean": "over seeds", "documents": "over documents"}
"""The two intervals that a part is asked by."""

GOAL_NOTE = (
    "A goal is the number of transitions that the group lasso is to leave: λ is searched until "
    "about as many are left."
)
"""What the tables of learned structures call a goal."""


open_page = partial(open_study, "sentiment")
"""The study of a preset; finished runs are found, not repeated."""


def about(page: Study) -> Any:
    """What was trained: in the reference runs, and here."""
    theirs = "There are no reference runs in this checkout yet."
    if page.provenance is not None:
        theirs = (
            f"**Reference runs**: {len(page.provenance['runs'])} models on "
            f"{_documents(page.main)}; {len(page.provenance['seeds'])} seeds for each point."
        )
    if page.own is None:
        return markdown(theirs)
    return markdown(
        f"{theirs}\n\n**Your study** (preset *{page.preset}*): {len(page.runs)} models on "
        f"{_documents(page.own)}, in {duration(page.seconds)}."
    )


def accuracy_table(tables: Summary) -> Any:
    """Accuracy of every model on each kind of documents, its interval over seeds, its size."""
    rows = tables["tradeoff"].sort_values(["family", "transitions"], ascending=[True, False])
    models = rows["point"].map(point_name)
    ends = ends_to_draw(rows["low"], rows["high"], rows["seeds"], PERCENT)
    cells = [
        f"{row['accuracy']:.1f} <span class='value'>{_ends(low, high)}</span><br>"
        f"<small>{_with_sd(row['transitions'], row['transitions_sd'])} transitions</small>"
        for row, low, high in zip(rows.to_dict("records"), *ends, strict=True)
    ]
    shown = pd.DataFrame(
        {"model": models, "documents": rows["category"].map(html.escape), "cell": cells}
    )
    wide = shown.pivot(index="model", columns="documents", values="cell").fillna("–")
    wide.columns.name = None
    wide = wide.loc[shown["model"].unique()].reset_index()
    note = (
        "In percent; guessing would get 50 % of the reviews right. "
        "In brackets: 95 % intervals over seeds. "
        f"{GOAL_NOTE}"
    )
    return html_table(wide, escape=False, note=note)


def point_name(point: str) -> str:
    """A model of the study in words: its structure, or the goal that it was learned with.

    >>> point_name("0,24,0,0"), point_name("6,6,0,0")
    ('fixed: 24 WFSAs of 2 transitions', 'fixed: 6 WFSAs each of 1, 2 transitions')
    >>> point_name("goal 8")
    'learned, goal: 8 transitions'
    """
    if point.startswith("goal "):
        return f"learned, goal: {point.removeprefix('goal ')} transitions"
    counts = {length: int(n) for length, n in enumerate(point.split(","), 1) if int(n)}
    lengths = ", ".join(map(str, counts))
    each = " each" if len(counts) > 1 else ""
    plural = "" if lengths == "1" else "s"
    shown = ", ".join(dict.fromkeys(map(str, counts.values())))
    return f"fixed: {shown} WFSAs{each} of {lengths} transition{plural}"


def ablation_table(tables: Summary) -> Any:
    """The found structures: fine-tuned from the extraction, and trained from new weights."""
    if "ablation" not in tables:
        return markdown("No structure of this study was also trained from scratch.")
    rows = tables["ablation"]
    return html_table(
        pd.DataFrame(
            {
                "documents": rows["category"],
                "model": rows["point"].map(point_name),
                "extracted, before fine-tuning": [f"{v:.1f}" for v in rows["before_finetuning"]],
                "fine-tuned": [f"{v:.1f}" for v in rows["extraction"]],
                "from scratch": [f"{v:.1f}" for v in rows["scratch"]],
                "difference": [
                    f"{signed(row['difference'], 1)} {_ends(row['low'], row['high'])}"
                    for row in rows.to_dict("records")
                ],
            }
        ),
        note="Accuracy in percent (guessing would get 50); difference: fine-tuned minus from "
        f"scratch. {GOAL_NOTE}",
    )


def ablation_sentence(page: Study) -> Any:
    """In how many points the extraction is better, by how much on average; None if untried."""
    tables = page.main
    if "ablation" not in tables:
        return None
    rows = tables["ablation"]
    better = int((rows["low"] > 0).sum())
    worse = int((rows["high"] < 0).sum())
    mean = signed(rows["difference"].mean(), 1)
    intervals = (
        f"The interval over seeds is above zero in {better} of them, below zero in {worse}."
        if better or worse
        else f"None of the {len(rows)} intervals over seeds excludes zero."
    )
    return markdown(
        f"Averaged over the {len(rows)} points, fine-tuning from the extraction gives **{mean} "
        f"points** against training the same structure from scratch. {intervals}"
    )


def gain_sentence(page: Study) -> Any:
    """Heaviest regularisation against the unigram baseline, in numbers."""
    parts = parts_of(page.experiment, page.main)
    assert parts is not None
    row = parts[(parts["finding"] == 2) & (parts["kind"] == ESSENTIAL)]
    if row.empty:
        return markdown("The study has no unigram baseline beside a heavily regularised model.")
    first = row.iloc[0]
    ends = (
        "" if math.isnan(first["low"]) else f" (95 % interval {_ends(first['low'], first['high'])})"
    )
    return markdown(
        f"In {page.whose} the accuracy of heavily regularised models, minus that of WFSAs of a "
        f"single transition (unigrams) with about as many transitions together, is "
        f"**{signed(first['value'], 1)} points**{ends}."
    )


def strengths_sentence(page: Study) -> Any:
    """What the first tries of the searches left, by strength; None where each strength has one."""
    trials = page.main["trials"]
    first = trials[trials["trial"] == 0]
    left = first.groupby(first["log10_strength"].round(4))["transitions"].agg(["min", "max"])
    left = left[left["min"] < left["max"]]
    strengths = 10 ** left.index.to_numpy(dtype=float)
    told = [
        f"from {low:.0f} to {high:.0f} at λ = {strength:.2g}"
        for strength, low, high in zip(strengths, left["min"], left["max"], strict=True)
    ]
    if not told:
        return None
    return markdown(
        f"Over seeds and kinds of documents the same λ left {page.whose} with different numbers of "
        f"transitions at the first try: {', '.join(told)}. No single λ gives a chosen size."
    )


def smallest_run(preset: str, **overrides: Any) -> Run:
    """The smallest learned model of a preset's study, with fields of your own, found or trained.

    Raises:
        InputError: unknown preset or field.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if given.get("goal") is None and "strength" not in given:
        goals = STUDIES[preset].goals if preset in STUDIES else {0: (0, 0.0)}
        goal = min(goals)
        tolerance, strength = goals[goal]
        given = {"goal": goal, "tolerance": tolerance, "strength": strength, **given}
    elif given.get("goal") is not None and "strength" not in given:
        given["strength"] = 1e-3
    return execute(Sentiment.preset(preset, **{"finetune_from": "both", **given}), progress=False)


def about_run(results: Mapping[str, Any], states: int) -> str:
    """What was learned: results of one run, which began with so many states. A sentence or two."""
    plural = "" if results["wfsas"] == 1 else "s"
    tries = (
        "one value of λ was tried"
        if results["trials"] == 1
        else f"{results['trials']:.0f} values of λ were tried"
    )
    return (
        f"Of {states} transitions it kept **{results['transitions']:.0f}**, in "
        f"**{results['wfsas']:.0f} WFSA{plural}** ({tries}). It gets "
        f"{100 * results['test_accuracy']:.1f} % of {results['test_documents']:,.0f} test "
        f"documents right, with {results['parameters']:,.0f} parameters."
    )


def _documents(tables: Summary) -> str:
    rows = tables["corpora"]
    parts = [
        f"{int(row['train_documents']):,} training documents"
        + (f" of {as_typed(row['category'])}" if row["category"] != "all" else "")
        for row in rows.to_dict("records")
    ]
    return ", ".join(parts)


def _with_sd(value: float, sd: float) -> str:
    shown = f"{value:.1f}".removesuffix(".0")
    return shown if math.isnan(sd) or sd == 0 else f"{shown} ± {sd:.1f}"


def _ends(low: float, high: float) -> str:
    """An interval in brackets; a dash where there is none."""
    if math.isnan(low) or math.isnan(high):
        return "–"
    return f"[{low:.1f}, {high:.1f}]".replace("-", "−")
