"""Directives that draw committed results when the book is built, so that no number is typed.

```{claims}               the claims of book/results/claims.toml with their verdicts
```{claims} emergent-     those whose id begins so
```{claim-details} ID     how one claim is decided: statistic, rule, every part, other corpora
```{reference-runs}       the runs behind them: text, command, hardware, time
```{costs} measured       how fast the language model was trained, by runs and benchmarks
```{costs} extrapolated   the time that larger texts would take at these speeds
"""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from sparsecore.errors import InputError, near_match
from sparsecore.experiments.emergent.config import Emergent
from sparsecore.runs import costs
from sparsecore.runs.claims import Claim, format_value, preset_name, read_claims

METHODS = {
    "pearson": "raw frequency",
    "pearson_log": "log frequency",
    "mean": "mean",
    "documents": "over test documents",
    "both": "over seeds and documents",
    "share": "share of the words",
}
KINDS = {"essential": "essential", "side": "side", "shown": "shown, not counted"}
TEXTS = {"227 million tokens": 227e6, "2 billion tokens": 2e9}
OUTCOMES = {"yes": "true", "no": "false", "unsure": "open"}


class Claims(SphinxDirective):
    """One row a claim: what the paper says, what our runs say, the verdict."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table."""
        prefix = self.arguments[0] if self.arguments else ""
        claims = [claim for claim in self.read() if claim.id.startswith(prefix)]
        rows = [
            [_claim(c), _text(c.paper_value), _ours(c), verdict_badge(c.verdict)] for c in claims
        ]
        return [table(["Finding", "In the paper", "Here", "Verdict"], rows, "claims")]

    def read(self) -> list[Claim]:
        """All claims; what is wrong with the file is one line at the directive."""
        path = Path(self.env.srcdir) / "book" / "results" / "claims.toml"
        self.env.note_dependency(str(path))
        try:
            return read_claims(path)
        except InputError as error:
            raise self.error(str(error)) from None


class ClaimDetails(Claims):
    """How one claim is decided."""

    optional_arguments = 0
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Statistic, rule and verdict, then the parts."""
        claims = {claim.id: claim for claim in self.read()}
        name = self.arguments[0]
        if name not in claims:
            raise self.error(f"there is no claim {name!r}{near_match(name, claims)}")
        claim = claims[name]
        told = nodes.field_list(classes=["claim-details"])
        for label, body in (
            ("Statistic", _text(claim.statistic)),
            ("Rule", _text(claim.rule)),
            ("Verdict", _text(claim.reason and f"{claim.verdict}: {claim.reason}")),
            ("Before", _before(claim)),
            ("Note", _text(claim.note)),
        ):
            if body.astext():
                told += nodes.field("", nodes.field_name("", label), nodes.field_body("", body))
        parts: list[list[nodes.Node]] = [
            [
                _text(part["part"]),
                _text(KINDS.get(part.get("kind", ""))),
                _text(METHODS.get(part["method"])),
                _text(format_value(part.get("value"), part.get("interval"))),
                _text(OUTCOMES.get(part["outcome"])),
            ]
            for part in claim.parts
        ]
        shown = (
            [table(["Part of the rule", "Counts as", "Of", "Value", "Is"], parts, "parts")]
            if parts
            else []
        )
        return [told, *shown]


class ReferenceRuns(SphinxDirective):
    """The runs behind the claims and the figures of the chapters, from their provenance files."""

    def run(self) -> list[nodes.Node]:
        """One row a folder of reference tables; a sentence where there is none yet."""
        root = Path(self.env.srcdir) / "book" / "results"
        rows = []
        for path in sorted(root.glob("*/*/provenance.json")):
            self.env.note_dependency(str(path))
            provenance = json.loads(path.read_text(encoding="utf-8"))
            # tables across experiments: the classifiers have a folder of their own
            rows += [_run_row(path, own) for own in provenance.get("language_models", [provenance])]
        if not rows:
            return [_text("There are no reference runs yet.")]
        return [
            table(["Text", "Command", "Runs", "Seeds", "Hardware", "Minutes a run"], rows, "runs")
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
    """One row a measurement."""
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
    header = ["Measured on", "Text or sizes", "Hardware", "Threads", "Times", "Tokens a second"]
    return table(header, rows, "costs")


def extrapolated_costs(speeds: list[dict[str, Any]], passes: int) -> nodes.Node:
    """One row a measurement: one pass over each of the larger texts, and a whole run."""
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
    each = [f"{text}, {what}" for text in TEXTS for what in ("one pass", f"{passes} passes")]
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


def _run_row(path: Path, provenance: dict[str, Any]) -> list[nodes.Node]:
    corpus = provenance["corpus"]
    name = str(corpus.get("name", path.parent.name))
    preset, *changed = preset_name(provenance).split(", ")
    several = len(provenance["runs"]) > 1
    command = "sweep" if several else "run"
    words = ["sparsecore", command, provenance["experiment"], "--preset", preset, "--corpus", name]
    for setting in changed:
        field, value = setting.split("=", 1)
        words += ["--" + field.replace("_", "-"), value]
    if several and not provenance["varied"]:
        words += ["--seeds", str(len(provenance["seeds"]))]
    minutes = [float(value) for value in provenance["minutes"] if value is not None]
    return [
        _text(name),
        nodes.paragraph("", "", nodes.literal("", shlex.join(words))),
        _text(len(provenance["runs"])),
        _text(", ".join(map(str, provenance["seeds"]))),
        _text(", ".join(filter(None, provenance["devices"]))),
        _text(_range(minutes)),
    ]


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


def _claim(claim: Claim) -> nodes.Node:
    where = nodes.inline("", f" {claim.where}", classes=["where"])
    return nodes.paragraph("", "", nodes.Text(claim.claim), where)


def _ours(claim: Claim) -> nodes.Node:
    """The value on each corpus, a line each."""
    if claim.value is None:
        return _text("–")
    block = nodes.line_block(classes=["ours"])
    for result in [claim_result(claim), *claim.elsewhere]:
        value = format_value(result.get("value"), result.get("interval"))
        corpus = nodes.inline("", f" {result.get('corpus', '')}", classes=["where"])
        block += nodes.line("", "", nodes.Text(value), corpus)
    return block


def _before(claim: Claim) -> nodes.Node:
    """The verdicts that it had, a line each: by which rule, and why that was changed."""
    block = nodes.line_block()
    for entry in claim.earlier:
        value = format_value(entry.get("value"), entry.get("interval"))
        told = f"{entry['verdict']}, {value}, by the rule “{entry['rule']}” "
        block += nodes.line("", f"{told}Changed because: {entry['because']}.")
    return block


def claim_result(claim: Claim) -> dict[str, Any]:
    """The main result of a claim in the form of those elsewhere."""
    return {"value": claim.value, "interval": claim.interval, "corpus": claim.corpus}


def verdict_badge(verdict: str) -> nodes.Element:
    """The verdict as a word in a coloured ring; the word says all that the colour does."""
    badge = nodes.inline("", verdict, classes=["verdict", f"verdict-{verdict.replace(' ', '-')}"])
    return nodes.paragraph("", "", badge)


def _text(text: object) -> nodes.Node:
    return nodes.paragraph("", str(text or ""))


def table(header: list[str], rows: list[list[nodes.Node]], kind: str) -> nodes.Element:
    """A table that scrolls sideways by itself where a page is too narrow for it."""
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    group += nodes.thead("", _row([_text(name) for name in header]))
    group += nodes.tbody("", *(_row(row) for row in rows))
    drawn = nodes.table("", group, classes=[kind])
    return nodes.container("", drawn, classes=["table-scroll"])


def _row(cells: list[Any]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("claims", Claims)
    app.add_directive("claim-details", ClaimDetails)
    app.add_directive("reference-runs", ReferenceRuns)
    app.add_directive("costs", Costs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
