"""Tables and text as docutils nodes, for the directives of the book."""

from __future__ import annotations

from collections.abc import Sequence

from docutils import nodes


def plain(text: object) -> nodes.paragraph:
    """A paragraph of text; empty for None."""
    return nodes.paragraph("", str(text or ""))


def table(header: list[str], rows: Sequence[Sequence[nodes.Node]], kind: str) -> nodes.Element:
    """A table that scrolls sideways by itself where a page is too narrow for it."""
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    group += nodes.thead("", _row([plain(name) for name in header]))
    group += nodes.tbody("", *(_row(row) for row in rows))
    drawn = nodes.table("", group, classes=[kind])
    return nodes.container("", drawn, classes=["table-scroll"])


def _row(cells: Sequence[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))
