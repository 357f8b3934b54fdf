"""``{cite-this}``: how to cite the project, as BibTeX made from ``CITATION.cff``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def bibtex(citation: dict[str, Any], year: str) -> str:
    """An entry for the software.

    >>> print(bibtex({"title": "t: x", "version": "1", "authors": [{"name": "A"}]}, "2026"))
    @software{t,
      title   = {t: x},
      author  = {{A}},
      version = {1},
      year    = {2026}
    }
    """
    names = [
        f"{{{one['name']}}}" if "name" in one else f"{one['family-names']}, {one['given-names']}"
        for one in citation["authors"]
    ]
    fields = {
        "title": citation["title"],
        "author": " and ".join(names),
        "version": citation["version"],
        "year": year,
    }
    body = ",\n".join(f"  {key:7} = {{{value}}}" for key, value in fields.items())
    return f"@software{{{citation['title'].partition(':')[0]},\n{body}\n}}"


class CiteThis(SphinxDirective):
    """What the citation file asks for, and the entry to copy."""

    def run(self) -> list[nodes.Node]:
        """A sentence and a block of BibTeX."""
        path = Path(self.env.srcdir) / "CITATION.cff"
        self.env.note_dependency(str(path))
        citation = yaml.safe_load(path.read_text(encoding="utf-8"))
        text = bibtex(citation, str(self.env.config.copyright))
        block = nodes.literal_block(text, text, language="bibtex")
        return [nodes.paragraph("", citation["message"]), block]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("cite-this", CiteThis)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
