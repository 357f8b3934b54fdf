"""A number in a sentence that comes from the committed tables, so that no number is typed.

    {result}`causes/enwiki slopes arm=sgd-20 kind=split measure="held out" update=1000 * 1000`

is ``value`` of the one row of the table ``slopes`` in ``book/results/causes/enwiki`` that fits,
with ``low`` and ``high`` where they are known, times a factor. ``{verdict}`` with the id of a claim
is its verdict.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from sparsecore.errors import InputError
from sparsecore.runs.claims import format_value, read_claims
from sparsecore.runs.reference import read_summary


def cell(root: Path, text: str) -> str:
    """The number that the text of a ``{result}`` names, as it is shown.

    Raises:
        InputError: no such folder, table or column, or not exactly one row.
    """
    folder, name, *rest = shlex.split(text)
    factor = float(rest[rest.index("*") + 1]) if "*" in rest else 1.0
    tables = read_summary(root / folder)
    if tables is None or name not in tables:
        raise InputError(f"there is no table {name!r} in {folder}")
    rows = tables[name]
    for condition in rest[: rest.index("*")] if "*" in rest else rest:
        column, _, wanted = condition.partition("=")
        if column not in rows:
            raise InputError(f"the table {name!r} of {folder} has no column {column!r}")
        rows = rows[rows[column].astype(str) == wanted]
    if len(rows) != 1:
        raise InputError(f"{len(rows)} rows of {folder} fit {text!r}, not one")
    row = rows.iloc[0]
    value, *ends = (factor * float(row[end]) for end in ("value", "low", "high"))
    return format_value(value, ends if ends[0] == ends[0] else None)  # NaN is no interval


class Result(SphinxRole):
    """A number with its interval."""

    def run(self) -> tuple[list[nodes.Node], list[Any]]:
        """The text; what is wrong with the reference is one line where it stands."""
        root = Path(self.env.srcdir) / "book" / "results"
        self.env.note_dependency(str(root / self.text.split()[0] / "provenance.json"))
        try:
            return [nodes.Text(cell(root, self.text))], []
        except InputError as error:
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]


class Verdict(SphinxRole):
    """The verdict of a claim, in words."""

    def run(self) -> tuple[list[nodes.Node], list[Any]]:
        """The text."""
        path = Path(self.env.srcdir) / "book" / "results" / "claims.toml"
        self.env.note_dependency(str(path))
        found = {claim.id: claim.verdict for claim in read_claims(path)}
        if self.text in found:
            return [nodes.strong("", found[self.text])], []
        message = self.inliner.reporter.error(f"there is no claim {self.text!r}", line=self.lineno)
        return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the roles."""
    app.add_role("result", Result())
    app.add_role("verdict", Verdict())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
