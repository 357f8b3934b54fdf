"""What the notebook that crosses the papers shows: runs of two experiments, tables, sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from sparsecore.experiments.crossing.tables import tables_of
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.experiments.sentiment.config import study
from sparsecore.report.pages.parts import (
    Sides,
    as_typed,
    executed_anew,
    html_table,
    markdown,
    reference_folder,
    signed,
)
from sparsecore.report.pages.sentiment import GOAL_NOTE
from sparsecore.runs.reference import Summary, read_provenance, read_summary
from sparsecore.runs.store import Run
from sparsecore.runs.sweep import grid, run_all

BLOCKS = {"quick": (1, 5), "small": (1, 2, 5), "paper": (1, 2, 5)}
SEEDS = {"quick": 1, "small": 3, "paper": 3}
MODELS = {
    "untrained": "before training",
    "trained": "trained without a penalty",
    "penalised": "trained with the group lasso, nothing removed yet",
}


class Runs(NamedTuple):
    """The reader's runs of both experiments, and their tables."""

    language_models: list[Run]
    classifiers: list[Run]
    tables: Summary


@dataclass(frozen=True)
class Crossing(Sides):
    """The reference tables (None where absent), and the reader's, computed when asked for."""

    preset: str
    compute: Callable[[], Runs]
    reference: Summary | None
    provenance: dict[str, Any] | None
    executed: bool = True
    experiment: str = "crossing"

    @cached_property
    def made(self) -> Runs:
        """The reader's runs and tables."""
        return self.compute()

    @property
    def yours(self) -> Summary:
        """The reader's tables."""
        return self.made.tables


def open_page(
    preset: str,
    reference: str,
    *,
    seed: int = 0,
    device: str = "auto",
    language: dict[str, Any] | None = None,
    reviews: dict[str, Any] | None = None,
) -> Crossing:
    """The reference tables, and the runs of both experiments, found or made where they are shown.

    Language models are those of the emergent part at its quick size whatever the preset, as there
    are several for each seed; the preset says how many seeds. ``language`` and ``reviews``:
    fields of the one and of the other. InputError for an unknown preset, field or reference.
    """
    folder = reference_folder("crossing", reference)
    classifiers = study(preset, seed=seed, device=device, **(reviews or {}))
    first = Emergent.preset("quick", device=device, **(language or {}))
    language_models = [
        dataclasses.replace(config, seed=seed + number)
        for config in grid(first, {"num_blocks": BLOCKS[preset]})
        for number in range(SEEDS[preset])
    ]

    def compute() -> Runs:
        made = [run_all(configs, progress=False) for configs in (language_models, classifiers)]
        return Runs(made[0], made[1], tables_of(*made))

    executed = executed_anew(preset, {"seed": seed, **(language or {}), **(reviews or {})})
    page = Crossing(preset, compute, read_summary(folder), read_provenance(folder), executed)
    _ = page.own  # what the page shows is computed before anything is drawn
    return page


def about(page: Crossing) -> Any:
    """What was run, in one paragraph."""
    if page.provenance is None:
        return markdown(f"There are no reference tables in this checkout yet.\n\n{_yours(page)}")
    models = page.provenance["language_models"]
    corpus, classifiers = models[0]["corpus"], page.provenance["classifiers"]
    texts = as_typed(corpus["name"]), as_typed(classifiers["corpus"]["name"])
    theirs = (
        f"**Reference runs**: {sum(len(one['runs']) for one in models)} language models on "
        f"{corpus['tokens']['train']:,} words of *{texts[0]}*, {len(models[0]['seeds'])} "
        f"seeds for each number of blocks, and {len(classifiers['runs'])} classifiers on "
        f"*{texts[1]}*, {len(classifiers['seeds'])} seeds for each point."
    )
    return markdown(theirs if page.own is None else f"{theirs}\n\n{_yours(page)}")


def _yours(page: Crossing) -> str:
    first = page.made.language_models[0]
    text, documents = (
        as_typed(run.environment["corpus"].get("name", "embedded"))
        for run in (first, page.made.classifiers[0])
    )
    return (
        f"**Your runs**: {len(page.made.language_models)} language models on the corpus *{text}*, "
        f"{first.config['epochs']} epochs each, and {len(page.made.classifiers)} classifiers on "
        f"*{documents}*."
    )


def blocks_table(page: Crossing) -> Any:
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


def votes_table(page: Crossing) -> Any:
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
