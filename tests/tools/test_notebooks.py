"""The pipeline on two small notebooks: what runs, what is skipped, what a failure leaves."""

import json

import pytest

from sparsecore.errors import InputError
from tools import notebooks
from tools.tidy import NotebookFailure

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A page

# %% tags=["parameters"]
preset = "quick"
{parameter} = 0

# %%
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %%
print("value", 10 / (3 - {parameter}))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A project of its own with the notebooks `first` (parameter seed) and `second` (epochs)."""
    scripts = tmp_path / "notebooks"
    scripts.mkdir()
    (scripts / "first.py").write_text(HEADER.format(parameter="seed"))
    (scripts / "second.py").write_text(HEADER.format(parameter="epochs"))
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6\n")
    (tmp_path / "sparsecore").mkdir()
    (tmp_path / "sparsecore" / "chi.py").write_text("x = 1\n")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "SCRIPTS", scripts)
    monkeypatch.setattr(notebooks, "EXECUTED", scripts / "executed")
    monkeypatch.setattr(notebooks, "WORK", tmp_path / "_build" / "notebooks")
    return tmp_path


def run(script, **parameters):
    notebooks.run_notebook(script, parameters, notebooks.fingerprint(script, parameters))
    return json.loads(notebooks.executed_path(script).read_text())


def output(page):
    return ["".join(o["text"]) for cell in page["cells"] for o in cell.get("outputs", [])]


def test_each_script_gets_the_parameters_that_it_declares_and_no_defaults(place):
    first, second = notebooks.scripts()
    given = {"preset": "quick", "seed": 2}
    assert notebooks.assign_parameters([first, second], given) == {first: {"seed": 2}, second: {}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"presett": "small"}, r"unknown parameter 'presett' \(did you mean 'preset'\?\)"),
        ({"preset": "smal"}, r"unknown preset 'smal' \(did you mean 'small'\?\)"),
        ({"seed": "x"}, "parameter seed must be a whole number, not 'x'"),
    ],
)
def test_a_mistyped_parameter_stops_before_any_work(place, given, message):
    with pytest.raises(InputError, match=message):
        notebooks.run_notebooks(given)
    assert not notebooks.EXECUTED.exists()


def test_an_unknown_notebook_is_named(place):
    with pytest.raises(InputError, match=r"unknown notebook 'frist' \(did you mean 'first'\?\)"):
        notebooks.scripts(["frist"])


def test_a_run_leaves_a_tidy_fresh_page(place):
    script = notebooks.scripts(["first"])[0]
    page = run(script, seed=1)
    assert output(page) == ["value 5.0\n"]
    assert page["metadata"]["sparsecore"]["parameters"] == {"seed": 1}
    assert page["metadata"]["kernelspec"]["name"] == "python3"
    assert notebooks.is_fresh(script, notebooks.fingerprint(script, {"seed": 1}))
    assert not notebooks.is_fresh(script, notebooks.fingerprint(script, {"seed": 2}))


def test_a_fresh_page_is_not_run_again(place, monkeypatch):
    script = notebooks.scripts(["first"])[0]
    run(script)
    monkeypatch.setattr(notebooks, "run_notebook", lambda *_: pytest.fail("ran again"))
    monkeypatch.setattr(notebooks, "_run_all", lambda *_: pytest.fail("ran again"))
    assert notebooks.run_notebooks({}, ["first"]) == [notebooks.executed_path(script)]


@pytest.mark.parametrize(
    "changed",
    ["notebooks/first.py", "sparsecore/chi.py", "requirements.lock", "book/results/table.csv"],
)
def test_any_change_makes_the_page_stale(place, changed):
    script = notebooks.scripts(["first"])[0]
    before = notebooks.fingerprint(script, {})
    (place / changed).parent.mkdir(parents=True, exist_ok=True)
    with open(place / changed, "a") as file:
        file.write("# changed\n")
    assert notebooks.fingerprint(script, {}) != before


def test_a_failing_cell_keeps_the_last_good_page(place):
    script = notebooks.scripts(["first"])[0]
    good = run(script)
    with pytest.raises(NotebookFailure, match=r"(?s)first\.py failed in cell \[4\].*ZeroDivision"):
        run(script, seed=3)
    assert json.loads(notebooks.executed_path(script).read_text()) == good
    assert (notebooks.WORK / "first.ipynb").exists()


def test_a_parameter_that_papermill_would_accept_fails_in_the_notebook_itself(place):
    script = notebooks.scripts(["first"])[0]
    with pytest.raises(NotebookFailure, match=r"InputError: unknown parameter 'sed'.*'seed'"):
        run(script, sed=1)


def test_command_line_tells_errors_in_one_line(place, capsys):
    assert notebooks.main(["-p", "sede", "3"]) == 2
    assert capsys.readouterr().err == "error: unknown parameter 'sede' (did you mean 'seed'?)\n"


def test_a_second_build_waits_and_says_so(place, capsys):
    import threading

    with notebooks.one_at_a_time():
        second = threading.Thread(target=lambda: notebooks.run_notebooks({"seed": 0}, ["first"]))
        second.daemon = True
        script = notebooks.scripts(["first"])[0]
        run(script)
        second.start()
        second.join(timeout=0.5)
        assert second.is_alive()
    second.join(timeout=60)
    assert not second.is_alive()
    assert "waiting for another build" in capsys.readouterr().out
