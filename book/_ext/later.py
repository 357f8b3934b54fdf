"""What an explorer needs only when it is asked for, in files of its own: `data/NAME.js`.

An explorer's ``data["later"]`` holds values by name, each large. They leave the page; their address
stands in their place, and the explorer fetches them (``fetched`` in ``dom.js``). They are scripts
rather than JSON, because a page opened from a disk may run the one and not read the other.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

WIDGETS = "application/vnd.jupyter.widget-state+json"


def move_out(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Write the files of one page, and put their addresses in the place of what is in them."""
    folder = Path(app.outdir) / Path(page).parent / "data"
    for item in context.get("script_files", []):
        attributes = getattr(item, "attributes", {})
        if attributes.get("type") != WIDGETS or '"later"' not in attributes["body"]:
            continue
        widgets = json.loads(attributes["body"])
        for widget in widgets["state"].values():
            later = (widget["state"].get("data") or {}).get("later", {})
            for name, value in later.items():
                later[name] = f"data/{write(folder, value)}"
        attributes["body"] = json.dumps(widgets, ensure_ascii=False)


def write(folder: Path, value: Any) -> str:
    """The name of the file in ``folder`` that now holds ``value``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    name = f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.js"
    folder.mkdir(parents=True, exist_ok=True)
    script = f'(globalThis.sparseLater ??= {{}})["data/{name}"] = {text};\n'
    (folder / name).write_text(script, encoding="utf-8", newline="\n")
    return name


def setup(app: Sphinx) -> dict[str, Any]:
    """Run once the scripts of a page are known."""
    app.connect("html-page-context", move_out, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
