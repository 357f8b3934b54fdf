"""A training step of every experiment on a GPU that is not there, by shapes alone, and compiled."""

import dataclasses
import importlib

import pandas as pd
import pytest
import torch

from sparsecore.experiments.causes.config import Causes
from sparsecore.experiments.causes.task import Probe, row_chi
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.training.language import evaluate
from tests.fake_gpu import fake_gpu
from tests.training.test_distributed import NAMES, configs, write_texts

CPU = torch.device("cpu")
ARMS = ("adam", "mingru", "transformer", "sparse", "penalty", "curriculum")
EVERY = (*NAMES, *(f"causes/{arm}" for arm in ARMS))
pytestmark = pytest.mark.filterwarnings("ignore:tracker:UserWarning")  # no gradient comes


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Of each experiment a configuration and its inputs."""
    folder = write_texts(tmp_path_factory.mktemp("texts"), 120, (40, 12, 12), 60)
    causes = Causes(
        str(folder / "small.txt"), max_types=20, num_words=6, first_rank=2, hidden_size=8,
        batch_size=4, sequence_length=5, num_updates=20, report_every=10, probe_tokens=200,
        device="cpu",
    )  # fmt: skip
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(tmp_path_factory.mktemp("home")))
        for config in [*configs(folder), causes]:
            module = importlib.import_module(f"sparsecore.experiments.{config.name}.task")
            prepare = getattr(module, "read_text", module.prepare)  # no tags are needed
            found[config.name] = (module.Task, config, prepare(config, progress=False))
    return found


@pytest.fixture
def build(prepared, tmp_path, monkeypatch):
    """Makes the task of an experiment on a device, with its first batch."""
    monkeypatch.setenv("SPARSECORE_CUDA_GRAPHS", "0")
    target = "sparsecore.experiments.emergent.task.describe_words"
    monkeypatch.setattr(target, lambda *_: pd.DataFrame({"word": ["the"]}))

    def make(name, device, change=lambda model: model):
        name, _, arm = name.partition("/")
        make_task, config, inputs = prepared[name]
        config = dataclasses.replace(config, arm=arm) if arm else config
        task = make_task(config, inputs, tmp_path)
        torch.manual_seed(0)
        task.build(device)
        change(task.model)
        task.model.train()
        batches = task.batches(task.epochs.stop - 1 if name == "emergent" else task.epochs.start)
        torch.manual_seed(0)
        return task, batches[0]

    return make


def sums_of(made):
    return made[0] if isinstance(made, list) else made


@pytest.mark.parametrize("name", EVERY)
def test_a_step_on_a_gpu_neither_waits_for_it_nor_mixes_devices(name, build):
    task, batch = build(name, CPU)
    expected = sums_of(task.step(batch))
    with fake_gpu() as device:
        task, batch = build(name, device)
        found = sums_of(task.step(batch))
    assert found.keys() == expected.keys()
    assert found["loss"].device == device and found["loss"].shape == ()
    assert {parameter.device for parameter in task.model.parameters()} == {device}
    assert all(parameter.grad is not None for parameter in task.model.parameters())


@pytest.mark.parametrize("name", EVERY)
def test_a_step_by_shapes_alone(name, build, monkeypatch):
    if name == "tagging":  # the fused one knows no device without data
        adam = torch.optim.Adam
        monkeypatch.setattr(
            "torch.optim.Adam", lambda *given, fused, **named: adam(*given, **named)
        )
    task, batch = build(name, torch.device("meta"))
    assert sums_of(task.step(batch))["loss"].is_meta
    for parameter in task.model.parameters():
        assert parameter.grad.is_meta and parameter.grad.shape == parameter.shape


@pytest.mark.filterwarnings("ignore")  # PyTorch's tracer warns of its own looks at gradients
@pytest.mark.parametrize("name", EVERY)
def test_a_step_of_a_compiled_model_is_that_of_the_model(name, build):
    task, batch = build(name, CPU)
    expected = sums_of(task.step(batch))["loss"]
    gradients = [parameter.grad for parameter in task.model.parameters()]
    task, batch = build(name, CPU, lambda model: model.compile(backend="eager"))
    torch.testing.assert_close(sums_of(task.step(batch))["loss"], expected)
    for parameter, gradient in zip(task.model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_evaluation_on_a_gpu(build):
    with fake_gpu(waits=True) as device:
        model = LSTMLanguageModel(30, 6, 6).to(device)
        found = evaluate(model, torch.zeros(9, 2, dtype=torch.int64), 4)
    assert isinstance(found, torch.SymFloat)


def test_the_probe_of_causes_on_a_gpu(monkeypatch):
    # not there for a number of rows that values decide
    monkeypatch.setattr(torch.Tensor, "logsumexp", torch.Tensor.amax)
    with fake_gpu(waits=True) as device:
        decoder = torch.nn.Linear(8, 12).to(device)
        probe = Probe(torch.full((12,), -1).to(device))
        words = torch.zeros(5, dtype=torch.int64, device=device)
        probe.add(torch.zeros(5, 8, device=device), decoder, words)
        assert row_chi(decoder, torch.ones(12)).device == device
    assert probe.positions == 5 and {x.device for x in probe.sums.values()} == {CPU}
