"""What the notebooks of all parts show: a study beside the reference runs, tables, sentences.

Numbers in sentences come from the tables; where there is no reference yet, the sentence says so.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import sparsecore
from sparsecore.errors import InputError, near_match, one_line
from sparsecore.runs.claims import format_value
from sparsecore.runs.reference import Summary, read_provenance, read_summary, summary_of
from sparsecore.runs.store import Run
from sparsecore.runs.sweep import run_all, study_of
from sparsecore.stats.verdict import verdict

PUBLISHED = "quick"  # the preset of the notebooks as the book shows them
_MARKUP = re.compile(r"([\\`*_{}\[\]<>$|~#&!^])")
OUTCOMES = {"yes": "true", "no": "false", "unsure": "open"}
OUTCOMES_NOTE = (
    "<b>true</b>, <b>false</b>: the whole 95 % interval, in brackets, lies on one side of what the "
    "finding's rule asks for. <b>open</b>: it lies on both sides, so the runs cannot tell. A "
    "finding <b>holds</b> if all its parts are true and <b>holds partly</b> if some are; it "
    "<b>fails</b> if none is true and some are false, and <b>is undecided</b> if all are open."
)
VERDICTS = {
    "holds": "holds",
    "partly": "holds partly",
    "fails": "fails",
    "undecided": "is undecided",
}


@dataclass(frozen=True)
class Study:
    """The reader's runs and their tables, and those of the reference runs (None where absent).

    ``executed``: with a preset or a parameter of the reader's own (:func:`executed_anew`).
    """

    runs: list[Run]
    yours: Summary
    reference: Summary | None
    provenance: dict[str, Any] | None
    preset: str
    executed: bool = True

    @property
    def main(self) -> Summary:
        """The reference tables, or the reader's where there are none yet."""
        return self.yours if self.reference is None else self.reference

    @property
    def own(self) -> Summary | None:
        """The reader's tables where the page is to show them; None on the page as published."""
        return self.yours if self.executed or self.reference is None else None


def open_study(experiment: str, preset: str, reference: str, **overrides: Any) -> Study:
    """Compute (or find) the runs of an experiment's study; read the reference tables beside it.

    ``overrides``: fields of the experiment's configuration; None leaves the preset's. InputError
    for an unknown preset, field or reference.
    """
    folder = reference_folder(experiment, reference)
    runs = run_all(study_of(experiment, preset, **overrides), progress=False)
    theirs, known = read_summary(folder), read_provenance(folder)
    executed = executed_anew(preset, overrides)
    return Study(runs, summary_of(runs), theirs, known, preset, executed)


def executed_anew(preset: str, overrides: Mapping[str, Any]) -> bool:
    """Whether a page runs with anything but the published preset and parameters.

    A parameter that is None, seed 0 and the device leave the published run as it is.

    >>> executed_anew("quick", {"seed": 0, "corpus": None, "device": "cuda"})
    False
    >>> executed_anew("quick", {"seed": 0, "corpus": "ptb"})
    True
    """
    given = {name for name, value in overrides.items() if value not in (None, 0, {})}
    return preset != PUBLISHED or bool(given - {"device"})


def reference_folder(experiment: str, name: str) -> Path:
    """``book/results/EXPERIMENT/NAME`` of the checkout; need not exist if there is no other yet."""
    base = checkout_folder("book", "results", experiment)
    known = sorted(p.name for p in base.iterdir() if p.is_dir()) if base.is_dir() else []
    if known and name not in known:
        raise InputError(f"no reference tables {name!r}{near_match(name, known)}")
    return base / name


def checkout_folder(*names: str) -> Path:
    """A folder of the checkout that the page is made in, or of the library's own."""
    roots = [Path.cwd(), *Path.cwd().parents, Path(sparsecore.__file__).parents[1]]
    found = [root.joinpath(*names) for root in roots]
    return next((path for path in found if path.is_dir()), found[-1])


def parts_table(
    yours: Summary | None,
    reference: Summary | None,
    *numbers: int,
    scales: Mapping[str, str] | None = None,
    whose: Sequence[str] = ("reference runs", "your run"),
) -> Any:
    """The parts of these findings: statistic, interval, and what the rule says, for both.

    ``yours`` or ``reference`` may be None, which leaves one column. Parts are paired by name; a
    dash stands where one side, a smaller study, lacks a part. A note below says what true, false
    and open mean. ``scales`` names the methods by which a part is asked, where there are several:
    a line for each.
    """
    sides = [
        (name, _parts(tables, numbers, scales))
        for name, tables in zip(whose, (reference, yours), strict=True)
        if tables is not None
    ]
    keys = sorted(dict.fromkeys(key for _, side in sides for key in side), key=lambda key: key[0])
    rows = [
        [str(finding), html.escape(part), *(side.get((finding, part), "–") for _, side in sides)]
        for finding, part in keys
    ]
    head = ["finding", "statistic", *(name for name, _ in sides)]
    return html_table(pd.DataFrame(rows, columns=head), escape=False, note=OUTCOMES_NOTE)


def verdict_sentence(
    yours: Summary | None, reference: Summary | None, *numbers: int, whose: str = "your run"
) -> Any:
    """``Finding 1 **holds** in the reference runs; in your run it **holds partly**.``"""
    sentences = []
    for number in numbers:
        said = [
            f"{{}}**{VERDICTS[_verdict(tables, number)]}** in {name}"
            if position == 0 or reference is None
            else f"in {name} it **{VERDICTS[_verdict(tables, number)]}**"
            for position, (name, tables) in enumerate(
                (("the reference runs", reference), (whose, yours))
            )
            if tables is not None
        ]
        sentences.append("; ".join(said).format(f"Finding {number} ") + ".")
    return markdown(" ".join(sentences))


def markdown(text: str) -> Any:
    """Text that the page shows as prose."""
    from IPython.display import Markdown

    return Markdown(text)


def as_typed(text: object) -> str:
    r"""A name that somebody gave, a file's say, for :func:`markdown`: read as typed, never markup.

    >>> as_typed("<b> of [x](javascript:y) $a$")
    '\\<b\\> of \\[x\\](javascript:y) \\$a\\$'
    """
    return _MARKUP.sub(r"\\\1", one_line(str(text)))


def html_table(table: pd.DataFrame, *, escape: bool = True, note: str = "") -> Any:
    """A table without its index; it scrolls by itself where it is too wide.

    ``escape``: the cells are words; else they are markup. ``note``: markup, in small print below.
    """
    from IPython.display import HTML

    with pd.option_context("display.max_colwidth", None):
        text = table.to_html(index=False, border=0, justify="left", escape=escape)
    text = text.replace('class="dataframe"', 'class="findings"')
    return HTML(scrolling(text) + (f'<p class="table-note">{note}</p>' if note else ""))


def scrolling(table: str) -> str:
    """Markup of a table that scrolls by itself where it is too wide, with the keyboard too."""
    return f'<div class="table-scroll" tabindex="0">{table}</div>'


def in_words(part: str) -> str:
    """The name of a part of a finding, a difference said as one.

    >>> in_words("sparse less dense, size 2")
    'sparse minus dense, size 2'
    """
    return part.replace(" less ", " minus ")


def signed(value: float, digits: int) -> str:
    """``+0.12``, ``−0.12``: a difference or a correlation, with the sign of mathematics.

    >>> signed(-0.123, 2)
    '−0.12'
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def duration(seconds: float) -> str:
    """``90 seconds``, ``3 minutes``."""
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def corpus_name(corpus: Mapping[str, Any]) -> str:
    """A corpus by a name that a reader knows."""
    names = {"embedded": "the documentation of installed packages", "ptb": "the Penn Treebank"}
    return names.get(str(corpus["name"]), as_typed(corpus["name"]))


def _verdict(tables: Summary, number: int) -> str:
    parts = tables["findings"]
    return verdict(parts.loc[parts["finding"] == number, "outcome"].tolist())


def _parts(
    tables: Summary, numbers: tuple[int, ...], scales: Mapping[str, str] | None
) -> dict[tuple[int, str], str]:
    """By finding and part: value, interval and outcome of each method, a line each."""
    rows = tables["findings"]
    lines: dict[tuple[int, str], list[str]] = {}
    for row in rows[rows["finding"].isin(numbers)].to_dict("records"):
        interval = None if math.isnan(row["low"]) else [row["low"], row["high"]]
        value = "–" if math.isnan(row["value"]) else format_value(row["value"], interval)
        name = (scales or {}).get(row["method"], "")
        lines.setdefault((row["finding"], in_words(row["part"])), []).append(
            f"<div>{f'<small>{html.escape(name)}:</small> ' if name else ''}"
            f"<span class='value'>{value}</span> <i>{OUTCOMES[row['outcome']]}</i></div>"
        )
    return {key: "".join(each) for key, each in lines.items()}
