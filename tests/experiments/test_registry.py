"""The registry: one line an experiment, all else by the names of its files."""

import ast
import dataclasses
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn

import sparsecore
from sparsecore.errors import InputError
from sparsecore.experiments.registry import EXPERIMENTS, experiment_class, part_of
from sparsecore.runs.execute import execute
from sparsecore.training.loop import update

PACKAGE = Path(sparsecore.__file__).parent
GENERAL = [*PACKAGE.glob("runs/*.py"), *PACKAGE.glob("training/*.py"), PACKAGE / "cli.py"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_data_and_a_task(name):
    config = experiment_class(name)
    assert dataclasses.is_dataclass(config) and config.name == name
    assert config.__dataclass_params__.frozen
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


class Line:
    """The task of the configuration in CONTRIBUTING.md: a line through four points."""

    def __init__(self, config, inputs, folder):
        self.config, self.inputs = config, inputs
        self.epochs = range(1, config.epochs + 1)

    def build(self, device):
        self.model = nn.Linear(1, 1).to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), self.config.learning_rate)
        return {"model": self.model, "optimizer": self.optimizer}

    def batches(self, epoch):
        return [torch.arange(4.0)[:, None]]

    def step(self, x):
        (loss,) = update(self.model, self.optimizer, (self.model(x) - 2 * x).square().mean())
        return {"loss": loss * len(x), "count": len(x)}

    def end_epoch(self, sums):
        return {"train_loss": sums["loss"] / sums["count"]}

    def results(self):
        row = {"slope": self.model.weight.item()}
        return {"weights": self.model.state_dict(), "results": pd.DataFrame([row])}


def test_the_configuration_of_the_contributors_guide_is_all_that_a_run_needs(monkeypatch):
    guide = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^ {3}```python\n(.*?)^ {3}```", guide, re.DOTALL | re.MULTILINE)
    config, task = (ModuleType(f"sparsecore.experiments.toy.{n}") for n in ("config", "task"))
    monkeypatch.setitem(EXPERIMENTS, "toy", "a line")
    for module in (config, task):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(textwrap.dedent(code), vars(config))
    inputs = SimpleNamespace(name="points", sha256="0" * 64, info={})
    vars(task).update(prepare=lambda config, progress: inputs, Task=Line)
    configs = config.study("quick", device="cpu")
    assert [one.seed for one in configs] == [0, 1, 2]
    run = execute(configs[0], progress=False)
    assert run.done and run.epochs["epoch"].tolist() == [1, 2] and len(run.results) == 1
    with pytest.raises(InputError, match="epochs must be at least 1, got 0"):
        experiment_class("toy")(epochs=0)
