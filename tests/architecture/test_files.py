"""The shape of the tree: small files, percent scripts instead of notebooks.

That public names have docstrings is ruff's rule D1.
"""

import ast
import importlib
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = [
    path
    for folder in ("sparsecore", "tests", "tools", "book/_ext", "notebooks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=name)
def test_a_file_is_short_enough_to_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def tracked() -> list[str]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_an_experiment_has_always_the_same_files():
    names = {"__init__.py", "config.py", "task.py", "tables.py", "findings.py"}
    folders = [path for path in (ROOT / "sparsecore" / "experiments").iterdir() if path.is_dir()]
    extra = [f for path in folders for f in path.rglob("*.py") if f.name not in names]
    assert len(folders) > 5 and extra == []


def test_no_executed_notebook_is_committed():
    assert [path for path in tracked() if path.endswith(".ipynb")] == []


def test_committed_files_are_small():
    large = [path for path in tracked() if (ROOT / path).exists() and size(path) > 2_500_000]
    assert large == []


def size(path: str) -> int:
    return (ROOT / path).stat().st_size


def test_patterns_match_alike_in_every_python():
    """Before Python 3.11.5 possessive quantifiers and atomic groups match less than they should."""
    parse, at_fault = importlib.import_module("re._parser").parse, []
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile":
                (pattern, *_) = node.args
                told = str(parse(pattern.value)) if isinstance(pattern, ast.Constant) else ""
                if "POSSESSIVE" in told or "ATOMIC" in told:
                    at_fault.append(f"{name(path)}:{node.lineno}")
    assert at_fault == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebooks_call_and_never_define(path):
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert [node.name for node in nodes if isinstance(node, defined)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebooks_declare_parameters_and_check_them(path):
    text = path.read_text(encoding="utf-8")
    assert text.count('tags=["parameters"') == 1
    assert "check_parameters(globals())" in text
    assert "language: python" in text
    assert "name: python3" in text
