"""What the notebooks of all parts show: a study beside the reference runs, tables, sentences.

Numbers in sentences come from the tables; where there is no reference yet, the sentence says so.
"""

from __future__ import annotations

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

_MARKUP = re.compile(r"([\\`*_{}\[\]<>$|~#&!^])")
OUTCOMES = {"yes": "true", "no": "false", "unsure": "open"}
VERDICTS = {
    "holds": "holds",
    "partly": "holds partly",
    "fails": "fails",
    "undecided": "is undecided",
}


@dataclass(frozen=True)
class Study:
    """The reader's runs and their tables, and those of the reference runs (None where absent)."""

    runs: list[Run]
    yours: Summary
    reference: Summary | None
    provenance: dict[str, Any] | None
    preset: str


def open_study(experiment: str, preset: str, reference: str, **overrides: Any) -> Study:
    """Compute (or find) the runs of an experiment's study; read the reference tables beside it.

    ``overrides``: fields of the experiment's configuration; None leaves the preset's. InputError
    for an unknown preset, field or reference.
    """
    folder = reference_folder(experiment, reference)
    runs = run_all(study_of(experiment, preset, **overrides), progress=False)
    return Study(runs, summary_of(runs), read_summary(folder), read_provenance(folder), preset)


def reference_folder(experiment: str, name: str) -> Path:
    """``book/results/EXPERIMENT/NAME`` of the checkout; need not exist if there is no other yet."""
    roots = [Path.cwd(), *Path.cwd().parents, Path(sparsecore.__file__).parents[1]]
    found = [root / "book" / "results" / experiment for root in roots]
    base = next((path for path in found if path.is_dir()), found[-1])
    known = sorted(p.name for p in base.iterdir() if p.is_dir()) if base.is_dir() else []
    if known and name not in known:
        raise InputError(f"no reference tables {name!r}{near_match(name, known)}")
    return base / name


def parts_table(
    yours: Summary,
    reference: Summary | None,
    *numbers: int,
    scales: Mapping[str, str] | None = None,
    whose: Sequence[str] = ("reference runs", "your run"),
    scale_name: str = "frequency",
) -> Any:
    """The parts of these findings: statistic, interval, and what the rule says, for both.

    Parts are paired by name; a dash stands where one side, a smaller study, lacks a part.
    ``scales`` names the methods by which a part is asked, where there are several; ``scale_name``
    is the heading of their column.
    """
    theirs, own = whose
    rows = _parts(yours, numbers, scales).rename(columns={"shown": own, "outcome": "yours"})
    if reference is not None:
        known = _parts(reference, numbers, scales)
        known = known.rename(columns={"shown": theirs, "outcome": "reference"})
        keys = ["finding", "part", "scale"]
        every = pd.concat([known[keys], rows[keys]]).drop_duplicates()
        every = every.sort_values("finding", kind="stable")
        rows = every.merge(known, on=keys, how="left").merge(rows, on=keys, how="left")
    order = ["finding", "part", *(["scale"] if scales else []), theirs, "reference", own, "yours"]
    names = {"part": "statistic", "scale": scale_name, "reference": "true?"}
    names["yours"] = "true?" if reference is None else "true in yours?"
    shown = rows[[column for column in order if column in rows.columns]]
    return html_table(shown.rename(columns=names).fillna("–"))


def verdict_sentence(
    yours: Summary, reference: Summary | None, *numbers: int, whose: str = "your run"
) -> Any:
    """``Finding 1 **holds** in the reference runs; in your run it **holds partly**.``"""
    sentences = []
    for number in numbers:
        own = VERDICTS[_verdict(yours, number)]
        if reference is None:
            sentences.append(f"Finding {number} **{own}** in {whose}.")
        else:
            theirs = VERDICTS[_verdict(reference, number)]
            sentences.append(
                f"Finding {number} **{theirs}** in the reference runs; in {whose} it **{own}**."
            )
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


def html_table(table: pd.DataFrame) -> Any:
    """A table without its index, words escaped; it scrolls by itself where it is too wide."""
    from IPython.display import HTML

    text = table.to_html(index=False, border=0, justify="left")
    text = text.replace('class="dataframe"', 'class="findings"')
    return HTML(scrolling(text))


def scrolling(table: str) -> str:
    """Markup of a table that scrolls by itself where it is too wide, with the keyboard too."""
    return f'<div class="table-scroll" tabindex="0">{table}</div>'


def _verdict(tables: Summary, number: int) -> str:
    parts = tables["findings"]
    return verdict(parts.loc[parts["finding"] == number, "outcome"].tolist())


def _parts(
    tables: Summary, numbers: tuple[int, ...], scales: Mapping[str, str] | None
) -> pd.DataFrame:
    parts = tables["findings"]
    parts = parts[parts["finding"].isin(numbers)].copy()
    parts["scale"] = [(scales or {}).get(method, "–") for method in parts["method"]]
    parts["shown"] = [
        "–" if math.isnan(v) else format_value(v, None if math.isnan(low) else [low, high])
        for v, low, high in zip(parts["value"], parts["low"], parts["high"], strict=True)
    ]
    parts["outcome"] = parts["outcome"].map(OUTCOMES)
    return parts[["finding", "part", "scale", "shown", "outcome"]]
