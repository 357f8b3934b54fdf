"""Every notebook through papermill at the quick preset: the executed copies that the book shows."""

import ast
import re

import nbformat
import pytest

from sparsecore.errors import InputError
from tools.notebooks import (
    assign_parameters,
    declared_parameters,
    executed_path,
    fingerprint,
    run_notebook,
    run_notebooks,
    scripts,
)
from tools.tidy import NotebookFailure

SCRIPTS = scripts()


@pytest.fixture(scope="session", autouse=True)
def executed():
    """Run what is not up to date; after `make book` that is nothing."""
    return run_notebooks({})


def outputs(script):
    notebook = nbformat.read(executed_path(script), as_version=4)
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_it_runs_to_the_end_and_shows_a_figure_or_an_explorer(script):
    shown = {kind for output in outputs(script) for kind in output.get("data", {})}
    assert shown & {"image/png", "image/svg+xml", "application/vnd.jupyter.widget-view+json"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_it_warns_of_nothing(script):
    told = [output.text for output in outputs(script) if output.get("name") == "stderr"]
    assert told == []
    assert not any(output.output_type == "error" for output in outputs(script))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_it_takes_preset_seed_and_device_and_refuses_a_mistyped_name(script):
    declared = declared_parameters(script)
    assert declared.get("preset", "quick") == "quick"
    of_runs = {"seed", "device", "corpus"}
    trained = "model" not in declared  # else the page is on a model that others trained
    if trained:
        assert "preset" in declared
        assert of_runs & set(declared) in (of_runs, set())  # a page that trains nothing has none
    known = "preset" if "preset" in declared else "reference"
    near = re.escape(f"unknown parameter '{known}t' (did you mean '{known}'?)")
    with pytest.raises(InputError, match=near):
        assign_parameters([script], {f"{known}t": "small"})


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_parameters_are_checked_before_any_other_work(script):
    import jupytext

    cells = [cell for cell in jupytext.read(script).cells if cell.cell_type == "code"]
    tagged = ["parameters" in cell.metadata.get("tags", []) for cell in cells]
    assert tagged.index(True) == 0
    first = ast.parse(cells[1].source).body
    calls = [
        ast.unparse(node) for node in first if not isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert calls[0] == "check_parameters(globals())"


def test_papermill_with_a_mistyped_name_fails_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.notebooks.EXECUTED", tmp_path)
    with pytest.raises(
        NotebookFailure, match=r"InputError: unknown parameter 'sede' \(did you mean"
    ):
        run_notebook(SCRIPTS[0], {"sede": 1}, fingerprint(SCRIPTS[0], {}))
    assert list(tmp_path.iterdir()) == []
