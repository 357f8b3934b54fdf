"""Keep the pages from asking any other host: drop scripts that would, once a page is put together.

Jupyter Book always loads sphinx-thebe, whose script comes from a CDN; nothing here uses it. What
the explorers show stands in the pages as JSON, in which no word may look like markup.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


def drop_outside_files(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Take thebe's files, and any script or style sheet with an outside address, off the page."""
    for kind in ("script_files", "css_files"):
        if kind in context:
            context[kind] = [item for item in context[kind] if not _is_unwanted(item)]
            for item in context[kind]:
                _escape_data(item)


def _escape_data(item: Any) -> None:
    """JSON on the page without ``<``: the words ``<!--`` and ``<script>`` would swallow its end."""
    attributes = getattr(item, "attributes", {})
    if str(attributes.get("type", "")).endswith("json") and "body" in attributes:
        attributes["body"] = attributes["body"].replace("<", "\\u003c")


def _is_unwanted(item: Any) -> bool:
    attributes = getattr(item, "attributes", {})
    if str(attributes.get("type", "")).startswith("application/"):
        return False  # data: what an explorer shows may have any text in it
    address = str(getattr(item, "filename", item))
    return "://" in address or "thebe" in address or "thebe" in str(attributes.get("body", ""))


def drop_source_maps(app: Sphinx, exception: Exception | None) -> None:
    """Remove what only helps to debug the theme's own scripts, a tenth of the book."""
    if exception is None:
        for path in Path(app.outdir, "_static").rglob("*.map"):
            path.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """The first runs after every other extension has added its files."""
    app.connect("html-page-context", drop_outside_files, priority=900)
    app.connect("build-finished", drop_source_maps)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
