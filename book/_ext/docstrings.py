"""Let docstrings be plain text: what reStructuredText would take for markup is escaped.

``||v||1``, ``*`` for a product and ``weight_`` are ordinary in our formulas. Doctests, double
backquotes, roles and one *emphasised* word stay as they are.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_SPAN = re.compile(r"(``.+?``|:\w+:`[^`]+`|(?<![\w*])\*\w+\*(?![\w*]))")
_MARKUP = re.compile(r"[|*\\]|(?<=\w)_(?!\w)")


def escape_line(line: str) -> str:
    r"""One line of prose with its markup characters escaped.

    >>> print(escape_line("||v||1 is ``a*b`` :func:`chi` w_ * x_i"))
    \|\|v\|\|1 is ``a*b`` :func:`chi` w\_ \* x_i
    """
    parts = _SPAN.split(line)
    parts[::2] = [_MARKUP.sub(lambda found: "\\" + found[0], part) for part in parts[::2]]
    return "".join(parts)


def escape_docstring(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Escape the prose of a docstring in place.

    A doctest ends at the next blank line, code after ``::`` where the text is no deeper than there.
    """
    in_doctest, code = False, None  # the indentation of the line that ended in ::
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if code is not None and line.strip() and indent <= code:
            code = None
        in_doctest = line.lstrip().startswith(">>>") or (in_doctest and bool(line.strip()))
        if not in_doctest and code is None:
            lines[number] = escape_line(line)
            code = indent if line.endswith("::") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Run before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", escape_docstring, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
