"""A notebook executed for each of many configurations: checked first, made once, told apart."""

import json

import pytest

from sparsecore.cli import main
from sparsecore.errors import InputError, TrainingError
from sparsecore.runs.notebook_sweep import parse_notebook_sweep, sweep_notebook

SCRIPT = """\
# %% tags=["parameters"]
epochs = 1
seed = 0
rate = 0.5

# %%
1 / (rate + epochs - 5)
print(f"epochs {epochs}, seed {seed}")
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(SCRIPT)
    return path


def printed(path):
    cells = json.loads(path.read_text())["cells"]
    return "".join(line for output in cells[-1]["outputs"] for line in output["text"]).strip()


def test_each_configuration_has_its_copy_and_is_executed_once(script, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["sweep", str(script), "--seed", "3", "--grid", "epochs=2,4", "--out", str(out)]
    assert main([*command, "--no-progress"]) == 0
    copies = [out / f"tiny-epochs={n}.ipynb" for n in (2, 4)]
    assert capsys.readouterr().out.split() == list(map(str, copies))
    assert [printed(path) for path in copies] == ["epochs 2, seed 3", "epochs 4, seed 3"]
    before = [path.stat().st_mtime_ns for path in copies]
    assert main([*command, "--no-progress"]) == 0
    assert [path.stat().st_mtime_ns for path in copies] == before


def test_a_cell_that_fails_is_named_and_the_other_copies_are_made(script, tmp_path):
    options = ["--rate=1.0", "--grid", "epochs=4", "--seeds", "1", "--out", str(tmp_path)]
    chosen = parse_notebook_sweep([str(script), *options, "--no-progress"])
    assert list(chosen.copies) == ["tiny-epochs=4-seed=0.ipynb"]
    with pytest.raises(TrainingError, match=r"^ZeroDivisionError: .* \(in cell 3\)$"):
        sweep_notebook(chosen)
    assert not (tmp_path / "tiny-epochs=4-seed=0.ipynb").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--grid epoch=1", r"unknown parameter 'epoch' \(did you mean 'epochs'\?\)"),
        ("--sead 1", r"unknown parameter 'sead' \(did you mean 'seed'\?\)"),
        ("--grid epochs=2,x", "parameter epochs must be a whole number, not 'x'"),
        ("--seed", "parameters are given as --name value, got '--seed'"),
        ("--seed 0 stray", "parameters are given as --name value, got 'stray'"),
        ("--seed x --seeds 2", "parameter seed must be a whole number, not 'x'"),
        ("--grid epochs=2,2", "the grid names epochs=2 twice; name each value once"),
        ("--scheduler lokal", "unknown scheduler 'lokal'"),
        ("--seeds 0", "--seeds must be at least 1"),
    ],
)
def test_mistakes_are_one_line_before_anything_runs(script, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        parse_notebook_sweep([str(script), *options.split(), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_script_folder_and_packages_must_be_there(script, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="there is no notebook nowhere"):
        parse_notebook_sweep(["nowhere.py", "--out", "x"])
    with pytest.raises(InputError, match="--out FOLDER"):
        parse_notebook_sweep([str(script)])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs jupytext: pip install 'sparse-by-nature\[book\]'"):
        parse_notebook_sweep([str(script), "--out", "x"])
