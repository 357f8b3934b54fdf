"""What the notebook of language modelling shows: the study, Table 1, sentences with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparsecore.experiments.language.tables import perplexities
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

STEPS = {"no": "without fine-tuning", "yes": "after fine-tuning"}
TABLE_1 = {
    ("dense", "no"): "58.8 ± 0.3",
    ("sparse", "no"): "57.9 ± 0.3",
    ("dense", "yes"): "56.6 ± 0.2",
    ("sparse", "yes"): "57.0 ± 0.2",
}
"""The paper's test perplexities on the Penn Treebank, models of 24 million parameters."""


def open_page(preset: str, reference: str, **overrides: Any) -> Study:
    """The study of a preset; finished runs are found, not repeated."""
    page = open_study("language", preset, reference, **overrides)
    return of_all_rounds(page, "perplexity", perplexities)


def about(page: Study) -> Any:
    """What was trained: here, and in the reference runs."""

    def told(
        tables: Summary, corpus: Mapping[str, Any], settings: Mapping[str, Any], _: int
    ) -> str:
        return (
            f"{_sizes(tables)}, trained on {corpus['tokens']['train']:,} words of "
            f"{corpus_name(corpus)} with {corpus['types']:,} different ones for "
            f"{settings['epochs']} epochs and at most {settings['finetune_epochs']} of fine-tuning"
        )

    return about_study(page, told)


def perplexity_table(page: Study) -> Any:
    """Table 1: the paper's test perplexities, those of the reference runs and the reader's."""
    found = {name: _by_model(tables) for name, tables in page.shown().items()}
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
    sentences = []
    for step, when in STEPS.items():
        dense, sparse = (round(float(table[model, step]), 1) for model in ("dense", "sparse"))
        lower = "sparse" if sparse < dense else "dense"
        sentences.append(
            f"{when} the dense model has a test perplexity of {dense:.1f} and the sparse one of "
            f"{sparse:.1f}, so the {lower} one is ahead by {abs(dense - sparse):.1f}"
        )
    return markdown(f"In {page.whose}, {sentences[0]}; {sentences[1]}.")


def _by_model(tables: Summary) -> dict[tuple[str, str], str]:
    rows = tables["perplexity"].to_dict("records")
    return {
        (row["model"], row["finetuned"]): mean_and_sd(row, "test_perplexity", 1) for row in rows
    }


def _sizes(tables: Summary) -> str:
    """``3 dense models (hidden size 144, 829,136 parameters) and 3 sparse ones (216, 823,276)``."""
    rows = tables["perplexity"].drop_duplicates("model").to_dict("records")
    return " and ".join(
        f"{row['seeds']} {row['model']} model{'s' * (row['seeds'] > 1)} (hidden size "
        f"{row['hidden_size']:,}, {row['parameters']:,} parameters)"
        for row in rows
    )
