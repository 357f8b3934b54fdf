"""What the live panels have in common: a button, a line that says what happens, a place to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from sparsecore.errors import InputError, TrainingError
from sparsecore.stats.tables import Summary

WIDE = widgets.Layout(width="100%", max_width="46rem")
DESCRIPTION = {"description_width": "9rem"}


class Panel(widgets.VBox):
    """Controls, a button, a status line, and below them whatever the button's work gives.

    Args:
        controls: shown above the button.
        label: of the button.
        work: called with ``say``, a function for one-line news; gives the widgets to show. Bad
            input becomes one line, and what was shown before stays.
    """

    def __init__(
        self,
        controls: Sequence[widgets.Widget],
        label: str,
        work: Callable[[Callable[[str], None]], Sequence[widgets.Widget]],
    ) -> None:
        self.work = work
        self.tables: Summary = {}  # what the last work measured
        self.button = widgets.Button(description=label, button_style="primary")
        self.status = widgets.Label(value="")
        self.shown = widgets.VBox([])
        self.button.on_click(self._clicked)
        row = widgets.HBox([self.button, self.status])
        super().__init__([*controls, row, self.shown])

    def press(self) -> None:
        """Do the button's work now, with the controls as they stand."""
        self.button.click()

    def say(self, text: str) -> None:
        """Replace the status line (plain text, never markup)."""
        self.status.value = text

    def show(self, *shown: widgets.Widget) -> None:
        """Replace what is below the button."""
        self.shown.children = shown

    def _clicked(self, _button: Any) -> None:
        self.button.disabled = True
        self.say("at work …")
        try:
            shown = self.work(self.say)
        except (InputError, TrainingError) as error:
            self.say(str(error))
        else:
            self.show(*shown)
            if self.status.value == "at work …":
                self.say("")
        finally:
            self.button.disabled = False
