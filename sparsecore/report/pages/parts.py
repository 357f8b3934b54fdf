"""What the notebooks of all parts show: a study beside the reference runs, tables, text.

Numbers in sentences come from the tables; where there is no reference yet, the sentence says so.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

import sparsecore
from sparsecore.errors import InputError, near_match, one_line
from sparsecore.runs.reference import Summary, read_provenance, read_summary, summary_of
from sparsecore.runs.store import Run
from sparsecore.runs.sweep import run_all, study_of

PUBLISHED = "quick"  # the preset of the notebooks as the book shows them
_MARKUP = re.compile(r"([\\`*_{}\[\]<>$|~#&!^])")


class Sides(ABC):
    """The tables that a page shows: of the reference runs, of the reader's, or of both."""

    executed: bool
    reference: Summary | None

    @property
    @abstractmethod
    def yours(self) -> Summary:
        """The tables of the reader's runs."""

    @property
    def main(self) -> Summary:
        """The reference tables, or the reader's where there are none yet."""
        return self.yours if self.reference is None else self.reference

    @property
    def own(self) -> Summary | None:
        """The reader's tables where the page is to show them; None on the page as published."""
        return self.yours if self.executed or self.reference is None else None


@dataclass(frozen=True)
class Study(Sides):
    """The reference runs of an experiment's study (None where absent), and the reader's own.

    ``compute``: finds or makes the reader's runs, and their tables; nothing is computed before
    something asks for them. ``first``: finds or makes the first of them alone. ``executed``: with
    a preset or a parameter of the reader's own (:func:`executed_anew`).
    """

    experiment: str
    first: Callable[[], Run]
    compute: Callable[[], tuple[list[Run], Summary]]
    reference: Summary | None
    provenance: dict[str, Any] | None
    preset: str
    executed: bool = True

    @cached_property
    def _made(self) -> tuple[list[Run], Summary]:
        return self.compute()

    @property
    def runs(self) -> list[Run]:
        """The reader's runs."""
        return self._made[0]

    @property
    def yours(self) -> Summary:
        """The tables of the reader's runs."""
        return self._made[1]


def mean_and_sd(row: Mapping[Any, Any]) -> str:
    """Accuracy: mean ± standard deviation, which a single run does not have."""
    return f"{row['accuracy']:.2f}" + ("" if math.isnan(row["sd"]) else f" ± {row['sd']:.2f}")


def open_study(
    experiment: str, preset: str, reference: str, *, tune: bool = False, **overrides: Any
) -> Study:
    """The runs of an experiment's study, and the reference tables beside them.

    The reader's runs are computed (or found) here if the page shows them, that is with a preset or
    a parameter of one's own; on the page as published when something asks for them.

    Args:
        tune: the runs that choose hyper-parameters come first.
        overrides: fields of the experiment's configuration; None leaves the preset's.

    Raises:
        InputError: unknown preset, field or reference.
    """
    folder = reference_folder(experiment, reference)
    stages = ("tune", "study") if tune else ("study",)
    configs = [study_of(experiment, preset, stage, **overrides) for stage in stages]

    def compute() -> tuple[list[Run], Summary]:
        runs = [run_all(stage, progress=False) for stage in configs][-1]
        return runs, summary_of(runs)

    def first() -> Run:
        return run_all(configs[-1][:1], progress=False)[0]

    theirs, known = read_summary(folder), read_provenance(folder)
    executed = executed_anew(preset, overrides)
    study = Study(experiment, first, compute, theirs, known, preset, executed)
    _ = study.own  # what the page shows is computed before anything is drawn
    return study


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
