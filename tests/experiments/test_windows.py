"""Windows of random lengths, recorded by length: the numbers of windows made one by one."""

import dataclasses
import warnings
from unittest import mock

import pytest
import torch

from sparsecore.experiments.language.config import sparse_match
from sparsecore.experiments.registry import part_of
from sparsecore.layers import block_merge
from sparsecore.ops.staircase import lookup
from sparsecore.runs.execute import execute
from sparsecore.training import windows as module
from sparsecore.training.windows import Step, Windows
from tests.experiments.interrupt import contents, stop
from tests.experiments.test_emergent_recorded import NoWaiting, needs_gpu
from tests.experiments.test_language import small as language
from tests.experiments.test_reciting import small as reciting
from tests.training.tape import replays_windows, taped


def sparse(text_file):
    """Blocks, bins and every dropout, through both phases."""
    base = language(
        text_file, epochs=2, average_by=1, finetune_epochs=1, dropoute=0.1, dropouth=0.1,
        embedding_density=0.5, embedding_bins=4,
    )  # fmt: skip
    return sparse_match(base)


CONFIGS = {
    "language": lambda text_file: language(text_file, epochs=2, average_by=1, finetune_epochs=1),
    "sparse": sparse,
    "reciting": lambda text_file: reciting(text_file, max_tokens=400, epochs=3),
}


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Few windows of a length are made one by one; layers run by operations that a tape sees.

    In one thread: the last bits of a product of several depend on where its factors lie.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(module, "AFTER", 1)
    monkeypatch.setattr(block_merge, "MAX_HIDDEN", 0)
    monkeypatch.setattr(lookup, "compiles_on_cpu", lambda *_: False)
    monkeypatch.setattr(lookup, "is_traced", lambda: True)
    torch._C._set_mkldnn_enabled(False)
    yield
    torch._C._set_mkldnn_enabled(True)
    torch.set_num_threads(threads)


@pytest.fixture
def on_cpu(monkeypatch):
    """Tapes, replayed where a GPU would replay graphs; the lengths, as they are recorded."""
    return replays_windows(monkeypatch)


def begun(config, folder):
    """The task of a run before its first step."""
    parts = part_of(config.name, "task")
    task = parts.Task(config, parts.prepare(config, progress=False), folder)
    torch.manual_seed(0)
    task.build(torch.device(config.device))
    task.model.train()
    return task


@pytest.mark.parametrize("name", CONFIGS)
def test_replayed_windows_give_the_tables_and_weights_of_eager_ones(
    name, text_file, tmp_path, monkeypatch, on_cpu
):
    config, eager = CONFIGS[name](text_file), mock.Mock(side_effect=Windows._eager, autospec=True)
    monkeypatch.setattr(Windows, "_eager", lambda *given: eager(*given))
    replayed = contents(execute(config, progress=False))
    assert len(set(on_cpu)) >= 4  # lengths
    assert len(on_cpu) > len(set(on_cpu)) or name != "sparse"  # anew as a buffer was renewed
    one_by_one = eager.call_count
    monkeypatch.setattr(module, "recordable", lambda device: False)
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "other"))
    assert contents(execute(config, progress=False)) == replayed
    assert eager.call_count - one_by_one > 2 * one_by_one  # of all windows


def test_the_way_may_change_where_a_run_was_interrupted(text_file, tmp_path, monkeypatch, on_cpu):
    config = CONFIGS["language"](text_file)
    whole = contents(execute(config, progress=False))
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "other"))
    for replays, steps in ((True, 9), (False, 8), (True, 11)):
        monkeypatch.setattr(module, "recordable", lambda device, replays=replays: replays)
        stop(config, monkeypatch, steps)
    assert contents(execute(config, progress=False)) == whole


@pytest.mark.parametrize("name", CONFIGS)
def test_a_recorded_window_never_waits_for_the_device(name, text_file, tmp_path, on_cpu):
    task = begun(CONFIGS[name](text_file), tmp_path)
    for start in (0, 9, 18):
        task.batches(1)
        task.step((start, 9))
    step = Step(task.windows, 9)
    step()
    task.windows.recorded[9] = step, step.trained
    with NoWaiting():
        task.windows(27, 9)


def test_few_lengths_are_recorded_and_none_anew_without_need(
    text_file, tmp_path, monkeypatch, on_cpu
):
    monkeypatch.setattr(module, "MOST", 2)
    task = begun(CONFIGS["sparse"](text_file), tmp_path)
    for _ in range(2):
        task.batches(1)
        for length in (7, 7, 9, 9, 8, 8, 7):
            task.step((0, length))
        task.state.value = None  # an epoch ends
    assert on_cpu == [7, 9]
    gradients = {id(parameter.grad) for parameter in task.model.parameters()}
    assert gradients == {id(tensor) for tensor in task.windows.gradients.values()}
    task.model.load_state_dict(task.model.state_dict())  # makes the layout of the embedding anew
    task.step((0, 7))
    assert on_cpu == [7, 9] and not task.windows.recorded  # no state of the window before
    task.step((7, 7))
    assert on_cpu == [7, 9, 7]


def test_where_recording_fails_the_run_is_the_eager_one(text_file, tmp_path, monkeypatch, on_cpu):
    config, tries = CONFIGS["language"](text_file), []

    def fails_the_second_time(*arguments):
        tries.append(None)
        return taped(*arguments) if len(tries) < 2 else None

    monkeypatch.setattr(module, "recorded", fails_the_second_time)
    found = contents(execute(config, progress=False))
    assert len(tries) == 2
    monkeypatch.setattr(module, "recordable", lambda device: False)
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "other"))
    assert contents(execute(config, progress=False)) == found


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("name", CONFIGS)
def test_recorded_windows_are_eager_ones_on_a_gpu(name, text_file, tmp_path, monkeypatch):
    """But for the order in which a GPU adds the gradients of a word that occurs several times."""
    config = dataclasses.replace(CONFIGS[name](text_file), device="cuda")
    losses = []
    for switch in ("1", "0"):
        monkeypatch.setenv("SPARSECORE_CUDA_GRAPHS", switch)
        torch.manual_seed(0)
        task = begun(config, tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # recording must not fail
            few = task.batches(1)[:12]
            found = [task.step(window)["loss"] for _ in range(3) for window in few]
        assert bool(task.windows.recorded) == (switch == "1")
        losses.append(torch.stack(found).double())
    torch.testing.assert_close(*losses, rtol=1e-3, atol=0)
