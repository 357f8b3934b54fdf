"""Imports point one way: a room uses the rooms below it, and the three papers never one another."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sparsecore"

GROUND = {"errors", "files", "home"}
MATTER = {"data", "stats", "ops"}
NETWORKS = {"models", "training"}
PAPERS = {"emergent", "predefined", "learned"}

MAY_USE = {
    **dict.fromkeys(GROUND | {"data", "ops"}, GROUND),
    "stats": {"errors"},
    "view": {"errors", "stats"},
    **dict.fromkeys(NETWORKS, GROUND | MATTER | NETWORKS),
    **dict.fromkeys(PAPERS, GROUND | MATTER | NETWORKS),
    "runs": GROUND | MATTER | NETWORKS | PAPERS,
    "live": GROUND | MATTER | NETWORKS | PAPERS | {"runs", "view"},
    "bench": GROUND | MATTER | NETWORKS | PAPERS | {"runs"},
    "__main__": {"cli"},
    "cli": GROUND | MATTER | NETWORKS | PAPERS | {"runs", "bench", "view", "__version__"},
}
VIEW_MAY_IMPORT = {"numpy", "pandas", "matplotlib", "seaborn", "anywidget", "traitlets", "IPython"}


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, inside functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            if node.module == "sparsecore":
                yield from (f"sparsecore.{alias.name}" for alias in node.names)
            else:
                yield node.module


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE] + [
    path for path in sorted(PACKAGE.glob("*.py")) if path.name != "__init__.py"
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_uses_only_the_rooms_below_it(path):
    used = {name.split(".")[1] for name in imported(path) if name.startswith("sparsecore.")}
    assert used - MAY_USE[room(path)] - {room(path)} == set()


def test_view_imports_only_tables_and_plotting():
    names = {name for path in FILES if room(path) == "view" for name in imported(path)}
    outside = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert outside - {"sparsecore"} <= VIEW_MAY_IMPORT


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"torch", "pandas", "numpy", "scipy", "spacy", "matplotlib", "seaborn", "pyarrow"}
    assert loaded_by("import sparsecore") & heavy == set()


def test_layers_do_not_load_the_compiler_of_pytorch():
    names = ["SparseLSTM", "SparseEmbedding", "RationalRNN", "track"]
    loaded = loaded_by(f"import sparsecore as sc; {'; '.join(f'sc.{name}' for name in names)}")
    assert "torch.nn" in loaded and "torch._dynamo" not in loaded


def test_pictures_need_no_torch():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in FILES
        if room(path) == "view" and path.name != "__init__.py"
    ]
    assert modules
    assert "torch" not in loaded_by(f"import {', '.join(modules)}")
