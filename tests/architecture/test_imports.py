"""Imports point one way: a room uses the rooms below it, and the library knows no experiment."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sparsecore"

# from the ground up; rooms of one floor do not use one another
LIBRARY: list[set[str]] = [
    {"errors"},
    {"files", "home"},
    {"stats", "ops", "data"},
    {"layers"},
    {"pruning", "models"},
    {"measure"},
]
COMPENDIUM: list[set[str]] = [
    {"training"},
    {"experiments"},
    {"runs"},
    {"report", "bench"},
    {"live"},
    {"cli"},
    {"__main__"},
]
FIGURES_MAY_IMPORT = {
    "numpy", "pandas", "matplotlib", "seaborn", "anywidget", "traitlets", "IPython"
}  # fmt: skip


def below(room: str) -> set[str]:
    """The rooms that one may use."""
    found: set[str] = set()
    for floor in [*LIBRARY, *COMPENDIUM]:
        if room in floor:
            return found
        found |= floor
    raise AssertionError(f"{room} stands on no floor")


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
    """The folder of the package, or the module beside them."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE] + [
    path for path in sorted(PACKAGE.glob("*.py")) if path.name != "__init__.py"
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_uses_only_the_rooms_below_it(path):
    used = {name.split(".")[1] for name in imported(path) if name.startswith("sparsecore.")}
    assert used - below(room(path)) - {room(path), "__version__"} == set()


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(root: Path) -> dict[str, set[str]]:
    """Which modules of the package each of them imports: at the top, in functions, for types."""
    paths = {module_name(path): path for path in root.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):  # of a package: a module, or what is in it
                modules = {f"{node.module}.{alias.name}": alias for alias in node.names}
                found |= {module if module in paths else str(node.module) for module in modules}
        graph[name] = (found & set(paths)) - {name}
    return graph


def test_no_imports_go_round_in_a_circle():
    """Nor do those that wait in a function, or are for type checkers alone."""
    with pytest.raises(CycleError) as caught:
        TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}}).prepare()
    assert len(caught.value.args[1]) == 4
    graph = import_graph(PACKAGE)
    assert len(graph) > 150 and "sparsecore.errors" in graph["sparsecore.files"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(reversed(error.args[1]))}")


def test_the_library_stands_below_the_compendium():
    library = set().union(*LIBRARY)
    assert all(below(upper) >= library for floor in COMPENDIUM for upper in floor)


def figures() -> list[Path]:
    folders = ("figures", "explorers")
    return [p for p in FILES if room(p) == "report" and p.relative_to(PACKAGE).parts[1] in folders]


def test_figures_import_only_tables_and_plotting():
    names = {name for path in figures() for name in imported(path)}
    outside = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert outside - {"sparsecore"} <= FIGURES_MAY_IMPORT


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
        for path in figures()
        if path.name != "__init__.py"
    ]
    assert modules
    assert "torch" not in loaded_by(f"import {', '.join(modules)}")
