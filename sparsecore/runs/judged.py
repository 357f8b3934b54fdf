"""The parts of the findings, from the tables of any experiment that has a rule for them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from sparsecore.errors import InputError
from sparsecore.experiments.registry import EXPERIMENTS, part_of
from sparsecore.stats.tables import Summary


def _rules(experiment: str) -> ModuleType | None:
    """The module ``findings`` of an experiment, registered or not; None where there is none."""
    if not experiment.isidentifier():
        return None
    package = f"sparsecore.experiments.{experiment}"
    try:
        return importlib.import_module(f"{package}.findings")
    except ModuleNotFoundError as error:
        if error.name not in (package, f"{package}.findings"):
            raise
        return None


def tuning_seed(experiment: str) -> int | None:
    """The seed that chose settings, and counts as a seed of no study; None where none did."""
    config = part_of(experiment, "config") if experiment in EXPERIMENTS else None
    return getattr(config, "TUNING_SEED", None)


def parts_of(experiment: str, tables: Summary) -> pd.DataFrame | None:
    """The table ``verdicts`` of a summary, made from its other tables if it is not there.

    None for an experiment that has no rule for its tables (``verdict_parts`` in its ``findings``).
    """
    if "verdicts" in tables:
        return tables["verdicts"]
    decide = getattr(_rules(experiment), "verdict_parts", None)
    return None if decide is None else decide(tables)


def studies_of(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """What is known of the runs: of one study, or of each that tables across experiments are of."""
    if "language_models" not in provenance:
        return [provenance]
    return [*provenance["language_models"], provenance["classifiers"]]


def study_seeds(provenance: dict[str, Any]) -> list[int]:
    """The seeds that count: of these runs and of the rounds before, without those that tuned."""
    rounds = [*studies_of(provenance), *provenance.get("rounds", [])]
    seeds = {int(seed) for one in rounds for seed in one["seeds"]}
    return sorted(seeds - {tuning_seed(provenance["experiment"])})


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
    rules = _rules(experiment)
    if rules is None or not hasattr(rules, "FROM_RUNS"):
        known = ", ".join(name for name in EXPERIMENTS if hasattr(_rules(name), "FROM_RUNS"))
        raise InputError(f"rounds of {experiment} cannot be put together; those of {known} can")
    for folder, summary, other in earlier:
        # those that the configuration still has
        settings = {name: other["settings"].get(name) for name in provenance["settings"]}
        if "runs" not in summary:
            raise InputError(f"{folder} has no table of its runs")
        for name, mine, theirs in (
            ("experiment", experiment, other["experiment"]),
            ("corpus", provenance["corpus"].get("sha256"), other["corpus"].get("sha256")),
            ("settings", provenance["settings"], settings),
        ):
            if mine != theirs:
                raise InputError(f"{folder} is of another {name}: {theirs!r}, not {mine!r}")
    each = [*(summary["runs"] for _, summary, _ in earlier), tables["runs"]]
    runs = pd.concat(each, ignore_index=True)
    rounds = [
        {"tables": folder.name, "seeds": other["seeds"], "runs": len(other["runs"])}
        for folder, _, other in earlier
    ]
    judged = rules.verdict_parts({**tables, "runs": runs})
    return {**tables, "verdicts": judged.round(6)}, {**provenance, "rounds": rounds}
