"""Directives that draw the claims of ``book/results/claims.toml`` when the book is built.

```{claims}               a row a claim: what decides it, the verdict and its reason, the page
```{claims} emergent-     those whose id begins so, with the size of our runs beside the paper's
```{claim-tally}          how many of the papers' findings, and of our own, have which verdict
```{claim-details} ID     how one claim is decided: statistic, rule, every part, other corpora
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from committed import read_claims
from docutils import nodes
from names import label_of, part_in_words, round_of, run_size, text_name
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from tables import plain, table

from sparsecore.errors import InputError, near_match
from sparsecore.report.pages.verdicts import OUTCOMES
from sparsecore.runs.claims import Claim, format_value
from sparsecore.runs.judged import studies_of, tuning_seed
from sparsecore.stats.judgement import DIVIDED, agreed, merged
from sparsecore.stats.verdict import NOT_TESTED, VERDICTS

METHODS = {
    "pearson": "raw frequency",
    "pearson_log": "log frequency",
    "training": "in training",
    "held out": "held out",
    "documents": "over test documents",
    "both": "over seeds and documents",
    "share": "share of the words",
}
KINDS = {"essential": "essential", "side": "side", "shown": "shown, not counted"}
SIZES = {  # of the papers' runs, as the papers give them
    "emergent": "227 million words of Wikipedia, 50 times",
    "tagging": "the Wall Street Journal, about a million words",
    "language": "the Penn Treebank, 0.9 million words, 500 times; 24 million parameters",
    "reciting": "0.9 million words to learn; 24 million parameters",
    "sentiment": "some thousand reviews of each kind; vectors of 300 numbers, and BERT",
}
PAGES = {  # where a claim is looked at
    "emergent-1": "emergent_targets",
    "emergent-2": "emergent_targets",
    "emergent-3": "emergent_inputs",
    "emergent-4": "emergent_inputs",
    "emergent-5": "emergent_inputs",
    "emergent-6": "emergent_classes",
    "emergent-7": "emergent_words",
    "emergent-8": "emergent_explanations",
    "tagging": "predefined_tagging",
    "language": "predefined_language",
    "reciting": "predefined_reciting",
    "sentiment": "learned_tradeoff",
    "crossing": "crossing_papers",
    "causes": "causes_frequency",
}
SMALL = 0.01  # values that are all below it are told in thousandths
PLURAL = {"holds": "hold", "partly": "hold partly", "fails": "fail"}
OURS = "this book"  # in place of a paper, for questions of our own


class Claims(SphinxDirective):
    """One row a claim: what the paper says, what our runs say, the verdict."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The sizes of the runs, and the table."""
        prefix = self.arguments[0] if self.arguments else ""
        claims = [claim for claim in self.read() if claim.id.startswith(prefix)]
        rows = [[_claim(c, self.env.docname), _ours(c), _judged(c)] for c in claims]
        shown = table(["Finding", "What decides it, here", "Verdict"], rows, "claims")
        sizes = self._sizes(claims, prefix.rstrip("-")) if prefix else None
        return [*([sizes] if sizes else []), shown]

    def read(self) -> list[Claim]:
        """All claims; what is wrong with the file is one line at the directive."""
        path = Path(self.env.srcdir) / "book" / "results" / "claims.toml"
        self.env.note_dependency(str(path))
        try:
            return read_claims(path)
        except InputError as error:
            raise self.error(str(error)) from None

    def _sizes(self, claims: Sequence[Claim], experiment: str) -> nodes.Node | None:
        """A line: how large the runs are whose values are shown, and the paper's."""
        root = Path(self.env.srcdir) / "book" / "results" / experiment
        decide = [claim.tables for claim in claims]
        beside = [one for c in claims for one in [*c.parts, *c.elsewhere] if "tables" in one]
        shown = dict.fromkeys([*decide, *(one["tables"] for one in beside)])
        known: dict[str, list[str]] = {}
        for path in (root / name / "provenance.json" for name in shown if name):
            self.env.note_dependency(str(path))
            provenance = json.loads(path.read_text(encoding="utf-8"))
            counted = max((seeds_of(c) for c in claims if c.tables == path.parent.name), default=0)
            studies = studies_of(provenance)
            for one in studies:
                name = round_of(str(one["corpus"].get("name")), path.parent.name)
                tuned = tuning_seed(str(one.get("experiment", "")))
                own = len(set(one["seeds"]) - {tuned})
                seeds = counted if counted and len(studies) == 1 else own
                size, named = run_size(one, seeds), name if len(shown) > 1 else ""
                known.setdefault(size, []).append(named)
        if not known:
            return None
        sizes = [
            f"{size} ({'; '.join(rounds)})" if any(rounds) else size
            for size, rounds in known.items()
        ]
        told = f"Our runs: {'; '.join(sizes)}."
        if experiment in SIZES:
            told += f" The paper\u2019s: {SIZES[experiment]}."
        return nodes.paragraph("", told, classes=["sizes"])


class ClaimTally(Claims):
    """How many findings have which verdict."""

    optional_arguments = 0

    def run(self) -> list[nodes.Node]:
        """A line for the papers, a line for our own."""
        claims = self.read()
        sides = (
            ("findings of the three papers", [c for c in claims if c.paper != OURS]),
            ("of our own", [c for c in claims if c.paper == OURS]),
        )
        block = nodes.container("", classes=["tally"])
        for what, own in sides:
            line = nodes.paragraph("", "", nodes.strong("", f"{len(own)} {what}: "))
            line += tally(claim.verdict for claim in own)
            block += line
        return [block]


class ClaimDetails(Claims):
    """How one claim is decided."""

    optional_arguments = 0
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The claim, statistic, rule and verdict, then the parts."""
        claims = {claim.id: claim for claim in self.read()}
        name = self.arguments[0]
        if name not in claims:
            raise self.error(f"there is no claim {name!r}{near_match(name, claims)}")
        claim = claims[name]
        verdict = nodes.paragraph("", "", *verdict_badge(claim.verdict).children)
        if claim.reason:
            verdict += nodes.Text(f" {part_in_words(claim.reason)}")
        told = nodes.field_list(classes=["claim-details"])
        for label, body in (
            ("Claim", plain(claim.claim)),
            ("Paper", plain(claim.paper_value)),
            ("Statistic", plain(claim.statistic.replace(" (the value given)", ""))),
            ("Rule", plain(claim.rule)),
            ("Verdict", verdict),
            ("Before", _before(claim, claims.values())),
            ("Note", plain(claim.note)),
        ):
            if body.astext():
                told += nodes.field("", nodes.field_name("", label), nodes.field_body("", body))
        parts: list[list[nodes.Node]] = [
            [
                plain(part_in_words(part["part"])),
                plain(KINDS.get(part.get("kind", ""))),
                plain(_measure(part, claim)),
                plain(_value(part)),
                plain(OUTCOMES.get(part["outcome"])),
            ]
            for part in claim.parts
        ]
        header = ["Part of the rule", "Counts as", "Measure", "Value", "Result"]
        filled = [n for n in range(len(header)) if any(row[n].astext() for row in parts)]
        rows = [[row[n] for n in filled] for row in parts]
        return [told, *([table([header[n] for n in filled], rows, "parts")] if parts else [])]


def tally(verdicts: Iterable[str]) -> list[nodes.Node]:
    """``4 hold, 2 fail, …`` as badges with their numbers, most telling first."""
    counts = Counter(verdicts)
    told: list[nodes.Node] = []
    for name in VERDICTS:
        if count := counts[name]:
            what = name if count == 1 else PLURAL.get(name, name)
            told += [nodes.Text(" " if told else ""), _badge(name, f"{count} {what}")]
    return told


def deciding(claim: Claim) -> list[dict[str, Any]]:
    """The part on which the verdict turns, a row for each method that asks it.

    Of a failure the first false part, of what is undecided the first open one, else the first
    essential part that has a value. Where none has, the first part that is shown without counting.
    """
    essential = [part for part in claim.parts if part.get("kind", "essential") == "essential"]
    turning = {"fails": "no", "undecided": "unsure"}.get(claim.verdict)
    known = {part["part"] for part in essential if part["outcome"] == "yes"}
    found = [p for p in essential if p["outcome"] == turning and p["part"] not in known]
    if claim.verdict == NOT_TESTED:
        found = [part for part in essential if claim.reason.startswith(part["part"])]
    choices = [*found, *essential, *(p for p in claim.parts if p.get("kind") == "shown")]
    name = next((part["part"] for part in choices if part.get("value") is not None), None)
    return [part for part in claim.parts if part["part"] == name]


def seeds_of(claim: Claim) -> int:
    """How many seeds decide, of all rounds; 0 where it is not known."""
    models = max((int(part.get("seeds") or 0) for part in deciding(claim)), default=0)
    return min(models, len(claim.seeds))


def _claim(claim: Claim, docname: str) -> nodes.Node:
    """What is claimed, where, and a link to the page that looks at it."""
    where = nodes.inline("", f" {claim.where}. ", classes=["where"])
    page = PAGES.get(claim.id) or PAGES.get(claim.id.rpartition("-")[0])
    told = nodes.paragraph("", "", nodes.Text(claim.claim), where)
    if page:
        target = f"/notebooks/executed/{page}"
        link = addnodes.pending_xref(
            "", nodes.inline("", "The page"), refdomain="std", reftype="doc", reftarget=target,
            refdoc=docname, refexplicit=True, refwarn=True,
        )  # fmt: skip
        where += link
    return told


def _ours(claim: Claim) -> nodes.Node:
    """The deciding part and its value by each method; the paper's; the value on other corpora."""
    parts = deciding(claim)
    block = nodes.line_block(classes=["ours"])
    if parts:
        shown = "" if parts[0].get("kind", "essential") == "essential" else " (shown only)"
        block += nodes.line("", f"{part_in_words(parts[0]['part'])}{shown}")
    for part in parts:
        named = [METHODS.get(part["method"], "")] if len(parts) > 1 else []
        later = round_of(claim.corpus, claim.tables) not in ("", "first round")
        several = later or claim.elsewhere or len(_texts(claim)) > 1
        named += [label_of(vars(claim) | part)] if several else []
        label = nodes.inline("", f" {', '.join(named)}" if named else "", classes=["where"])
        block += nodes.line("", "", nodes.strong("", _value(part)), label)
    for other in claim.elsewhere:
        if other.get("value") is not None:
            label = nodes.inline("", f" {label_of(other)}", classes=["where"])
            block += nodes.line("", "", nodes.Text(_value(other)), label)
    paper = nodes.inline("", f"paper: {claim.paper_value}", classes=["where"])
    if claim.paper != OURS:
        block += nodes.line("", "", paper)
    return block if block.children else plain("–")


def _texts(claim: Claim) -> list[str]:
    """The texts whose parts decide it: the main one, and those of equal standing."""
    return list(dict.fromkeys(part.get("corpus", claim.corpus) for part in claim.parts))


def _measure(part: dict[str, Any], claim: Claim) -> str:
    """By which method a part is asked, and on which text where there are several."""
    texts = [label_of(vars(claim) | part)] if len(_texts(claim)) > 1 else []
    return ", ".join(name for name in [METHODS.get(part["method"], ""), *texts] if name)


def _value(result: dict[str, Any]) -> str:
    """A value and its interval; in thousandths where all of it is small.

    >>> _value({"value": -0.0017, "interval": [-0.0029, -0.00001]})
    '−1.7 [−2.9, −0.0] thousandths'
    """
    value, interval = result.get("value"), result.get("interval")
    if value is None or not interval or max(map(abs, interval)) >= SMALL:
        return format_value(value, interval)
    numbers = (round(1e3 * value, 1) + 0.0, *(1e3 * end for end in interval))
    value, low, high = (f"{number:.1f}".replace("-", "−") for number in numbers)
    return f"{value} [{low}, {high}] thousandths"


def _judged(claim: Claim) -> nodes.Node:
    """The verdict, and one line why."""
    why = {
        "holds": "every part of its rule is true",
        "partly": "its essential parts are true, a side part is not",
        "fails": "this essential part is false",
        "undecided": "this essential part is open: its interval contains the bound",
    }.get(claim.verdict, "")
    if claim.verdict == "partly":
        why = _contradiction(claim) or why
    if claim.verdict == "holds":
        further = [_true_in_places(claim) or why, *map(_otherwise, claim.elsewhere)]
        why = "; ".join(filter(None, further))
    if claim.verdict == "fails" and (where := _places(claim, deciding(claim), "no")):
        why = f"this essential part is false on {where}"
    told = verdict_badge(claim.verdict)
    told += nodes.inline("", f" {part_in_words(claim.reason) or why}", classes=["why"])
    return told


def _contradiction(claim: Claim) -> str:
    """Which essential part is divided, and by what; empty if none is."""
    for name in dict.fromkeys(part["part"] for part in claim.parts if part["kind"] == "essential"):
        by_text: dict[str, list[str]] = {}
        for part in claim.parts:
            if part["part"] == name:
                by_text.setdefault(part.get("corpus", ""), []).append(part["outcome"])
        outcomes = [merged(found) for found in by_text.values()]
        if agreed(outcomes) == DIVIDED:
            sides = "the two texts" if {"yes", "no"} <= {*outcomes} else "raw and log frequency"
            return f"{sides} contradict each other: {name}"
    return ""


def _true_in_places(claim: Claim) -> str:
    """Where each part that counts is true, if one of them is not true everywhere."""
    counted = [part for part in claim.parts if part.get("kind") in ("essential", "side")]
    names = list(dict.fromkeys(part["part"] for part in counted))
    rows = {name: [part for part in counted if part["part"] == name] for name in names}
    where = {name: _places(claim, rows[name], "yes") for name in names}
    if not any(where.values()):
        return ""
    number = {1: "its part counts", 2: "both parts count"}.get(len(names), "all parts count")
    told = [f"{name}, on {where[name]} only" if where[name] else name for name in names]
    return f"{number} as true by the rule: {'; '.join(told)}"


def _otherwise(other: dict[str, Any]) -> str:
    """What other runs say of a claim that holds, if they tested it and it does not hold there."""
    same = other["verdict"] in ("holds", NOT_TESTED)
    return "" if same else f"{label_of(other)}: {other['verdict']}"


def _places(claim: Claim, rows: Sequence[dict[str, Any]], outcome: str) -> str:
    """On which frequency or text, of several, a part has an outcome; empty if on all."""
    found = [part for part in rows if part["outcome"] == outcome]
    if len(found) in (0, len(rows)):
        return ""
    if len(_texts(claim)) == 1:
        return " and ".join(METHODS.get(part["method"], "") for part in found)
    by_text = {}
    for text in _texts(claim):
        own = [part for part in rows if part.get("corpus", claim.corpus) == text]
        which = [METHODS.get(part["method"], "") for part in own if part in found]
        if which:
            by_text[text_name(text)] = which[0] if len(which) < len(own) else ""
    scales = {*by_text.values()}
    if len(by_text) == len(_texts(claim)) > 1 and len(scales) == 1:
        return scales.pop()  # the same on all texts
    return " and ".join(f"{text}{f' ({on})' if on else ''}" for text, on in by_text.items())


def _before(claim: Claim, claims: Collection[Claim]) -> nodes.Node:
    """The verdicts that it had, folded: by which rule, and why that was changed.

    A reason that several findings of an experiment share is given with the first of them.
    """
    if not claim.earlier:
        return nodes.paragraph()
    block = nodes.line_block()
    for entry in claim.earlier:
        told = f"{entry['verdict']}, {_value(entry)}, by the rule “{entry['rule']}”"
        own = (c for c in claims if c.id.rpartition("-")[0] == claim.id.rpartition("-")[0])
        first = next(c for c in own for e in c.earlier if e["because"] == entry["because"])
        why = f"Changed because: {entry['because']}."
        if first.id != claim.id:
            why = f"Changed for the reason given with finding {first.id.rpartition('-')[2]}."
        block += nodes.line("", f"{told} {why}")
    count = len(claim.earlier)
    summary = "an earlier verdict" if count == 1 else f"{count} earlier verdicts"
    opened = f'<details class="before"><summary>{summary}</summary>'
    folded = nodes.container()
    folded += [nodes.raw("", opened, format="html"), block]
    folded += nodes.raw("", "</details>", format="html")
    return folded


def verdict_badge(verdict: str) -> nodes.Element:
    """The verdict as a word in a coloured ring; the word says all that the colour does."""
    return nodes.paragraph("", "", _badge(verdict, verdict))


def _badge(verdict: str, text: str) -> nodes.inline:
    return nodes.inline("", text, classes=["verdict", f"verdict-{verdict.replace(' ', '-')}"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("claims", Claims)
    app.add_directive("claim-tally", ClaimTally)
    app.add_directive("claim-details", ClaimDetails)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
