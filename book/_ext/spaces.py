"""Keep a number with its sign of percent, and an interval, on one line."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

TOGETHER = re.compile(r"(?<=\d) (?=%)|(?<=\d,) (?=[−\d.]+\])")
AS_TYPED = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block)
TABLE = '<div class="table-scroll"'  # what pages write as HTML


def join(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put spaces that do not break into the text of a page, but for code and formulas."""
    for text in [*doctree.findall(nodes.Text)]:
        parent = text.parent
        if parent is None or isinstance(parent, AS_TYPED):
            continue
        if not isinstance(parent, nodes.raw) or parent.astext().lstrip().startswith(TABLE):
            joined = TOGETHER.sub("\u00a0", text)
            if joined != text:
                parent.replace(text, nodes.Text(joined))


def setup(app: Sphinx) -> dict[str, Any]:
    """Run once references and numbers are in their places."""
    app.connect("doctree-resolved", join)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
