"""Parameters of a notebook: what papermill inserts is compared with what the notebook declares."""

import pytest

from sparsecore.errors import InputError
from sparsecore.runs.notebook import assignments, check_parameters, compare_parameters

CELL = 'preset = "quick"  # quick | small | paper\ncorpus = None\nseed = 0\nrate = 0.5\nfast = True'
DECLARED = assignments(CELL)


def namespace(injected: str | None, **values):
    cells = ["", CELL] + ([f"# Parameters\n{injected}"] if injected is not None else [])
    return {"In": [*cells, "check_parameters(globals())"], **DECLARED, **values}


def test_a_notebook_run_by_hand_passes():
    check_parameters(namespace(None, other=3))


def test_declared_parameters_pass():
    check_parameters(namespace('seed = 4\npreset = "small"\ncorpus = "a.txt"', preset="small"))


def test_variables_of_later_cells_are_no_parameters():
    cells = ["", CELL, "# Parameters\nseed = 1", "check_parameters(globals())", "top = 10"]
    check_parameters({"In": cells, **DECLARED, "top": 10})


@pytest.mark.parametrize(
    ("injected", "message"),
    [
        ("sede = 4", r"unknown parameter 'sede' \(did you mean 'seed'\?\)"),
        ("zzz = 4", r"unknown parameter 'zzz' \(known: corpus, fast, preset, rate, seed\)"),
        ('seed = "four"', "parameter seed must be a whole number, not 'four'"),
        ("seed = 1.5", r"parameter seed must be a whole number, not 1\.5"),
        ("seed = True", "parameter seed must be a whole number, not True"),
        ("fast = 1", "parameter fast must be True or False, not 1"),
        ('preset = "smal"', r"unknown preset 'smal' \(did you mean 'small'\?\)"),
    ],
)
def test_what_does_not_fit_is_one_line(injected, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        check_parameters(namespace(injected))


def test_a_preset_typed_into_the_cell_is_checked():
    with pytest.raises(InputError, match="unknown preset 'papre'"):
        check_parameters(namespace(None, preset="papre"))


def test_whole_numbers_are_numbers():
    compare_parameters({"rate": 1}, DECLARED)


def test_assignments_skip_what_is_no_literal_and_magics():
    assert assignments("a = [1, 2]\nb: int = 3\nc = f()\nd: int") == {
        "a": [1, 2],
        "b": 3,
        "c": None,
    }
    assert assignments("%matplotlib inline\na = 1") == {}
