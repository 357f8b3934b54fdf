"""Keep a number with its sign of percent or its unit, and an interval, on one line."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

UNIT = (
    r"%|(?:million|billion|nats?|points?|percentage|thousandths|times|min(?:utes)?|[MG]i?B|ms|s)\b"
)
TOGETHER = re.compile(
    rf"(?<=[\d\]])\s(?={UNIT})|(?<=\d,) (?=[−\d.]+\])"  # 3 %; the ends of an interval
    r"|(?<= ±) (?=\d)| (?=± \d)|(?<=\brate) (?=\d)"
)
AFTER_NUMBER = re.compile(rf"^\s(?={UNIT})")  # of a text whose number is a role, or in italics
AS_TYPED = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block)
TABLE = '<div class="table-scroll"'  # what pages write as HTML


def join(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put spaces that do not break into the text of a page, but for code and formulas."""
    before = ""
    for text in [*doctree.findall(nodes.Text)]:
        parent = text.parent
        if parent is None or isinstance(parent, AS_TYPED):
            before = ""
            continue
        if not isinstance(parent, nodes.raw) or parent.astext().lstrip().startswith(TABLE):
            joined = TOGETHER.sub("\u00a0", text)
            if before.endswith(tuple("0123456789]")):
                joined = AFTER_NUMBER.sub("\u00a0", joined)
            if joined != text:
                parent.replace(text, nodes.Text(joined))
            before = joined


def setup(app: Sphinx) -> dict[str, Any]:
    """Run once references and numbers are in their places."""
    app.connect("doctree-resolved", join)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
