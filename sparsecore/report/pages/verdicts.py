"""What the notebooks say of their findings: their parts, and the verdicts.

The rule is that of ``book/registrations.md``, *Verdicts, second rule*; the code that judges is
:mod:`sparsecore.stats.judgement`.
"""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sparsecore.report.figures.causes import arm_in_words
from sparsecore.report.pages.parts import Study, checkout_folder, html_table, markdown
from sparsecore.runs.claims import format_value, read_claims
from sparsecore.runs.judged import parts_of
from sparsecore.stats.judgement import judge

OUTCOMES = {"yes": "true", "no": "false", "unsure": "open"}
KINDS = {"essential": "", "side": "side part: ", "shown": "not counted: "}
NOTE = (
    "In brackets: 95 % intervals, for a new training and new words or documents; fewer than "
    "three seeds have none. A part is <b>true</b> or <b>false</b> if the whole interval lies on "
    "one side of the bound that the rule sets, and <b>open</b> if it contains the bound or is not "
    "known. A finding <b>fails</b> if an essential part is false, <b>holds</b> if all essential "
    "and side parts are true, and holds <b>partly</b> if all essential ones are. It is <b>not "
    "tested at this size</b> if the runs could not have decided it, whatever they gave, and "
    "<b>undecided</b> if they could have, but the interval contains the bound."
)
VERDICTS = {
    "holds": "holds",
    "partly": "holds partly",
    "fails": "fails",
    "undecided": "is undecided",
    "not tested at this size": "is not tested at this size",
}
SEVERAL = {
    "holds": "hold",
    "partly": "hold partly",
    "fails": "fail",
    "undecided": "are undecided",
    "not tested at this size": "are not tested at this size",
}


def verdicts(page: Study, *numbers: int, scales: Mapping[str, str] | None = None) -> Any:
    """What the findings come to, as :func:`verdict_sentence`; above it :func:`parts_table`."""
    parts = parts_table(page, *numbers, scales=scales)
    if parts is not None:
        from IPython.display import display

        display(parts)
    return verdict_sentence(page, *numbers)


def verdict_sentence(page: Study, *numbers: int) -> Any:
    """``Finding 1 **holds** in the reference runs; in your runs it **fails** (the reason).``

    On the page as published the verdicts are the book's, which may rest on more runs than the page
    shows; beside the reader's runs they are those of the tables that the page compares.
    """
    decided = _decided(page.experiment) if page.own is None else {}
    groups: dict[tuple[str, str], list[int]] = {}
    for number in numbers:
        if number in decided:
            groups.setdefault(decided[number], []).append(number)
    where = " in the reference runs"
    sentences = []
    for (found, reason), known in groups.items():
        verb = (VERDICTS if len(known) == 1 else SEVERAL)[found]
        sentences.append(f"{_numbered(known)} **{verb}**{where}{_why(reason)}.")
        where = ""
    for number in numbers:
        if number in decided:
            continue
        said = []
        for shown, parts in _sides(page):
            name = f"the {shown}" if shown.startswith("reference") else shown
            found, reason = judge(parts[parts["finding"] == number])
            verb, why = f"**{VERDICTS[found]}**", _why(reason)
            said.append(f"in {name} it {verb}{why}" if said else f"{verb} in {name}{why}")
        sentences.append(f"Finding {number} {'; '.join(said)}.")
    return markdown(" ".join(sentences))


def _decided(experiment: str) -> dict[int, tuple[str, str]]:
    """The verdict on each finding of an experiment, and the reason, as the claims have them."""
    path = checkout_folder("book", "results") / "claims.toml"
    claims = read_claims(path) if path.is_file() else []
    named = [(claim.id.rpartition("-"), claim) for claim in claims if claim.verdict]
    return {int(n): (c.verdict, c.reason) for (of, _, n), c in named if of == experiment}


def _numbered(numbers: Sequence[int]) -> str:
    """Findings by their numbers, which ascend; three in a row as a range.

    >>> _numbered([2]), _numbered([4, 7]), _numbered([6, 8, 9, 10])
    ('Finding 2', 'Findings 4 and 7', 'Findings 6 and 8 to 10')
    """
    told: list[str] = []
    for _, row in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        known = [number for _, number in row]
        told += [f"{known[0]} to {known[-1]}"] if len(known) > 2 else map(str, known)
    listed = " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
    return f"Finding{'s' if len(numbers) > 1 else ''} {listed}"


def _why(reason: str) -> str:
    return f" ({arm_in_words(reason)})" if reason else ""


def parts_table(page: Study, *numbers: int, scales: Mapping[str, str] | None = None) -> Any:
    """The parts of these findings, in the reference runs and in the reader's; a note explains them.

    None on the page as published, where the page of verdicts has the table. Parts are paired by
    name; a dash stands where one side, a smaller study, lacks a part. ``scales`` names the methods
    by which a part is asked, where there are several: a line for each.
    """
    if page.own is None:
        return None
    sides = [(name, _cells(parts, numbers, scales)) for name, parts in _sides(page)]
    keys = sorted(dict.fromkeys(key for _, side in sides for key in side), key=lambda key: key[0])
    rows = [
        [str(finding), html.escape(part), *(side.get((finding, part), "–") for _, side in sides)]
        for finding, part in keys
    ]
    head = ["finding", "part of its rule", *(name for name, _ in sides)]
    return html_table(pd.DataFrame(rows, columns=head), escape=False, note=NOTE)


def _sides(page: Study) -> list[tuple[str, pd.DataFrame]]:
    """The parts of the findings in the reference runs and in the reader's, where shown."""
    found = []
    for name, tables in page.shown().items():
        parts = parts_of(page.experiment, tables)
        if parts is not None:
            found.append((name, parts))
    return found


def _cells(
    parts: pd.DataFrame, numbers: tuple[int, ...], scales: Mapping[str, str] | None
) -> dict[tuple[int, str], str]:
    """By finding and part: value, interval and outcome of each method, a line each."""
    lines: dict[tuple[int, str], list[str]] = {}
    for row in parts[parts["finding"].isin(numbers)].to_dict("records"):
        interval = None if math.isnan(row["low"]) else [row["low"], row["high"]]
        value = "–" if math.isnan(row["value"]) else format_value(row["value"], interval)
        name = (scales or {}).get(row["method"], "")
        part = KINDS[row["kind"]] + arm_in_words(row["part"])
        lines.setdefault((row["finding"], part), []).append(
            f"<div>{f'<small>{html.escape(name)}:</small> ' if name else ''}"
            f"<span class='value'>{value}</span> <i>{OUTCOMES[row['outcome']]}</i></div>"
        )
    return {key: "".join(each) for key, each in lines.items()}
