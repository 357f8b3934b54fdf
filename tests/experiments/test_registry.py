"""The registry: one line an experiment, all else by the names of its files."""

import ast
import dataclasses
from pathlib import Path

import pytest

import sparsecore
from sparsecore.errors import InputError
from sparsecore.experiments.registry import EXPERIMENTS, experiment_class, part_of

PACKAGE = Path(sparsecore.__file__).parent
GENERAL = [*PACKAGE.glob("runs/*.py"), *PACKAGE.glob("training/*.py"), PACKAGE / "cli.py"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_data_and_a_task(name):
    config = experiment_class(name)
    assert dataclasses.is_dataclass(config) and config.name == name
    assert config.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
    assert set(config.presets) == {"quick", "small", "paper"}
    study = part_of(name, "config").study("quick")
    assert study and len(set(study)) == len(study)
    assert all(type(one) is config for one in study)
    task = part_of(name, "task")
    methods = ("build", "batches", "step", "end_epoch", "results")
    tables = part_of(name, "tables")
    assert hasattr(tables, "tables_of") or hasattr(tables, "tables_of_runs")
    assert part_of(name, "findings").__doc__
    assert callable(task.prepare) and all(callable(getattr(task.Task, m)) for m in methods)


def test_a_mistyped_name_is_told_the_near_one():
    with pytest.raises(InputError, match=r"unknown experiment 'taging' \(did you mean 'tagging'"):
        experiment_class("taging")


@pytest.mark.parametrize("path", GENERAL, ids=lambda path: path.name)
def test_what_serves_all_experiments_names_none(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    compared = [node for node in ast.walk(tree) if isinstance(node, ast.Compare | ast.Dict)]
    strings = {n.value for top in compared for n in ast.walk(top) if isinstance(n, ast.Constant)}
    assert strings & set(EXPERIMENTS) == set()
