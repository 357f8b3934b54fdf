"""What the notebook of language modelling shows: the study, Table 1, sentences with its numbers."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from sparsecore.report.pages.parts import (
    Study,
    corpus_name,
    duration,
    html_table,
    markdown,
    open_study,
)
from sparsecore.runs.reference import Summary

STEPS = {"no": "without fine-tuning", "yes": "after fine-tuning"}
TABLE_1 = {
    ("dense", "no"): "58.8 ± 0.3",
    ("sparse", "no"): "57.9 ± 0.3",
    ("dense", "yes"): "56.6 ± 0.2",
    ("sparse", "yes"): "57.0 ± 0.2",
}
"""The paper's test perplexities on the Penn Treebank, models of 24 million parameters."""


def open_page(preset: str, reference: str, **overrides: Any) -> Study:
    """The study of a preset; finished runs are found, not repeated.

    Raises:
        InputError: unknown preset, field or reference.
    """
    return open_study("language", preset, reference, **overrides)


def about(page: Study) -> Any:
    """What was trained: here, and in the reference runs."""
    if page.reference is None or page.provenance is None:
        return markdown(f"{_about_yours(page)} There are no reference runs yet.")
    known, settings = page.provenance["corpus"], page.provenance["settings"]
    theirs = (
        f"The reference study: {_sizes(page.reference)}, trained on "
        f"{known['tokens']['train']:,} words of {corpus_name(known)} with {known['types']:,} "
        f"different ones for {settings['epochs']} epochs and at most "
        f"{settings['finetune_epochs']} of fine-tuning."
    )
    return markdown(theirs if page.own is None else f"{theirs}\n\n{_about_yours(page)}")


def _about_yours(page: Study) -> str:
    config = page.runs[0].config
    seconds = sum(run.timing["seconds"].sum() for run in page.runs)
    corpus = page.runs[0].environment["corpus"]
    return (
        f"Your study (preset *{page.preset}*): {_sizes(page.yours)}, trained on "
        f"{corpus['tokens']['train']:,} words of {corpus_name(corpus)} with {corpus['types']:,} "
        f"different ones for {config['epochs']} epochs and at most {config['finetune_epochs']} of "
        f"fine-tuning, in {duration(seconds)}."
    )


def perplexity_table(page: Study) -> Any:
    """Table 1: the paper's test perplexities, those of the reference runs and the reader's."""
    summaries = {"reference runs": page.reference, "your runs": page.own}
    found = {name: _by_model(tables) for name, tables in summaries.items() if tables is not None}
    rows = [
        {
            "model": model,
            "step": STEPS[step],
            "paper": paper,
            **{name: values.get((model, step), "–") for name, values in found.items()},
        }
        for (model, step), paper in TABLE_1.items()
    ]
    return html_table(pd.DataFrame(rows))


def gap_table(page: Study) -> Any:
    """Perplexity of each text, without dropout, and the gap between training and validation."""
    rows = page.main["perplexity"].to_dict("records")
    return html_table(
        pd.DataFrame(
            {
                "model": [row["model"] for row in rows],
                "step": [STEPS[row["finetuned"]] for row in rows],
                "parameters": [f"{row['parameters']:,}" for row in rows],
                "training": [f"{row['train_perplexity']:.1f}" for row in rows],
                "validation": [f"{row['valid_perplexity']:.1f}" for row in rows],
                "test": [f"{row['test_perplexity']:.1f}" for row in rows],
                "gap, nats a word": [f"{row['gap']:.3f}" for row in rows],
            }
        )
    )


def perplexity_sentence(page: Study) -> Any:
    """Which model is ahead, without fine-tuning and after it, in numbers."""
    table = page.main["perplexity"].set_index(["model", "finetuned"])["test_perplexity"]
    whose = "your" if page.reference is None else "the reference"
    sentences = []
    for step, when in STEPS.items():
        dense, sparse = float(table["dense", step]), float(table["sparse", step])
        lower = "sparse" if sparse < dense else "dense"
        sentences.append(
            f"{when} the dense model has a test perplexity of {dense:.1f} and the sparse one of "
            f"{sparse:.1f}, so the {lower} one is ahead by {abs(dense - sparse):.1f}"
        )
    return markdown(f"In {whose} runs, {sentences[0]}; {sentences[1]}.")


def _by_model(tables: Summary) -> dict[tuple[str, str], str]:
    rows = tables["perplexity"].to_dict("records")
    return {(row["model"], row["finetuned"]): _shown(row) for row in rows}


def _shown(row: dict[Any, Any]) -> str:
    """Mean ± standard deviation, which a single run does not have."""
    deviation = "" if math.isnan(row["sd"]) else f" ± {row['sd']:.1f}"
    return f"{row['test_perplexity']:.1f}{deviation}"


def _sizes(tables: Summary) -> str:
    """``3 dense models (hidden size 144, 829,136 parameters) and 3 sparse ones (216, 823,276)``."""
    rows = tables["perplexity"].drop_duplicates("model").to_dict("records")
    return " and ".join(
        f"{row['seeds']} {row['model']} model{'s' * (row['seeds'] > 1)} (hidden size "
        f"{row['hidden_size']:,}, {row['parameters']:,} parameters)"
        for row in rows
    )
