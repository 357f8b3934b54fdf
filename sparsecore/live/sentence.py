"""A sentence of one's own under the lens."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from sparsecore.live.panel import DESCRIPTION, WIDE, Panel
from sparsecore.report.explorers import SentenceLens
from sparsecore.report.pages.emergent import Page
from sparsecore.report.pages.sentences import under_the_lens


def your_sentence(page: Page, text: str = "The sum of the elements is returned.") -> Panel:
    """Type a sentence; chi at every token of it, in the page's trained and untrained network."""
    box = widgets.Textarea(
        value=text, description="Your sentence", layout=WIDE, style=DESCRIPTION, rows=2
    )

    def work(say: Callable[[str], None]) -> list[widgets.Widget]:
        lens = SentenceLens(under_the_lens(page, [box.value]))
        say("")
        return [lens]

    return Panel([box], "Look", work)
