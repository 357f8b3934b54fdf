"""What the notebook that crosses the papers shows: runs of two experiments, tables, sentences."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd

from sparsecore.experiments.crossing.tables import tables_of
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.experiments.sentiment.config import study
from sparsecore.report.pages.parts import (
    Study,
    as_typed,
    corpus_name,
    html_table,
    markdown,
    open_beside,
    signed,
)
from sparsecore.report.pages.sentiment import GOAL_NOTE
from sparsecore.runs.reference import Summary
from sparsecore.runs.sweep import grid, run_all
from sparsecore.training.run_folder import Run

BLOCKS = {"quick": (1, 5), "small": (1, 2, 5), "paper": (1, 2, 5)}
SEEDS = {"quick": 1, "small": 3, "paper": 3}
MODELS = {
    "untrained": "before training",
    "trained": "trained without a penalty",
    "penalised": "trained with the group lasso, nothing removed yet",
}


def open_page(
    preset: str,
    reference: str,
    *,
    seed: int = 0,
    device: str = "auto",
    language: dict[str, Any] | None = None,
    reviews: dict[str, Any] | None = None,
) -> Study:
    """The reference tables, and the runs of both experiments, found or made where they are shown.

    Language models are those of the emergent part at its quick size whatever the preset, as there
    are several for each seed; the preset says how many seeds. ``language`` and ``reviews``:
    fields of the one and of the other. InputError for an unknown preset, field or reference.
    """
    classifiers = study(preset, seed=seed, device=device, **(reviews or {}))
    first = Emergent.preset("quick", device=device, **(language or {}))
    language_models = [
        dataclasses.replace(config, seed=seed + number)
        for config in grid(first, {"num_blocks": BLOCKS[preset]})
        for number in range(SEEDS[preset])
    ]

    def compute() -> tuple[list[Run], Summary]:
        models, others = (run_all(c, progress=False) for c in (language_models, classifiers))
        return [*models, *others], tables_of(models, others)

    given = {"seed": seed, **(language or {}), **(reviews or {})}
    return open_beside(Study, "crossing", reference, compute, preset, given)


def about(page: Study) -> Any:
    """What was run, in one paragraph."""
    theirs = "There are no reference tables in this checkout yet."
    if page.provenance is not None:
        models, classifiers = (page.provenance[name] for name in ("language_models", "classifiers"))
        corpus = models[0]["corpus"]
        theirs = (
            f"**Reference runs**: {sum(len(one['runs']) for one in models)} language models on "
            f"{corpus['tokens']['train']:,} words of {corpus_name(corpus)} with "
            f"{corpus['types']:,} different ones, "
            f"{len(models[0]['seeds'])} seeds for each number of blocks, and "
            f"{len(classifiers['runs'])} classifiers on {corpus_name(classifiers['corpus'])}, "
            f"{len(classifiers['seeds'])} seeds for each point."
        )
    return markdown(theirs if page.own is None else f"{theirs}\n\n{_yours(page)}")


def _yours(page: Study) -> str:
    models, classifiers = (
        [run for run in page.runs if run.experiment == name] for name in ("emergent", "sentiment")
    )
    text, documents = (
        as_typed(runs[0].environment["corpus"].get("name", "embedded"))
        for runs in (models, classifiers)
    )
    return (
        f"**Your runs**: {len(models)} language models on the corpus *{text}*, "
        f"{models[0].config['epochs']} epochs each, and {len(classifiers)} classifiers on "
        f"*{documents}*."
    )


def blocks_table(page: Study) -> Any:
    """After the last epoch: chi of both signals, rho, and perplexity for each number of blocks."""
    table = page.main["concentration"]
    last = table[table["epoch"] == table["epoch"].max()]
    rows = []
    for blocks, group in last.groupby("num_blocks"):
        by = dict(list(group.groupby("signal")))
        rows.append(
            {
                "blocks": blocks,
                "χ of the activation": f"{by['activation']['chi'].mean():.4f}",
                "χ of the gradient": f"{by['gradient']['chi'].mean():.4f}",
                "ρ of the gradient": signed(by["gradient"]["rho"].mean(), 2),
                "validation perplexity": f"{group['valid_perplexity'].mean():.0f}",
                "seeds": group["seed"].nunique(),
            }
        )
    return html_table(pd.DataFrame(rows))


def votes_table(page: Study) -> Any:
    """How many automata decide: before training, without and with the penalty."""
    votes = page.main["votes"]
    rows = []
    for model, text in MODELS.items():
        for goal, group in votes[votes["model"] == model].groupby("goal", dropna=False):
            shown = text if pd.isna(goal) else f"{text}, goal: {goal:g} transitions"
            rows.append(
                {
                    "model": shown,
                    "χ of the vote": f"{group['chi'].mean():.3f}",
                    "automata that decide": f"{group['effective'].mean():.1f}",
                    "of": group["automata"].iloc[0],
                    "models": len(group),
                }
            )
    return html_table(pd.DataFrame(rows), note=GOAL_NOTE)
