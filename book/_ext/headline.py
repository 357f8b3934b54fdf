"""The figure of the front page, drawn when the book is built, with what its points say.

```{headline}
The caption.
```
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

mpl.use("agg")

from sparsecore.report import figures
from sparsecore.report.explorers import HoverPoints
from sparsecore.report.figures.figure_data import csv_of
from sparsecore.report.pages.front import by_optimiser, over_training

NAME = "fig-headline"
PICTURE = "_build/headline.png"  # of the source folder: Sphinx copies it from there
ALT = (
    "Three line charts of the correlation of concentration with target-word frequency over the "
    "words read, on log and raw frequency: over all words of Wikipedia and WikiText-2, over those "
    "seen at least 3,000 times, with and without the twenty commonest, and for SGD and Adam."
)
SCRIPTS = """<div class="cell">
<script type="application/vnd.jupyter.widget-state+json">{state}</script>
<script type="application/vnd.jupyter.widget-view+json">{{"model_id": "headline"}}</script>
<script src="{root}_static/static-widgets.js"></script>
</div>"""


class Headline(SphinxDirective):
    """The picture with its caption and data, and the points to hover over."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The figure, then the script that lays the points over it."""
        source = Path(self.env.srcdir)
        results = source / "book" / "results"
        for path in results.glob("*/*/provenance.json"):
            self.env.note_dependency(str(path))
        axes = figures.headline(over_training(results), by_optimiser(results))
        picture = axes[0].get_figure()
        (source / PICTURE).parent.mkdir(exist_ok=True)
        picture.savefig(source / PICTURE, bbox_inches="tight")
        folder = Path(self.env.app.outdir) / Path(self.env.docname).parent / "data"
        folder.mkdir(parents=True, exist_ok=True)
        rows = csv_of(picture)
        assert rows is not None
        (folder / f"{NAME}.csv").write_text(rows, encoding="utf-8", newline="\n")
        return [self._figure(), nodes.raw("", self._scripts(axes), format="html")]

    def _figure(self) -> nodes.Node:
        caption = nodes.caption()
        children, messages = self.state.inline_text("\n".join(self.content), self.lineno)
        caption += [*children, *messages]
        link = nodes.reference(
            "", "Data (CSV)", refuri=f"data/{NAME}.csv", internal=True, classes=["figure-data"]
        )
        picture = nodes.image(uri=f"/{PICTURE}", alt=ALT, classes=["dark-light"])
        drawn = nodes.figure("", picture, caption, nodes.legend("", nodes.paragraph("", "", link)))
        drawn["names"].append(NAME)
        self.state.document.note_explicit_target(drawn, drawn)
        return nodes.container("", drawn, classes=["cell", "cell_output"])

    def _scripts(self, axes: Any) -> str:
        hover = HoverPoints(axes)
        state = {"_esm": str(hover._esm), "_css": str(hover._css), "data": hover.data}
        text = json.dumps({"state": {"headline": {"state": state}}}, ensure_ascii=False)
        depth = self.env.docname.count("/")
        return SCRIPTS.format(state=text.replace("<", "\\u003c"), root="../" * depth)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("headline", Headline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
