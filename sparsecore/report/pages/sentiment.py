"""What the notebooks of the learned part show: the study of Fig. 3, and a model to read."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from sparsecore.errors import InputError, near_match
from sparsecore.experiments.sentiment.config import STUDIES, Sentiment
from sparsecore.experiments.sentiment.patterns import explain_document
from sparsecore.experiments.sentiment.trained import Trained, load_trained, vectors_of
from sparsecore.report.figures.marks import PERCENT, ends_to_draw
from sparsecore.report.pages.parts import (
    Study,
    as_typed,
    duration,
    html_table,
    markdown,
    open_study,
    reference_folder,
    signed,
)
from sparsecore.runs.execute import execute
from sparsecore.runs.judged import parts_of
from sparsecore.runs.reference import Summary, read_summary
from sparsecore.runs.store import Run
from sparsecore.stats.judgement import ESSENTIAL

METHODS = {"mean": "over seeds", "documents": "over documents"}
"""The two intervals that a part is asked by."""

GOAL_NOTE = (
    "A goal is the number of transitions that the group lasso is to leave: λ is searched until "
    "about as many are left."
)
"""What the tables of learned structures call a goal."""

SHOWN_TOP = 4  # phrases at either end, as in the paper's Table 1


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
    note = f"In brackets: 95 % intervals over seeds. {GOAL_NOTE}"
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
        note=f"Accuracy in percent; difference: fine-tuned minus from scratch. {GOAL_NOTE}",
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
    return markdown(
        f"Averaged over the {len(rows)} points, fine-tuning from the extraction gives **{mean} "
        "points** against training the same structure from scratch. The interval over seeds is "
        f"above zero in {better} of them, below zero in {worse}."
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
        f"In {page.whose} the heavily regularised models reach **{signed(first['value'], 1)} "
        f"points** of accuracy against unigram WFSAs of about as many transitions{ends}."
    )


@dataclass(frozen=True)
class Reader:
    """One learned model to read, the run it comes from, and the reference runs' phrases."""

    run: Run
    trained: Trained
    patterns: pd.DataFrame
    states: pd.DataFrame


def open_reader(preset: str, **overrides: Any) -> Reader:
    """The smallest learned model of a preset's study, with fields of your own.

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
    config = Sentiment.preset(preset, **{"finetune_from": "both", **given})
    run = execute(config, progress=False)
    trained = load_trained(run.path, run.config)
    return Reader(run, trained, run.table("patterns"), run.table("states"))


def about_reader(reader: Reader) -> Any:
    """What was learned, in one paragraph."""
    row = reader.run.results.iloc[0]
    before = len(reader.states)
    plural = "" if row["wfsas"] == 1 else "s"
    tries = (
        "one value of λ was tried"
        if row["trials"] == 1
        else f"{row['trials']} values of λ were tried"
    )
    return markdown(
        f"Of {before} transitions the model kept **{row['transitions']}**, in **{row['wfsas']} "
        f"WFSA{plural}** ({tries}). It gets {100 * row['test_accuracy']:.1f} % of "
        f"{row['test_documents']:,} test documents right, with {row['parameters']:,} parameters."
    )


def kept_automata(reader: Reader) -> tuple[pd.DataFrame, dict[int, str]]:
    """The states of the WFSAs that were not wholly removed, and the names of these patterns."""
    states = reader.states
    left = states.loc[states["kept"], "wfsa"].unique().tolist()
    names = {wfsa: f"pattern {number}" for number, wfsa in enumerate(left, 1)}
    return states[states["wfsa"].isin(left)], names


def phrase_rows(patterns: pd.DataFrame, top: int = SHOWN_TOP) -> Any:
    """Table 1: for each WFSA the top and bottom phrases of its last state, step by step."""
    if patterns.empty:
        return markdown("The model has too many WFSAs to be read.")
    steps = [c for c in patterns.columns if str(c).startswith("transition_")]
    last = patterns.groupby("wfsa")["state"].transform("max")
    rows = patterns[(patterns["state"] == last) & (patterns["rank"] <= top)]
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


def reference_phrases(reference: str, category: str | None = None) -> Any:
    """Table 1 for the smallest model of the reference runs; None where there are none.

    ``category``: of which reviews; None: the last of the study, the mix.
    """
    tables = read_summary(reference_folder("sentiment", reference))
    if tables is None or tables["patterns"].empty:
        return None
    patterns = tables["patterns"].fillna("")
    known = list(patterns["category"].unique())
    chosen = known[-1] if category is None else category
    if chosen not in known:
        raise InputError(f"no phrases of category {chosen!r}{near_match(chosen, known)}")
    table = phrase_rows(patterns[patterns["category"] == chosen])
    return _html(
        "<p>The same for the smallest model of the reference runs, trained on "
        f"{html.escape(chosen)}:</p>{table.data}"
    )


def decision(reader: Reader, text: str) -> Any:
    """What each automaton does at each word of a text, and its share of the decision.

    Bold: taken by a transition. Grey and small: skipped by a self-loop, at a price. Faint: before
    the pattern begins.
    """
    x, tokens = vectors_of(reader.trained, text)
    shares, words = explain_document(reader.trained.model, x, tokens)
    first, second = reader.trained.inputs.corpus.labels
    total = float(shares["contribution"].sum())
    rows = []
    for row in shares.to_dict("records"):
        own = words[words["wfsa"] == row["wfsa"]]
        shown = " ".join(_role(w, r) for w, r in zip(own["word"], own["role"], strict=True))
        name = "bias" if row["wfsa"] < 0 else f"pattern {row['wfsa'] + 1}"
        votes = second if row["contribution"] > 0 else first
        share = f"{abs(100 * row['share']):.0f} %"
        rows.append([name, shown, share, html.escape(votes)])
    table = html_table(
        pd.DataFrame(rows, columns=pd.Index(["", "path", "share", "for"])), escape=False
    )
    verdict = html.escape(second if total > 0 else first)
    chance = 1 / (1 + math.exp(-min(abs(total), 700)))
    return _html(f"{table.data}<p>Together: <b>{verdict}</b>, probability {chance:.2f}.</p>")


def check_sentence(sentence: str) -> None:
    """Refuse a sentence without words before anything is computed."""
    if not str(sentence).strip():
        raise InputError("parameter sentence must hold at least one word")


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


def _marked(words: str) -> str:
    """Words of a main-path step, those of self-loops smaller and marked SL."""
    shown = []
    for word in str(words).split():
        loop = word.endswith("_SL")
        text = html.escape(word.removesuffix("_SL"))
        shown.append(f"<small>{text}<sub>SL</sub></small>" if loop else f"<b>{text}</b>")
    return " ".join(shown)


def _role(word: str, role: str) -> str:
    text = html.escape(word)
    if role == "taken":
        return f"<b><u>{text}</u></b>"
    return (
        f"<small>{text}</small>" if role == "loop" else f'<span style="opacity: 0.72">{text}</span>'
    )


def _html(text: str) -> Any:
    from IPython.display import HTML

    return HTML(text)
