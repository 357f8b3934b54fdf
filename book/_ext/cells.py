"""A number in a sentence that comes from the committed tables, so that no number is typed.

    {result}`causes/enwiki slopes arm=sgd-20 kind=split measure="held out" update=1000 * 1000`

is ``value`` (in tables of correlations ``rho``) of the one row of the table ``slopes`` in
``book/results/causes/enwiki`` that fits, with ``low`` and ``high`` where they are known, times a
factor. ``slopes.COLUMN`` is the mean of
another column over the rows that fit (over seeds, say), without an interval; ``* 100 %.1f`` gives
it a factor and a format. ``COLUMN=last`` is the largest value there is. ``{verdict}`` with the id
of a claim is its verdict, ``{claim}`` its value with the interval.

    {over-seeds}`causes/enwiki-2 causes/enwiki-3 replicates arm=sgd-20 kind=split measure=training
    update=last minus measure="held out" * 1000`

is the mean over the seeds of several folders, of ``value`` or ``TABLE.COLUMN``, with Student's
interval over them, or with a shape (``%.1f``) that mean alone; with ``minus``, of the difference
within a seed to the rows that differ from these in what is named.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd
from committed import read_claims, read_summary
from docutils import nodes
from pandas.api.types import is_float_dtype
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from sparsecore.errors import InputError
from sparsecore.runs.claims import Claim, format_value
from sparsecore.stats.seeds import mean_interval


def cell(root: Path, text: str) -> str:
    """The number that the text of a ``{result}`` names, as it is shown.

    Raises:
        InputError: no such folder, table or column, or not exactly one row.
    """
    folder, name, *rest = shlex.split(text)
    name, _, column = name.partition(".")
    shape = rest.pop() if rest and rest[-1].startswith("%") else ""
    factor = float(rest[rest.index("*") + 1]) if "*" in rest else 1.0
    conditions = rest[: rest.index("*")] if "*" in rest else rest
    rows = _chosen(root, folder, name, conditions, column)
    estimate = "rho" if "rho" in rows else "value"
    if not column and estimate not in rows:
        raise InputError(f"the table {name!r} of {folder} has no column 'value': name one")
    if rows.empty or (len(rows) > 1 and not column):
        raise InputError(f"{len(rows)} rows of {folder} fit {text!r}, not one")
    if column:
        value = factor * float(rows[column].mean())
        return _shaped(shape, value) if shape else format_value(value, None)
    value, *ends = (factor * float(rows.iloc[0][end]) for end in (estimate, "low", "high"))
    return format_value(value, ends if ends[0] == ends[0] else None)  # NaN is no interval


def over_seeds(root: Path, text: str) -> str:
    """The mean over seeds that the text of an ``{over-seeds}`` names, as it is shown.

    Raises:
        InputError: no such folder, table or column, or not one row for each seed.
    """
    words = shlex.split(text)
    shape = words.pop() if words[-1].startswith("%") else ""
    folders = list(takewhile(lambda word: "/" in word, words))
    name, *rest = words[len(folders) :]
    name, _, column = name.partition(".")
    asked, _, factor = _cut(rest, "*")
    ours, differs, theirs = _cut(asked, "minus")
    value_of = partial(_by_seed, root, folders, name, column or "value")
    values = value_of(ours)
    if differs:
        named = {condition.partition("=")[0] for condition in theirs}
        same = [own for own in ours if own.partition("=")[0] not in named]
        values = values - value_of([*same, *theirs])
        if values.isna().any():
            raise InputError(f"{text!r}: the two sides have different seeds")
    value, *ends = mean_interval((float(factor[0] if factor else 1) * values).to_list())
    return _shaped(shape, value) if shape else format_value(value, ends)


def _shaped(shape: str, value: float) -> str:
    """A number in the shape that is asked for, with commas between thousands.

    >>> _shaped("%.0f", 14284.0), _shaped("%+.4f", -0.0033)
    ('14,284', '−0.0033')
    """
    text = re.sub(r"(?<![.\d])\d{4,}", lambda found: f"{int(found[0]):,}", shape % value)
    return text.replace("-", "−")


def _by_seed(
    root: Path, folders: list[str], name: str, column: str, conditions: list[str]
) -> pd.Series:
    """A column of the rows that fit, by seed."""
    rows = pd.concat([_chosen(root, folder, name, conditions, column) for folder in folders])
    if rows.empty or "seed" not in rows or rows["seed"].duplicated().any():
        raise InputError(f"{' '.join(folders)} {name} {' '.join(conditions)}: not a row a seed")
    return rows.set_index("seed")[column]


def _cut(words: list[str], at: str) -> tuple[list[str], bool, list[str]]:
    """What stands before a word, whether it is there, and what stands after it."""
    if at not in words:
        return words, False, []
    place = words.index(at)
    return words[:place], True, words[place + 1 :]


def _chosen(root: Path, folder: str, name: str, conditions: list[str], column: str) -> pd.DataFrame:
    """The rows of a table that fit all conditions."""
    tables = read_summary(root / folder)
    if tables is None or name not in tables:
        raise InputError(f"there is no table {name!r} in {folder}")
    rows = tables[name]
    for asked in (*(condition.partition("=")[0] for condition in conditions), column):
        if asked and asked not in rows:
            raise InputError(f"the table {name!r} of {folder} has no column {asked!r}")
    for condition in conditions:
        asked, _, wanted = condition.partition("=")
        own = rows[asked]
        if wanted == "last":
            rows = rows[own == own.max()]
        elif is_float_dtype(own):
            rows = rows[own == pd.to_numeric(wanted, errors="coerce")]
        else:
            rows = rows[own.astype(str) == wanted]
    return rows


class Number(SphinxRole):
    """A number with its interval, as ``show`` finds it under ``book/results``."""

    def __init__(self, show: Callable[[Path, str], str]) -> None:
        self.show = show

    def run(self) -> tuple[list[nodes.Node], list[Any]]:
        """The text; what is wrong with the reference is one line where it stands."""
        root = Path(self.env.srcdir) / "book" / "results"
        for folder in takewhile(lambda word: "/" in word, self.text.split()):
            for path in root.glob(f"{folder}/provenance.json"):
                self.env.note_dependency(str(path))
        try:
            return [nodes.Text(self.show(root, self.text))], []
        except InputError as error:
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]


class OfClaim(SphinxRole):
    """What ``show`` makes of the claim that the text names."""

    def __init__(self, show: Callable[[Claim], nodes.Node]) -> None:
        self.show = show

    def run(self) -> tuple[list[nodes.Node], list[Any]]:
        """The text; an unknown claim is one line where it stands."""
        path = Path(self.env.srcdir) / "book" / "results" / "claims.toml"
        self.env.note_dependency(str(path))
        found = {claim.id: claim for claim in read_claims(path)}
        if self.text in found:
            return [self.show(found[self.text])], []
        message = self.inliner.reporter.error(f"there is no claim {self.text!r}", line=self.lineno)
        return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the roles."""
    app.add_role("result", Number(cell))
    app.add_role("over-seeds", Number(over_seeds))
    app.add_role("verdict", OfClaim(lambda claim: nodes.strong("", claim.verdict)))
    app.add_role(
        "claim", OfClaim(lambda claim: nodes.Text(format_value(claim.value, claim.interval)))
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
