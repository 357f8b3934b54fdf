"""A notebook's parameters, checked before any work, and how it is executed.

Papermill sets parameters by inserting a cell after the one tagged ``parameters``, and takes any
name: a mistyped one is silently a new variable. :func:`check_parameters`, called in the cell that
follows, turns it into one line that names the near match.
"""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sparsecore.errors import InputError, check_choice, near_match

PRESETS = ("quick", "small", "paper")

_INJECTED = "# Parameters"  # how the cell begins that papermill inserts
_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}


def check_parameters(namespace: Mapping[str, Any]) -> None:
    """Raise :class:`InputError` if papermill was given a parameter that the notebook does not have.

    ``namespace`` is the notebook's ``globals()``. The cells run so far (IPython keeps them in
    ``In``) say which names the notebook declares and which ones papermill set. A value of another
    type than its default (``seed="x"`` where the default is a number) and an unknown preset are
    refused as well. In a notebook run by hand there is no inserted cell, and only the preset is
    looked at.

    >>> cells = ["", "seed = 0", "# Parameters\\nsede = 3"]
    >>> check_parameters({"In": cells, "seed": 0, "sede": 3})
    Traceback (most recent call last):
    sparsecore.errors.InputError: unknown parameter 'sede' (did you mean 'seed'?)
    """
    declared: dict[str, Any] = {}
    given: dict[str, Any] = {}
    for source in namespace.get("In", ()):
        if source.lstrip().startswith(_INJECTED):
            given |= assignments(source)
        elif not given:
            declared |= assignments(source)
    compare_parameters(given, declared or given)
    _check_preset(namespace.get("preset"))


def compare_parameters(given: Mapping[str, Any], declared: Mapping[str, Any]) -> None:
    """Raise :class:`InputError` unless each given name is declared, with a value of its kind.

    ``declared`` maps each parameter to its default; a default of ``None`` accepts any value.

    >>> compare_parameters({"seed": "x"}, {"seed": 0})
    Traceback (most recent call last):
    sparsecore.errors.InputError: parameter seed must be a whole number, not 'x'
    """
    for name, value in given.items():
        check_choice("parameter", name, declared)
        if not _same_kind(value, declared[name]):
            kind = _KINDS.get(type(declared[name]), f"like {declared[name]!r}")
            raise InputError(f"parameter {name} must be {kind}, not {value!r}")
    _check_preset(given.get("preset"))


def declared_parameters(script: Path) -> dict[str, Any]:
    """The parameters of a percent script and their defaults: its cell tagged ``parameters``.

    Raises InputError unless there is one such cell.
    """
    import jupytext

    notebook: Any = jupytext.read(script)
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise InputError(f"{script.name} must have one cell tagged 'parameters', not {len(cells)}")
    return assignments(cells[0].source)


def executed(script: str, parameters: Mapping[str, Any], draft: Path, cwd: str | None) -> Any:
    """The notebook of a percent script, given as text, executed with these parameters in ``cwd``.

    ``draft`` is written cell by cell, and stays where one fails; papermill's error is then raised.
    """
    import jupytext
    import nbformat
    import papermill

    papermill.execute_notebook(
        jupytext.reads(script, fmt="py:percent"),
        str(draft),
        parameters=dict(parameters),
        kernel_name="python3",
        language="python",
        progress_bar=False,
        cwd=cwd,
        extra_arguments=["--IPKernelApp.log_level=50"],  # of its transport, and its own end
    )
    return nbformat.read(draft, as_version=4)


def copy_text(notebook: Any, mark: str, parameters: Mapping[str, Any]) -> str:
    """An executed notebook as the text of a copy that carries the fingerprint ``mark``."""
    import nbformat

    notebook.metadata["sparsecore"] = {"fingerprint": mark, "parameters": dict(parameters)}
    return nbformat.writes(notebook) + "\n"


def is_fresh(copy: Path, mark: str) -> bool:
    """Whether an executed copy is there and carries the fingerprint ``mark``."""
    try:
        notebook = json.loads(copy.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return notebook.get("metadata", {}).get("sparsecore", {}).get("fingerprint") == mark


def parse_value(text: str) -> Any:
    """A parameter's value as typed on the command line, read as papermill reads it.

    >>> [parse_value(text) for text in ("3", "0.5", "True", "None", "ptb")]
    [3, 0.5, True, None, 'ptb']
    """
    words = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def assignments(source: str) -> dict[str, Any]:
    """The plain values that a cell assigns to names; ``None`` for what is not a literal.

    >>> assignments("seed = 0  # of the initial weights\\nname: str = 'a'\\nx = f()")
    {'seed': 0, 'name': 'a', 'x': None}
    """
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # a magic, or no Python at all
        return {}
    return {name: value for statement in statements for name, value in _assigned(statement)}


def _assigned(statement: ast.stmt) -> Iterable[tuple[str, Any]]:
    if isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets, value = [statement.target], statement.value
    else:
        return
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id, _literal(value)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _same_kind(value: Any, default: Any) -> bool:
    if value is None or default is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))


def _check_preset(preset: Any) -> None:
    if preset is not None and preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r}{near_match(str(preset), PRESETS)}")
