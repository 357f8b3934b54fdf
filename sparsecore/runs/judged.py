"""Parts of the findings by the second rule, from the tables of any experiment that has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.experiments.emergent import published
from sparsecore.experiments.language import verdicts as language
from sparsecore.experiments.reciting import verdicts as reciting
from sparsecore.experiments.reciting.config import TUNING_SEED as RECITING_SEED
from sparsecore.experiments.sentiment import verdicts as sentiment
from sparsecore.experiments.sentiment.config import TUNING_SEED as SENTIMENT_SEED
from sparsecore.experiments.tagging import verdicts as tagging
from sparsecore.experiments.tagging.study import TUNING_SEED as TAGGING_SEED

Summary = dict[str, pd.DataFrame]

JUDGES: dict[str, Callable[[Summary], pd.DataFrame]] = {
    "emergent": published.verdict_parts,
    "tagging": tagging.verdict_parts,
    "language": language.verdict_parts,
    "reciting": reciting.verdict_parts,
    "sentiment": sentiment.verdict_parts,
}
TUNING_SEEDS = {
    "tagging": TAGGING_SEED,
    "reciting": RECITING_SEED,
    "sentiment": SENTIMENT_SEED,
}
"""Seeds that chose settings, and count as seeds of no study."""

ROUNDS = ("tagging", "language", "reciting")  # decided from the table of runs alone


def parts_of(experiment: str, tables: Summary) -> pd.DataFrame | None:
    """The table ``verdicts`` of a summary, made from its other tables if it is not there.

    None for an experiment without a second rule.
    """
    if "verdicts" in tables:
        return tables["verdicts"]
    return JUDGES[experiment](tables) if experiment in JUDGES else None


def study_seeds(provenance: dict[str, Any]) -> list[int]:
    """The seeds that count: of these runs and of the rounds before, without those that tuned."""
    rounds = [provenance, *provenance.get("rounds", [])]
    seeds = {int(seed) for one in rounds for seed in one["seeds"]}
    return sorted(seeds - {TUNING_SEEDS.get(provenance["experiment"])})


def with_rounds(
    tables: Summary,
    provenance: dict[str, Any],
    earlier: Sequence[tuple[Path, Summary, dict[str, Any]]],
) -> tuple[Summary, dict[str, Any]]:
    """A summary whose verdicts rest on its own runs and on those of earlier rounds' folders.

    Evidence is added, not overwritten: the other tables are of the new runs alone, the earlier
    folders stay as they are, and the provenance names them. Raises InputError where the rounds are
    not of one experiment, text and setting.
    """
    experiment = provenance["experiment"]
    if experiment not in ROUNDS:
        known = ", ".join(ROUNDS)
        raise InputError(f"rounds of {experiment} cannot be put together; those of {known} can")
    for folder, summary, other in earlier:
        if "runs" not in summary:
            raise InputError(f"{folder} has no table of its runs")
        for name, mine, theirs in (
            ("experiment", experiment, other["experiment"]),
            ("corpus", provenance["corpus"].get("sha256"), other["corpus"].get("sha256")),
            ("settings", provenance["settings"], _known(other["settings"], provenance)),
        ):
            if mine != theirs:
                raise InputError(f"{folder} is of another {name}: {theirs!r}, not {mine!r}")
    runs = pd.concat([*(s["runs"] for _, s, _ in earlier), tables["runs"]], ignore_index=True)
    rounds = [
        {"tables": folder.name, "seeds": other["seeds"], "runs": len(other["runs"])}
        for folder, _, other in earlier
    ]
    judged = JUDGES[experiment]({**tables, "runs": runs})
    return {**tables, "verdicts": judged.round(6)}, {**provenance, "rounds": rounds}


def _known(settings: dict[str, Any], provenance: dict[str, Any]) -> dict[str, Any]:
    """The settings of an earlier round that the configuration still has."""
    return {name: settings.get(name) for name in provenance["settings"]}
