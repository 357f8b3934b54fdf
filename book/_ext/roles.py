"""Replace the ARIA roles that docutils still writes and WAI-ARIA has deprecated."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

ROLES = {"doc-biblioentry": "listitem", "doc-endnote": "listitem"}  # of elements in a list


def replace_deprecated_roles(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """In the body of a page, once it is put together."""
    for old, new in ROLES.items():
        if "body" in context:
            context["body"] = context["body"].replace(f'role="{old}"', f'role="{new}"')


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to every page."""
    app.connect("html-page-context", replace_deprecated_roles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
