"""Directives that tell of the runs behind the book, from their provenance files.

```{reference-runs}       the runs behind the claims: how they are made, hardware, time
```{reference-runs} emergent   those of one experiment
```{costs} measured       how fast the language model was trained, by runs and benchmarks
```{costs} extrapolated   the time that larger texts would take at these speeds
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import costs
from claims import seeds_of
from committed import read_claims
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from tables import plain as _text
from tables import table

from sparsecore.experiments.emergent.config import Emergent
from sparsecore.runs.claims import Claim, preset_name
from sparsecore.runs.studies import read_studies

TEXTS = {"227 million tokens": 227e6, "2 billion tokens": 2e9}


class ReferenceRuns(SphinxDirective):
    """The runs behind the claims and the figures of the chapters, from their provenance files."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """One row per folder of reference tables; a sentence where there is none yet."""
        experiment = self.arguments[0] if self.arguments else "*"
        root = Path(self.env.srcdir) / "book" / "results"
        self.env.note_dependency(str(root / "claims.toml"))
        claims = read_claims(root / "claims.toml")
        rows = []
        for path in sorted(root.glob(f"{experiment}/*/provenance.json")):
            self.env.note_dependency(str(path))
            provenance = json.loads(path.read_text(encoding="utf-8"))
            if "experiment" not in provenance:  # nothing was trained: a pretrained model
                continue
            rows.append(_run_row(path, provenance, claims))
        if not rows:
            return [_text("There are no reference runs yet.")]
        return [
            table(
                [
                    "Tables",
                    "Decide findings",
                    "Made by",
                    "Runs",
                    "Seeds",
                    "Hardware",
                    "Minutes per run",
                ],
                rows,
                "runs",
            )
        ]


class Costs(SphinxDirective):
    """Measured speeds, or what follows from them for larger texts."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table."""
        root = Path(self.env.srcdir)
        for path in [*root.glob("book/results/emergent/*/*.json"), *root.glob("benchmarks/*/*/*")]:
            self.env.note_dependency(str(path))
        speeds: Any = costs.measured_speeds(root).to_dict("records")
        if self.arguments[0] == "measured":
            return [measured_costs(speeds)]
        return [extrapolated_costs(speeds, costs.passes(Emergent.preset("paper")))]


def measured_costs(speeds: list[dict[str, Any]]) -> nodes.Node:
    """One row per measurement."""
    rows = [
        [
            _text({"run": "whole runs", "benchmark": "training step"}[str(row["source"])]),
            _text(row["name"]),
            _text(row["device_name"]),
            _text(row["threads"]),
            _text(row["runs"]),
            _text(f"{row['tokens_per_second']:,.0f}"),
        ]
        for row in speeds
    ]
    header = [
        "Measured on",
        "Text or sizes",
        "Hardware",
        "Threads",
        "Runs or rounds",
        "Tokens per second",
    ]
    return table(header, rows, "costs")


def extrapolated_costs(speeds: list[dict[str, Any]], passes: int) -> nodes.Node:
    """One row per measurement: one pass over each of the larger texts, and a whole run."""
    rows = []
    for row in speeds:
        hours = [
            costs.extrapolated_hours(tokens, count, row["tokens_per_second"])
            for tokens in TEXTS.values()
            for count in (1, passes)
        ]
        rows.append(
            [_text(f"{row['name']}; {row['device_name']}"), *(_text(_days(h)) for h in hours)]
        )
    whole = f"{passes - 1} epochs and the untrained pass (epoch 0)"
    each = [f"{text}, {what}" for text in TEXTS for what in ("one pass", whole)]
    return table(["At the speed of", *each], rows, "costs")


def _days(hours: float) -> str:
    """Two digits, in the unit that suits.

    >>> _days(0.5), _days(30.2), _days(100.0), _days(20000.0)
    ('0.5 hours', '30 hours', '4.2 days', '2.3 years')
    """
    units = (("hours", 1, 48), ("days", 24, 24 * 365), ("years", 24 * 365, math.inf))
    unit, length = next((unit, length) for unit, length, limit in units if hours < limit)
    number = f"{float(f'{hours / length:.2g}'):g}"
    return f"{number} {unit.removesuffix('s') if number == '1' else unit}"


def _run_row(
    path: Path, provenance: dict[str, Any], claims: Sequence[Claim] = ()
) -> list[nodes.Node]:
    # tables across experiments: the classifiers have a folder of their own
    parts = provenance.get("language_models", [provenance])
    study = _study_of(path.parent)
    minutes = [float(value) for part in parts for value in part["minutes"] if value is not None]
    devices = dict.fromkeys(device for part in parts for device in part["devices"] if device)
    return [
        _text(f"{path.parent.parent.name}/{path.parent.name}"),
        _text(decided_by(path, claims) or "–"),
        nodes.paragraph("", "", nodes.literal("", study or _command(path, provenance))),
        _text(sum(len(part["runs"]) for part in parts)),
        _text(_counted(parts[0]["seeds"])),
        _text(", ".join(devices)),
        _text(_range(minutes)),
    ]


def _command(path: Path, provenance: dict[str, Any]) -> str:
    """What made tables that are of no study."""
    name = str(provenance["corpus"].get("name", path.parent.name))
    preset, *changed = preset_name(provenance).split(", ")
    several = len(provenance["runs"]) > 1
    command = "sweep" if several else "run"
    words = ["sparsecore", command, provenance["experiment"], "--preset", preset, "--corpus", name]
    for setting in changed:
        field, value = setting.split("=", 1)
        words += ["--" + field.replace("_", "-"), value]
    if several and not provenance["varied"]:
        words += ["--seeds", str(len(provenance["seeds"]))]
    return shlex.join(words)


def decided_by(path: Path, claims: Sequence[Claim]) -> str:
    """The numbers of the findings whose verdict rests on the tables beside ``path``.

    On those of an earlier round too, where more seeds decide than the last round has, and on those
    of a text of equal standing.
    """
    own, found = f"{path.parent.parent.name}-", []
    for claim in claims:
        if claim.id.startswith(own) and claim.tables:
            names, last = [claim.tables], path.parents[1] / claim.tables / path.name
            if path.parent.name != claim.tables and last.exists():
                known = json.loads(last.read_text(encoding="utf-8"))
                if seeds_of(claim) > len(known["seeds"]):
                    names += [one["tables"] for one in known.get("rounds", [])]
            names += [part["tables"] for part in claim.parts if "tables" in part]
            if path.parent.name in names:
                found.append(claim.id.removeprefix(own))
    return ", ".join(found)


def _counted(seeds: Sequence[int]) -> str:
    """``0, 1, 2``; ``4–33`` where more than four follow one another and there are no others."""
    whole = len(seeds) > 4 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}\u2013{seeds[-1]}" if whole else ", ".join(map(str, seeds))


def _study_of(folder: Path) -> str | None:
    """The study of ``studies.toml`` that these tables are of."""
    tables = f"{folder.parent.name}/{folder.name}"
    listed = read_studies(Path(__file__).parents[1] / "results" / "studies.toml")
    return next((study.name for study in listed if study.tables == tables), None)


def _range(minutes: list[float]) -> str:
    """The least and the most, in whole minutes where there are any.

    >>> _range([0.4, 0.62]), _range([28.6, 31.2]), _range([104.0]), _range([])
    ('0.4–0.6', '29–31', '104', '–')
    """
    if not minutes:
        return "–"
    digits = 1 if max(minutes) < 10 else 0
    ends = [f"{value:.{digits}f}" for value in (min(minutes), max(minutes))]
    return "–".join(dict.fromkeys(ends))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("reference-runs", ReferenceRuns)
    app.add_directive("costs", Costs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
