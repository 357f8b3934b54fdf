"""What a glossary term or a citation means, for `cards.js` to show where a link to it stands.

Each page gets, as JSON, the definitions and bibliography entries that it links to, and no others:
nothing is fetched when a reader points at a link.
"""

from __future__ import annotations

import json
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

GLOSSARY, REFERENCES = "book/glossary", "book/references"
_LINK = re.compile(r'href="[^"#]*(?:glossary|references)\.html#([^"]+)"')
_NOT_HERE = re.compile(r"</?a\b[^>]*>|(?<=\w) id=\"[^\"]*\"|(?<=\") id=\"[^\"]*\"")  # links, names
_OWN = {GLOSSARY, REFERENCES}


def cards_of(app: Sphinx) -> dict[str, str]:
    """The HTML of each definition and entry by its id, without links of its own."""
    known = getattr(app, "_cards", None)
    if known is None:
        known = {**_definitions(app), **_entries(app)}
        app._cards = known  # type: ignore[attr-defined]
    return known


def _definitions(app: Sphinx) -> dict[str, str]:
    found = {}
    for item in _document(app, GLOSSARY).findall(nodes.definition_list_item):
        definition = next(iter(item.findall(nodes.definition)))
        shown = _fragment(app, definition)
        for term in item.findall(nodes.term):
            found |= {name: f"<b>{term.astext()}</b>{shown}" for name in term["ids"]}
    return found


def _entries(app: Sphinx) -> dict[str, str]:
    """Of each entry the first paragraph.

    sphinxcontrib-bibtex keeps one node for each entry and fills it whenever the bibliography is
    resolved: emptied here, so that its own page does not print every entry twice.
    """
    found = {}
    for entry in list(_document(app, REFERENCES).findall(nodes.citation)):
        found |= dict.fromkeys(entry["ids"], _fragment(app, next(entry.findall(nodes.paragraph))))
        entry.clear()
    return found


def _document(app: Sphinx, name: str) -> nodes.document:
    if name not in app.env.found_docs:
        return nodes.document(None, None)  # type: ignore[arg-type]
    return app.env.get_and_resolve_doctree(name, app.builder)


def _fragment(app: Sphinx, node: nodes.Node) -> str:
    children = node.children if isinstance(node, nodes.definition) else [node]
    render = app.builder.render_partial  # type: ignore[attr-defined]
    return "".join(_NOT_HERE.sub("", render(child)["fragment"]) for child in children)


def add_cards(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put the cards of the links on a page behind its text."""
    if page in _OWN or "body" not in context:
        return
    wanted = dict.fromkeys(_LINK.findall(context["body"]))
    known = cards_of(app) if wanted else {}
    used = {name: known[name] for name in wanted if name in known}
    if used:
        data = json.dumps(used, ensure_ascii=False).replace("<", "\\u003c")
        context["body"] += f'<script type="application/json" id="cards">{data}</script>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to every page."""
    app.connect("html-page-context", add_cards, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
