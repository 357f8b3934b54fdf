"""Below each figure of a notebook, a link to its rows: `data/FIGURE.csv` beside the page.

The rows are in the executed notebook, next to the picture, where
:mod:`sparsecore.report.figures.figure_data` put them. A figure without is a warning.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

CSV = "text/csv"


def tables_of(notebook: dict[str, Any]) -> dict[str, str]:
    """The CSV of each figure by its name (``mystnb.figure.name`` of the cell that draws it)."""
    found = {}
    for cell in notebook["cells"]:
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        for output in cell.get("outputs", []):
            if name and CSV in output.get("data", {}):
                found[name] = "".join(output["data"][CSV])
    return found


def offer_data(app: Sphinx, doctree: nodes.document) -> None:
    """Write the files of one page and put the links into the figures' legends."""
    source = Path(app.env.doc2path(app.env.docname))
    figures = [figure for figure in doctree.findall(nodes.figure) if figure["ids"]]
    if source.suffix != ".ipynb" or not figures:
        return
    tables = tables_of(json.loads(source.read_text(encoding="utf-8")))
    folder = Path(app.outdir) / Path(app.env.docname).parent / "data"
    for figure in figures:
        name = next((name for name in figure["names"] if name in tables), None)
        if name is None:
            logger.warning("figure %s has no data to offer", figure["ids"][0], location=figure)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.csv").write_text(tables[name], encoding="utf-8", newline="\n")
        link = nodes.reference(
            "", "Data (CSV)", refuri=f"data/{name}.csv", internal=True, classes=["figure-data"]
        )
        figure += nodes.legend("", nodes.paragraph("", "", link))


def setup(app: Sphinx) -> dict[str, Any]:
    """Run on each page once it is read."""
    app.connect("doctree-read", offer_data)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
