"""What SECURITY.md promises of the code itself: no pickle, no evaluated text, UTF-8 by name."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = [
    path
    for folder in ("sparsecore", "tools", "book/_ext", "notebooks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
# helper processes of our own, over pipes; the trap that the fuzz tool lays for who unpickles
PICKLES = {"sparsecore/data/pool.py", "tools/fuzz/hostile.py"}
LOADERS = {"torch.load", "joblib.load", "pd.read_pickle", "pandas.read_pickle", "shelve.open",
           "marshal.loads", "yaml.load", "yaml.unsafe_load", "os.system", "os.popen"}  # fmt: skip
EVALUATORS = {"eval", "exec", "__import__", "compile"}
TEXT = {"read_text", "write_text"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def nodes(text: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(text)))


def calls(text: str) -> Iterator[tuple[str, dict[str, ast.expr], ast.Call]]:
    """The dotted name of everything that is called, its keywords, and the call."""
    for node in nodes(text):
        if isinstance(node, ast.Call):
            keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            yield ast.unparse(node.func), keywords, node


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def dangers(text: str) -> list[str]:
    """What may run code that a file or an option brings along."""
    found = []
    for called, keywords, _ in calls(text):
        if called in LOADERS or called in EVALUATORS:
            found.append(called)
        if called in ("np.load", "numpy.load") and not is_constant(
            keywords.get("allow_pickle"), False
        ):
            found.append(f"{called} without allow_pickle=False")
        if not is_constant(keywords.get("shell", ast.Constant(False)), False):
            found.append(f"{called} with a shell")
        if not is_constant(keywords.get("trust_remote_code", ast.Constant(False)), False):
            found.append(f"{called} with trust_remote_code")
    return found


def modules(text: str) -> set[str]:
    found = set()
    for node in nodes(text):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def without_encoding(text: str) -> list[str]:
    """Calls that open text files in whatever encoding the machine prefers."""
    found = []
    for called, keywords, call in calls(text):
        method = called.rpartition(".")[2]
        if method in TEXT and "." in called:
            if "encoding" not in keywords:
                found.append(ast.unparse(call))
        elif called in ("open", "os.fdopen") or (method == "open" and called.startswith("path")):
            place = 0 if called.startswith("path") else 1
            mode = keywords.get("mode", call.args[place] if len(call.args) > place else None)
            binary = isinstance(mode, ast.Constant) and "b" in str(mode.value)
            if not binary and "encoding" not in keywords:
                found.append(ast.unparse(call))
        elif called == "io.TextIOWrapper" and "encoding" not in keywords:
            found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("path", CODE, ids=name)
def test_nothing_that_a_file_brings_along_is_run(path):
    text = path.read_text(encoding="utf-8")
    assert dangers(text) == []
    if name(path) not in PICKLES:
        assert not modules(text) & {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}


@pytest.mark.parametrize("path", CODE, ids=name)
def test_text_files_are_utf8_by_name(path):
    assert without_encoding(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(path)", "np.load(path)", "np.load(path, allow_pickle=True)", "eval(text)",
        "subprocess.run(text, shell=True)", "yaml.load(text)", "pd.read_pickle(path)",
        "np.load(path, allow_pickle=allowed)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
    ],
)  # fmt: skip
def test_what_is_dangerous_is_seen(text):
    assert dangers(text)


def test_what_has_no_encoding_is_seen():
    bad = [
        "open(path)",
        "open(path, 'w')",
        "path.read_text()",
        "path.open()",
        "io.TextIOWrapper(x)",
    ]
    assert [without_encoding(text) for text in bad] == [[text] for text in bad]
    good = ["open(path, 'rb')", "path.read_text(encoding='utf-8')", "write_text(path, text)"]
    assert [without_encoding(text) for text in good] == [[], [], []]


@pytest.mark.parametrize("file", ["encoders.py", "causal_lm.py"])
def test_weights_of_encoders_and_language_models_are_safetensors(file):
    """transformers falls back to a pickle where there is no safetensors file, unless it is told."""
    text = (ROOT / "sparsecore" / "data" / file).read_text(encoding="utf-8")
    models = ("AutoModel.from_pretrained", "AutoModelForCausalLM.from_pretrained")
    loads = [given for called, given, _ in calls(text) if called.endswith(models)]
    assert loads and all(is_constant(given.get("use_safetensors"), True) for given in loads)


def test_every_promise_names_tests_that_are_there():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| **")]
    assert len(rows) >= 8
    for promise, tests in rows:
        files = re.findall(r"`([^`]*test_\w+\.py)`", tests)
        assert files, promise
        assert all(list(ROOT.glob(f"tests/**/{Path(file).name}")) for file in files), promise
