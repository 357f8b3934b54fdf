"""Documentation strings to paragraphs of plain prose, each with its kind.

The kinds are ``description``, ``parameter``, ``returned`` and ``raised``.

A documentation string mixes prose with signatures, doctests, tables and mark-up in one of four
styles (numpydoc, Google, reStructuredText fields, epydoc). :func:`paragraphs` takes it apart by
lines and indentation; what is left of each paragraph is text that :mod:`sparsecore.data.prose`
can clean to sentences.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

_SECTIONS = {
    **dict.fromkeys(
        ("parameters", "other parameters", "args", "arguments", "attributes", "keyword args",
         "keyword arguments", "keywords", "params", "options", "kwargs", "inputs"), "parameter"),
    **dict.fromkeys(("returns", "return", "yields", "yield", "receives", "outputs"), "returned"),
    **dict.fromkeys(("raises", "raise", "warns", "exceptions"), "raised"),
    **dict.fromkeys(("notes", "note", "description", "warning", "warnings", "tip", "hint",
                     "important", "caution", "details", "remarks"), "description"),
    **dict.fromkeys(
        ("examples", "example", "see also", "references", "reference", "methods", "usage", "shape",
         "authors", "author", "license", "copyright", "todo", "history", "sample", "index",
         "signature", "bibliography", "literature", "links", "functions", "classes"), ""),
}  # fmt: skip
_UNDERLINE = re.compile(r"[-=~^*+#\"'`.:_]{3,}$")
_HEADER = re.compile(r"([A-Za-z][A-Za-z ]{2,20}):{1,2}$")
_PROSE_DIRECTIVES = re.compile(
    r"\.\. (note|warning|tip|hint|important|caution|attention|seealso)::(.*)$"
)
_FIELD = re.compile(r"[:@](\w+)([^:]*):(?!\w)\s*(.*)$")
_FIELD_KINDS = {
    **dict.fromkeys(("param", "parameter", "arg", "argument", "key", "keyword", "ivar", "cvar",
                     "var", "attr"), "parameter"),
    **dict.fromkeys(("return", "returns", "yield", "yields"), "returned"),
    **dict.fromkeys(("raise", "raises", "except", "exception"), "raised"),
}  # fmt: skip
_BULLET = re.compile(r"(?:[-*+•]|\(?[0-9a-z]{1,2}[.)])\s+(?=\S)")
_GOOGLE_ITEM = re.compile(
    r"[*`]*[\w.]+[`]*(?:,\s*[*`]*[\w.]+)*\s*"  # name
    r"(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?\s*:\s+(?=\S)"  # (type):
)
_NUMPY_ITEM = re.compile(r"[*`]*\w[\w.*`]*(?:\s*,\s*[*`]*\w[\w.*`]*)*\s*(?::\s.*|:)?$")


_LITERAL = re.compile(
    r'''
    \#[^\n]*
    | """(?P<double>[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*)"""
    | \'\'\'(?P<single>[^'\\]*(?:(?:\\.|'(?!\'\'))[^'\\]*)*)\'\'\'
    | "[^"\\\n]*(?:\\.[^"\\\n]*)*"
    | '[^'\\\n]*(?:\\.[^'\\\n]*)*'
    ''',
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Paragraph:
    """Some lines of prose, joined, and which part of the documentation they stood in."""

    kind: str
    text: str


def documentation_strings(source: str) -> Iterator[str]:
    r"""The texts of the triple-quoted strings of a Python source that stand by themselves.

    These are the documentation strings of modules, classes, functions and attributes, and those
    that are handed to helpers such as NumPy's ``add_newdoc``. Only literals and comments are told
    apart, which needs a tenth of the time of parsing and reads the source of any Python version.

    >>> source = "def f():\n    '''Return the answer to everything.'''\n    return 42"
    >>> list(documentation_strings(source))
    ['Return the answer to everything.']
    """
    for match in _LITERAL.finditer(source):
        if match.lastgroup is None:
            continue
        begin = match.start()
        prefix = source[source.rfind("\n", 0, begin) + 1 : begin].strip()
        if prefix in ("", "r", "R", "u", "U"):
            text = match.group(match.lastgroup)
            if len(text) > 20:
                if "\\" in text and not prefix:
                    text = text.replace("\\\n", "").replace('\\"', '"').replace("\\'", "'")
                yield inspect.cleandoc(text)


def paragraphs(text: str) -> list[Paragraph]:
    """The prose of one documentation string, paragraph by paragraph."""
    reader = _Reader(text.expandtabs().split("\n"))
    reader.run()
    return reader.found


class _Reader:
    """Reads the lines of one documentation string from top to bottom."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.found: list[Paragraph] = []
        self.block: list[str] = []
        self.kind = "description"  # of the section; "" for a section that holds no prose
        self.section_indent = -1  # >= 0 inside a Google section: its header's indentation
        self.numpy = False
        self.at = 0

    def run(self) -> None:
        lines = self.lines
        while self.at < len(lines):
            line = lines[self.at].rstrip()
            body = line.lstrip()
            indent = len(line) - len(body)
            if not body:
                self.flush()
            elif body.startswith((">>>", "In [", "$ ", "% ")):
                self.drop_block()
            elif body.startswith(("```", "~~~")):
                self.drop_fence(body[:3])
            elif body.startswith(".. ") or body == "..":
                self.directive(body, indent)
            elif self.header(body, indent):
                pass
            elif body.startswith(("+--", "+==", "|", "====", "----")):
                self.drop_block()
            elif self.section_indent >= 0 and indent <= self.section_indent:
                self.flush()
                self.kind, self.section_indent = "description", -1
                continue
            else:
                self.text_line(body, indent)
            self.at += 1
        self.flush()

    def text_line(self, body: str, indent: int) -> None:
        field = _FIELD.match(body) if body[0] in ":@" else None
        if field is not None:
            self.flush()
            kind = _FIELD_KINDS.get(field.group(1))
            if kind is None:
                self.drop_indented(indent)
            else:
                self.collect(kind, field.group(3), indent)
            return
        if self.numpy and self.kind in ("parameter", "returned", "raised") and indent == 0:
            self.flush()  # "name : type"; its description is indented
            if not _NUMPY_ITEM.match(body) and self.kind != "parameter":
                self.block.append(body)
            return
        bullet = _BULLET.match(body)
        if bullet is not None:
            self.flush()
            body = body[bullet.end() :]
        elif self.section_indent >= 0 and self.kind in ("parameter", "raised", "returned"):
            item = _GOOGLE_ITEM.match(body)
            if item is not None:
                self.flush()
                body = body[item.end() :]
        self.block.append(body)
        if body.endswith("::"):
            self.flush()
            self.drop_indented(indent)

    def collect(self, kind: str, first: str, indent: int) -> None:
        """A field's text: what stands after it and the deeper lines that follow."""
        block = [first] if first else []
        while self.at + 1 < len(self.lines):
            line = self.lines[self.at + 1]
            body = line.strip()
            if not body or len(line) - len(line.lstrip()) <= indent:
                break
            if not body.startswith((":", "@", ">>>")):
                block.append(body)
            self.at += 1
        self.found.append(Paragraph(kind, " ".join(block)))

    def header(self, body: str, indent: int) -> bool:
        """Whether this line opens a section (and, then, change to it)."""
        following = self.lines[self.at + 1].strip() if self.at + 1 < len(self.lines) else ""
        underlined = bool(_UNDERLINE.match(following)) and len(set(following)) == 1
        if underlined and len(body) <= len(following) + 3:
            self.flush()
            self.kind = _SECTIONS.get(body.lower().rstrip(":"), "description")
            self.numpy, self.section_indent = True, -1
            self.at += 1
            return True
        named = _HEADER.match(body)
        if named is not None and named.group(1).lower() in _SECTIONS:
            self.flush()
            self.kind = _SECTIONS[named.group(1).lower()]
            self.numpy, self.section_indent = False, indent
            return True
        return False

    def directive(self, body: str, indent: int) -> None:
        self.flush()
        prose = _PROSE_DIRECTIVES.match(body)
        if prose is None or prose.group(1) == "seealso":
            self.drop_indented(indent)
        elif prose.group(2).strip():
            self.block.append(prose.group(2).strip())

    def drop_block(self) -> None:
        """Leave out the lines up to the next blank one, and the paragraph they belong to."""
        self.block.clear()
        while self.at + 1 < len(self.lines) and self.lines[self.at + 1].strip():
            self.at += 1

    def drop_fence(self, mark: str) -> None:
        self.flush()
        while self.at + 1 < len(self.lines):
            self.at += 1
            if self.lines[self.at].strip().startswith(mark):
                return

    def drop_indented(self, indent: int) -> None:
        """Leave out the following lines that are blank or indented deeper."""
        while self.at + 1 < len(self.lines):
            line = self.lines[self.at + 1]
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                return
            self.at += 1

    def flush(self) -> None:
        if self.block and self.kind:
            self.found.append(Paragraph(self.kind, " ".join(self.block)))
        self.block.clear()
