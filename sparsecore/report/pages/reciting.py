"""What the notebook of learning to recite shows: the study, Table 4, sentences with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparsecore.experiments.reciting.tables import accuracies
from sparsecore.report.pages.parts import (
    Study,
    about_study,
    corpus_name,
    html_table,
    markdown,
    mean_and_sd,
    of_all_rounds,
    open_study,
)
from sparsecore.runs.reference import Summary

SIZES = {1: "the original", 2: "a half", 3: "a third"}


def open_page(preset: str, reference: str, **overrides: Any) -> Study:
    """The study of a preset, its tuning runs first; finished runs are found, not repeated."""
    page = open_study("reciting", preset, reference, tune=True, **overrides)
    return of_all_rounds(page, "accuracy", accuracies)


def about(page: Study) -> Any:
    """What was learned by heart: here, and in the reference runs."""

    def told(tables: Summary, corpus: Mapping[str, Any], *_: Any) -> str:
        accuracy = tables["accuracy"]
        models, words = int(accuracy["seeds"].sum()), int(accuracy["words_to_learn"].iloc[0])
        ratios = accuracy.drop_duplicates("part")["parameters"] / words
        a_word = ", ".join(f"{ratio:.1f}" for ratio in ratios)
        return (
            f"{models} models, each with {words:,} words of {corpus_name(corpus)} to learn; "
            f"parameters a word at the three sizes: {a_word} (in the paper 26.1, 7.6, 3.9)"
        )

    return about_study(page, told)


def accuracy_table(page: Study) -> Any:
    """Table 4: sizes of each model, the paper's accuracy, ours, and ours in evaluation mode."""
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
    for name, tables in page.shown().items():
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
    sentences = []
    for part in (2, 3):
        rows = accuracy[accuracy["part"] == part].sort_values("accuracy", ascending=False)
        order = ", ".join(
            f"{family} {value:.1f} %"
            for family, value in zip(rows["family"], rows["accuracy"], strict=True)
        )
        sentences.append(f"at {SIZES[part]} the order is {order}")
    return markdown(f"In {page.whose}, {sentences[0]}; {sentences[1]}.")
