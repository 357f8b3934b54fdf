"""An executed notebook made fit to read: no progress bars, times or random names; and a failed
one made fit to mend: which cell, which error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_PROGRESS = re.compile(r"\d+%\||\d+it \[|it/s|s/it|\r")
_WIDGET = "application/vnd.jupyter.widget-view+json"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class NotebookFailure(Exception):
    """A notebook stopped: the message says where and why, in a few lines."""


def tidy(notebook: Any) -> Any:
    """Strip from an executed notebook what says nothing to a reader, in place; return it.

    Progress bars (text and widget), papermill's times, and cell names that change from run to run
    go; other standard-error output stays, because a warning on a page is to be seen and mended.
    """
    notebook.metadata.pop("papermill", None)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
    if not any(_WIDGET in output.get("data", {}) for output in _outputs(notebook)):
        notebook.metadata.pop("widgets", None)
    return notebook


def _outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def _is_progress(output: Any) -> bool:
    if output.output_type == "stream":
        return output.name == "stderr" and bool(_PROGRESS.search(output.text))
    data = output.get("data", {})
    return _WIDGET in data and bool(_PROGRESS.search(data.get("text/plain", "")))


def failure_of(error: Exception, script: Path, draft: Path) -> NotebookFailure:
    """What to tell of an exception that papermill raised while it ran ``script``.

    A cell's own error is named with the cell's lines; anything else (the kernel died, say) by its
    message. ``draft`` is where the notebook, run so far, can be looked at.
    """
    name = getattr(error, "ename", None)
    if name is None:
        return NotebookFailure(f"{script} failed: {type(error).__name__}: {error}")
    source = "\n".join(f"    {line}" for line in _excerpt(str(getattr(error, "source", ""))))
    where = _location(getattr(error, "traceback", []))
    return NotebookFailure(
        f"{script} failed in cell [{getattr(error, 'exec_count', '?')}]:\n\n{source}\n\n"
        f"{name}: {getattr(error, 'evalue', '')}\n{where}  (run so far: {draft})"
    )


def _excerpt(source: str, lines: int = 12) -> list[str]:
    kept = source.strip().splitlines()
    return kept if len(kept) <= lines else [*kept[:lines], "…"]


def _location(traceback: Iterable[str]) -> str:
    """The last file and line of a traceback that is not the cell itself, as one line."""
    text = COLOURS.sub("", "\n".join(traceback))
    found = re.findall(r"^File (\S+?):(\d+)", text, re.MULTILINE)
    return f"  at {found[-1][0]}:{found[-1][1]}\n" if found else ""
