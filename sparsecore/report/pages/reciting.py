"""What the notebook of learning to recite shows: the study, Table 4, sentences with its numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sparsecore.report.pages.parts import (
    Study,
    corpus_name,
    duration,
    html_table,
    markdown,
    mean_and_sd,
    open_study,
)
from sparsecore.runs.reference import Summary

SIZES = {1: "the original", 2: "a half", 3: "a third"}


def open_page(preset: str, reference: str, **overrides: Any) -> Study:
    """The study of a preset, its tuning runs first; finished runs are found, not repeated.

    Raises:
        InputError: unknown preset, field or reference.
    """
    return open_study("reciting", preset, reference, tune=True, **overrides)


def about(page: Study) -> Any:
    """What was learned by heart: here, and in the reference runs."""
    if page.reference is None or page.provenance is None:
        return markdown(f"{_about_yours(page)} There are no reference runs yet.")
    theirs = f"The reference study: {_text(page.reference, page.provenance['corpus'])}."
    return markdown(theirs if page.own is None else f"{theirs}\n\n{_about_yours(page)}")


def _about_yours(page: Study) -> str:
    seconds = sum(run.timing["seconds"].sum() for run in page.runs)
    text = _text(page.yours, page.runs[0].environment["corpus"])
    return f"Your study (preset *{page.preset}*): {text}, in {duration(seconds)}."


def accuracy_table(page: Study) -> Any:
    """Table 4: sizes of each model, the paper's accuracy, ours, and ours in evaluation mode."""
    summaries = {"reference runs": page.reference, "your runs": page.own}
    known = {name: tables for name, tables in summaries.items() if tables is not None}
    first = page.main["accuracy"]
    shown = pd.DataFrame(
        {
            "model": first["family"],
            "widths": first["part"].map(SIZES),
            "k": first["embedding_size"],
            "density δ": [f"{value:.3g}" for value in first["embedding_density"]],
            "h": first["hidden_size"],
            "learning rate": [f"{value:g}" for value in first["learning_rate"]],
            "parameters": [f"{value:,}" for value in first["parameters"]],
            "paper": [f"{value:.2f}" for value in first["paper_accuracy"]],
        }
    )
    for name, tables in known.items():
        rows = tables["accuracy"].to_dict("records")
        by_model = {(row["family"], row["part"]): mean_and_sd(row) for row in rows}
        keys = zip(first["family"], first["part"], strict=True)
        shown[name] = [by_model.get(key, "–") for key in keys]
    shown["in evaluation mode"] = [f"{value:.2f}" for value in first["evaluated_accuracy"]]
    return html_table(
        shown,
        note="k: width of the embedding; δ: share of its entries that are trained; h: units of a "
        "layer. Accuracies in percent; ±: standard deviation over seeds.",
    )


def accuracy_sentence(page: Study) -> Any:
    """Which of the models with few parameters is best and worst, at either size, in numbers."""
    accuracy = page.main["accuracy"]
    whose = "your" if page.reference is None else "the reference"
    sentences = []
    for part in (2, 3):
        rows = accuracy[accuracy["part"] == part].sort_values("accuracy", ascending=False)
        order = ", ".join(
            f"{family} {value:.1f} %"
            for family, value in zip(rows["family"], rows["accuracy"], strict=True)
        )
        sentences.append(f"at {SIZES[part]} the order is {order}")
    return markdown(f"In {whose} runs, {sentences[0]}; {sentences[1]}.")


def _text(tables: Summary, corpus: dict[str, Any]) -> str:
    """``21 models, each with 10,000 words of … to learn``."""
    accuracy = tables["accuracy"]
    models, words = int(accuracy["seeds"].sum()), int(accuracy["words_to_learn"].iloc[0])
    name = corpus_name(corpus)
    ratios = accuracy.drop_duplicates("part")["parameters"] / words
    a_word = ", ".join(f"{ratio:.1f}" for ratio in ratios)
    return (
        f"{models} models, each with {words:,} words of {name} to learn; parameters a word at the "
        f"three sizes: {a_word} (in the paper 26.1, 7.6, 3.9)"
    )
