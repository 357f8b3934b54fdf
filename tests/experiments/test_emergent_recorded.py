"""Recorded steps: the numbers of steps made one by one, with no wait for the device in between."""

import sys
import warnings

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sparsecore.errors import TrainingError
from sparsecore.experiments.emergent import task as module
from sparsecore.experiments.emergent.task import Task, prepare
from sparsecore.runs.execute import execute
from sparsecore.training import graphs
from tests.conftest import small_text
from tests.experiments.interrupt import stop
from tests.experiments.test_emergent import small, tables

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture
def text_file(tmp_path):
    """Its epochs have a turn of 20 windows, a shorter turn, and a shorter window."""
    path = tmp_path / "small.txt"
    path.write_text(small_text(173))
    return path


def plainly(step, tensors, device):
    """All of a recording but the graph: warm-up, undone, then the step itself."""
    graphs.warm_up(step, tensors, device)
    return step


@pytest.fixture
def on_cpu(monkeypatch):
    """Static steps on the CPU, called where a GPU would replay them."""
    monkeypatch.setattr(module, "recordable", lambda device: True)
    monkeypatch.setattr(module, "fits", lambda tensor, device: True)
    monkeypatch.setattr(module, "recorded", plainly)


def begun(text_file, folder, **changes) -> Task:
    """A task before the first step of its first epoch of updates."""
    config = small(text_file, **changes)
    task = Task(config, prepare(config, progress=False), folder)
    torch.manual_seed(0)
    task.build(CPU)
    task.batches(1)
    return task


@pytest.mark.parametrize("changes", [{}, {"gradient": "total"}, {"num_blocks": 2, "gamma": 0.7}])
def test_static_steps_give_the_tables_and_weights_of_eager_ones(
    text_file, tmp_path, monkeypatch, on_cpu, changes
):
    turns, original = [], module.Recorder.turn
    monkeypatch.setattr(
        module.Recorder,
        "turn",
        lambda self, index: turns.append(original(self, index)) or turns[-1],
    )
    static = execute(small(text_file, epochs=2, **changes), progress=False)
    lengths = [len(turn or []) for turn in turns]
    assert max(lengths) == 20 and lengths.count(0) == 3  # the shorter last window of each epoch
    monkeypatch.setattr(module, "recordable", lambda device: False)
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "other"))
    assert tables(execute(small(text_file, epochs=2, **changes), progress=False)) == tables(static)


def test_the_way_may_change_where_a_run_was_interrupted(text_file, tmp_path, monkeypatch, on_cpu):
    whole = execute(small(text_file, epochs=2), progress=False)
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "other"))
    for static, turns in ((True, 3), (False, 7), (True, 1), (True, 2)):
        monkeypatch.setattr(module, "recordable", lambda device, static=static: static)
        stop(small(text_file, epochs=2), monkeypatch, turns)
    assert tables(execute(small(text_file, epochs=2), progress=False)) == tables(whole)


def test_divergence_names_the_same_step(text_file, monkeypatch, on_cpu):
    messages = []
    for static in (True, False):
        monkeypatch.setattr(module, "recordable", lambda device, static=static: static)
        with pytest.raises(TrainingError) as caught:
            execute(small(text_file, learning_rate=1e38, clip=1e30), progress=False)
        messages.append(str(caught.value).split(": the loss")[0])
    assert messages[0] == messages[1] and "in epoch 1 by step" in messages[0]


class NoWaiting(TorchDispatchMode):
    """Refuses what would make the host wait for a GPU.

    Three checks are made on a CPU only, where nothing waits: of ids, for an underflow, and of the
    range of norms. A tensor made of Python's numbers (``lift_fresh``) would be copied to the GPU.
    """

    REFUSED = (
        "_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal", "item",
        "_unique2", "repeat_interleave", "bincount", "lift_fresh",
    )  # fmt: skip
    ON_CPU = ("words", "_from_p", "concentration_of_values")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, target = func.overloadpacket.__name__, (kwargs or {}).get("device")
        given = {x.device for x in args if isinstance(x, torch.Tensor)}
        copies = target is not None and bool(given) and given != {target}
        if (name in self.REFUSED or copies) and not self._on_cpu_only():
            pytest.fail(f"{func} makes the host wait")
        return func(*args, **(kwargs or {}))

    def _on_cpu_only(self):
        frame = sys._getframe()
        while frame is not None:
            if frame.f_code.co_name in self.ON_CPU:
                return True
            frame = frame.f_back
        return False


@pytest.mark.parametrize("changes", [{}, {"gradient": "total"}])
def test_a_static_step_never_waits_for_the_device(text_file, tmp_path, on_cpu, changes):
    task = begun(text_file, tmp_path, **changes)
    with task.tracker:
        task.recorder.turn(0)
        task.recorder.step.seek(20)
        with NoWaiting():
            task.recorder.step()
        with NoWaiting(), pytest.raises(pytest.fail.Exception, match="makes the host wait"):
            task.eager_step(0)["loss"].item()


def test_what_a_step_carries_on_keeps_its_address_and_gradients_are_not_carried(
    text_file, tmp_path, on_cpu
):
    task = begun(text_file, tmp_path)
    recorder = task.recorder

    def addresses():
        named = {**dict(task.model.named_parameters()), **recorder._tensors()}
        return {name: tensor.data_ptr() for name, tensor in named.items()}

    with task.tracker:
        recorder.turn(0)
        before, keys = addresses(), set(task.tracker.sums)
        assert len(keys) == 14 and keys < set(before)
        for parameter in task.model.parameters():
            parameter.grad.fill_(torch.nan)
        recorder.turn(20)
        assert addresses() == before
        task.tracker.sums.clear()  # an epoch ends
        task.state.value = None
        losses = recorder.turn(0) or [torch.nan]
        assert addresses() == before and not np.isnan(losses).any()
    counts = {key: sums[:, 4].sum().item() for key, sums in task.tracker.sums.items()}
    assert set(counts.values()) == {20 * 4 * 9}


def test_warm_up_is_undone(text_file, tmp_path, on_cpu):
    task = begun(text_file, tmp_path)
    recorder = task.recorder
    random = torch.get_rng_state()
    with task.tracker:
        before = {name: tensor.clone() for name, tensor in recorder._tensors().items()}
        graphs.warm_up(recorder.step, recorder._tensors, CPU)
        after = recorder._tensors()
        assert set(before) < set(after)  # the sums are new
        assert all(torch.equal(after[name], before[name]) for name in before)
        assert not any(after[name].any() for name in set(after) - set(before))
        assert torch.equal(torch.get_rng_state(), random)

        def breaks():
            recorder.step()
            assert not torch.equal(torch.get_rng_state(), random)
            raise RuntimeError

        with pytest.raises(RuntimeError):
            graphs.warm_up(breaks, recorder._tensors, CPU)
        assert all(torch.equal(after[name], before[name]) for name in before)


def test_where_recording_fails_the_run_is_the_eager_one(text_file, tmp_path, monkeypatch, on_cpu):
    monkeypatch.setattr(module, "recorded", lambda *_: None)
    static = execute(small(text_file, epochs=1), progress=False)
    monkeypatch.setattr(module, "recordable", lambda device: False)
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "other"))
    assert tables(execute(small(text_file, epochs=1), progress=False)) == tables(static)


def test_what_is_recorded(monkeypatch):
    gpu = torch.device("cuda", 0)
    assert graphs.recordable(gpu) and not graphs.recordable(CPU)
    monkeypatch.setenv("SPARSECORE_CUDA_GRAPHS", "0")
    assert not graphs.recordable(gpu)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    assert graphs.fits(torch.zeros(125), gpu)
    with pytest.warns(UserWarning, match="stays on the host"):
        assert not graphs.fits(torch.zeros(126), gpu)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_recorded_steps_equal_eager_ones_on_a_gpu(text_file, tmp_path, monkeypatch, precision):
    config = small(text_file, epochs=2, device="cuda", precision=precision)
    turns, original = [], module.Recorder.turn
    monkeypatch.setattr(
        module.Recorder,
        "turn",
        lambda self, index: turns.append(original(self, index)) or turns[-1],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # recording must not fail
        static = execute(config, progress=False)
    assert max(len(turn or []) for turn in turns) == 20
    monkeypatch.setenv("SPARSECORE_CUDA_GRAPHS", "0")
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "other"))
    assert tables(execute(config, progress=False)) == tables(static)


@pytest.mark.gpu
@needs_gpu
def test_a_step_that_cannot_be_recorded_is_told_and_undone():
    x, drawn = torch.ones(3, device="cuda"), torch.cuda.get_rng_state()

    def waits():
        x.add_(torch.rand_like(x))
        x.sum().item()

    with pytest.warns(UserWarning, match="cannot be recorded"):
        assert graphs.recorded(waits, lambda: {"x": x}, x.device) is None
    assert x.tolist() == [1, 1, 1] and torch.equal(torch.cuda.get_rng_state(), drawn)
    assert torch.rand(2, device="cuda").isfinite().all()
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
