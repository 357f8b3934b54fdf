"""Take off the pages the ARIA roles that docutils still writes and WAI-ARIA 1.3 has deprecated."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

DEPRECATED = (' role="doc-biblioentry"', ' role="doc-endnote"')


def drop_deprecated_roles(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """The elements stay: a list of references is one by its heading and its links."""
    for role in DEPRECATED:
        if "body" in context:
            context["body"] = context["body"].replace(role, "")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to every page that is put together."""
    app.connect("html-page-context", drop_deprecated_roles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
