"""What the notebooks of all parts show: a study beside the reference runs, tables, text.

Numbers in sentences come from the tables; where there is no reference yet, the sentence says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pandas as pd

import sparsecore
from sparsecore.errors import InputError, near_match, one_line
from sparsecore.report import figures
from sparsecore.runs.reference import (
    Summary,
    read_provenance,
    read_reference,
    read_summary,
    summary_of,
)
from sparsecore.runs.sweep import run_all, study_of
from sparsecore.training.run_folder import Run

PUBLISHED = "quick"  # the preset of the notebooks as the book shows them
CORPORA = {
    "amazon-reviews": "Amazon reviews",
    "embedded": "the documentation of installed packages",
    "enwiki": "Wikipedia",
    "ptb": "the Penn Treebank",
    "ud-english-ewt": "the English Web Treebank",
    "wikitext-2": "WikiText-2",
}
_INTERVAL = re.compile(r"\[[−+\d.]+, [−+\d.]+\]")  # whose ends stay on one line
_MARKUP = re.compile(r"([\\`*_{}\[\]<>$|~#&!^])")


@dataclass(frozen=True)
class Study:
    """The reference runs of an experiment (None where absent), and the reader's own.

    ``compute``: finds or makes the reader's runs, and their tables; nothing is computed before
    something asks for them. ``executed``: with a preset or a parameter of the reader's own
    (:func:`executed_anew`). ``alone``: finds or makes the first of the runs.
    """

    experiment: str
    compute: Callable[[], tuple[list[Run], Summary]]
    reference: Summary | None
    provenance: dict[str, Any] | None
    preset: str
    executed: bool = True
    alone: Callable[[], Run] | None = None
    titles: ClassVar[tuple[str, str]] = ("reference runs", "your runs")

    @cached_property
    def _made(self) -> tuple[list[Run], Summary]:
        return self.compute()

    @property
    def runs(self) -> list[Run]:
        """The reader's runs."""
        return self._made[0]

    def first(self) -> Run:
        """The first of the reader's runs, for which the others need not be made."""
        return self.runs[0] if self.alone is None else self.alone()

    @property
    def yours(self) -> Summary:
        """The tables of the reader's runs."""
        return self._made[1]

    @property
    def main(self) -> Summary:
        """The reference tables, or the reader's where there are none yet."""
        return self.yours if self.reference is None else self.reference

    @property
    def own(self) -> Summary | None:
        """The reader's tables where the page is to show them; None on the page as published."""
        return self.yours if self.executed or self.reference is None else None

    @property
    def seconds(self) -> float:
        """How long the reader's runs took, all together."""
        return sum(float(run.timing["seconds"].sum()) for run in self.runs)

    @property
    def whose(self) -> str:
        """Whose tables :attr:`main` are."""
        return "your runs" if self.reference is None else "the reference runs"

    def shown(self, *names: str) -> dict[str, Summary]:
        """The tables that the page shows, under the names of the reference and the reader's."""
        sides = zip(names or self.titles, (self.reference, self.own), strict=True)
        return {name: tables for name, tables in sides if tables is not None}

    def beside(self, draw: Callable[..., Any], table: str, **options: Any) -> Any:
        """The figure ``draw`` of this table, of the reference runs and of the reader's where shown.

        ``options``: as :func:`~sparsecore.report.figures.beside` takes them.
        """
        sides = self.reference, self.own
        return figures.beside(draw, *sides, table, titles=self.titles, **options)


S = TypeVar("S", bound=Study)


def mean_and_sd(row: Mapping[Any, Any], column: str = "accuracy", digits: int = 2) -> str:
    """Mean ± standard deviation, which a single run does not have."""
    deviation = "" if math.isnan(row["sd"]) else f"\u00a0±\u00a0{row['sd']:.{digits}f}"
    return f"{row[column]:.{digits}f}{deviation}"


def open_study(
    experiment: str, preset: str, reference: str, *, tune: bool = False, **overrides: Any
) -> Study:
    """The runs of an experiment's study, and the reference tables beside them.

    Args:
        tune: the runs that choose hyper-parameters come first.
        overrides: fields of the experiment's configuration; None leaves the preset's.

    Raises:
        InputError: unknown preset, field or reference.
    """
    stages = ("tune", "study") if tune else ("study",)
    configs = [study_of(experiment, preset, stage, **overrides) for stage in stages]

    def compute() -> tuple[list[Run], Summary]:
        runs = [run_all(stage, progress=False) for stage in configs][-1]
        return runs, summary_of(runs)

    def first() -> Run:
        return run_all(configs[-1][:1], progress=False)[0]

    return open_beside(Study, experiment, reference, compute, preset, overrides, first)


def open_beside(
    kind: type[S],
    experiment: str,
    reference: str,
    compute: Callable[[], tuple[list[Run], Summary]],
    preset: str,
    overrides: Mapping[str, Any],
    alone: Callable[[], Run] | None = None,
) -> S:
    """The reference tables of that name, and beside them what ``compute`` gives.

    It is asked here if the page shows the reader's runs, that is with a preset or a parameter of
    one's own; on the page as published when something asks for them.
    """
    folder = reference_folder(experiment, reference)
    executed = executed_anew(preset, overrides)
    tables, known = read_summary(folder), read_provenance(folder)
    page = kind(experiment, compute, tables, known, preset, executed, alone)
    _ = page.own  # what the page shows is computed before anything is drawn
    return page


def of_all_rounds(page: Study, table: str, means: Callable[[pd.DataFrame], pd.DataFrame]) -> Study:
    """The page with the runs of every round on which the verdicts of its reference rest.

    ``table``: the one of means over seeds, which ``means`` makes from the table ``runs``.
    """
    rounds = (page.provenance or {}).get("rounds", [])
    if page.reference is None or not rounds:
        return page
    folders = [reference_folder(page.experiment, one["tables"]) for one in rounds]
    parts = [*(read_reference(folder)[0] for folder in folders), page.reference]
    joined = {
        name: pd.concat([part[name] for part in parts], ignore_index=True)
        for name in ("runs", "curves")
    }
    reference = {**page.reference, **joined, table: means(joined["runs"])}
    return replace(page, reference=reference)


def about_study(
    page: Study,
    told: Callable[[Summary, Mapping[str, Any], Mapping[str, Any], int], str],
    note: str = "",
) -> Any:
    """What was trained: in the reference runs, and in the reader's where the page shows them.

    ``told``: says it from the tables, the corpus, the settings and the number of runs. ``note``:
    about the reader's runs.
    """
    known = page.provenance
    theirs = "There are no reference runs yet."
    if known is not None:
        text = told(page.main, known["corpus"], known["settings"], len(known["runs"]))
        theirs = f"The reference runs: {text}."
    if page.own is None:
        return markdown(theirs)
    first = page.runs[0]
    text = told(page.yours, first.environment["corpus"], first.config, len(page.runs))
    yours = f"Your study (preset *{page.preset}*): {text}, in {duration(page.seconds)}.{note}"
    return markdown(f"{theirs}\n\n{yours}")


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


def markdown(text: str) -> Any:
    """Text that the page shows as prose."""
    from IPython.display import Markdown

    return Markdown(text)


def markup(text: str) -> Any:
    """Text that the page shows as HTML."""
    from IPython.display import HTML

    return HTML(text)


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
    with pd.option_context("display.max_colwidth", None):
        text = table.to_html(
            index=False, border=0, justify="left", escape=escape,
            formatters=dict.fromkeys(table.select_dtypes("integer"), "{:,}".format),
        )  # fmt: skip
    text = text.replace('class="dataframe"', 'class="findings"')
    text = _INTERVAL.sub(lambda ends: ends[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    scrolling = f'<div class="table-scroll" tabindex="0">{text}</div>'  # with the keyboard too
    return markup(scrolling + (f'<p class="table-note">{note}</p>' if note else ""))


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
    name = corpus["name"]
    return CORPORA.get(str(name), as_typed(name))
