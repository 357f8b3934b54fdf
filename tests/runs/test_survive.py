"""What a run meets in its life: signals, a second process, a full disk, no memory, odd machines."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from sparsecore.cli import main
from sparsecore.data import locate
from sparsecore.errors import InputError, TrainingError
from sparsecore.experiments.reciting.config import Reciting
from sparsecore.experiments.reciting.task import Task
from sparsecore.runs import execute as executing
from sparsecore.runs.execute import execute
from sparsecore.runs.store import list_runs
from sparsecore.training import loop
from sparsecore.training.batches import random_windows
from sparsecore.training.checkpoint import load_checkpoint
from tests.conftest import small_text
from tools.torture import contents

FIELDS = {
    "max_tokens": 120,
    "embedding_size": 16,
    "hidden_size": 24,
    "num_layers": 1,
    "sequence_length": 10,
    "batch_size": 2,
    "epochs": 4,
    "device": "cpu",
}
TEXT = small_text() + "Żółw naïve übt 日本語 .\n" * 9


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "żółw.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def small(text, **changes):
    return Reciting.preset("quick", **{**FIELDS, "corpus": str(text), **changes})


def command(text, **changes):
    fields = {**FIELDS, "corpus": str(text), **changes}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in fields.items()]
    return ["run", "reciting", "--no-progress", *options]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The tables of the undisturbed run, computed once."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECORE_HOME", str(folder))
        return contents(execute(small(folder / "text.txt"), progress=False).path)


@contextlib.contextmanager
def at_step(number, what):
    """Within, call ``what`` in that step of training, once."""
    original, done = Task.step, []

    def step(self, *arguments):
        done.append(None)
        if len(done) == number:
            what()
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "step", step)
        yield


def steps_before(epoch):
    """Of the small run, which reads 59 targets a column in windows of random length."""
    numbers = range(1, epoch)
    return sum(len(random_windows(59, 10, np.random.default_rng([0, n]))) for n in numbers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(text, expected, capsys, number):
    with at_step(9, lambda: os.kill(os.getpid(), number)):
        assert main(command(text)) == 128 + number
    (run,) = list_runs()
    said = capsys.readouterr().err
    name = f"reciting/{run.path.name}"
    assert said == f"stopped by {number.name}; the same command goes on with run {name}\n"
    with at_step(1, lambda: pytest.fail("here it goes on")), pytest.raises(pytest.fail.Exception):
        execute(small(text), progress=False)
    state = load_checkpoint(run.path / "checkpoint.safetensors")[0]["loop"]
    assert steps_before(state["epoch"]) + state["step"] == 9
    assert main(command(text)) == 0 and contents(run.path) == expected


def test_a_notebook_s_interrupt_is_python_s_own(text, expected, monkeypatch):
    """Outside the command line SIGINT is a KeyboardInterrupt, and the run goes on."""
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "0")
    interrupt = at_step(9, lambda: os.kill(os.getpid(), signal.SIGINT))
    with interrupt, pytest.raises(KeyboardInterrupt) as caught:
        execute(small(text), progress=False)
    assert caught.type is KeyboardInterrupt
    assert contents(execute(small(text), progress=False).path) == expected


def test_execute_works_in_a_thread(text, expected):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(execute(small(text), progress=False)))
    thread.start()
    thread.join()
    assert contents(runs[0].path) == expected


def test_a_signal_while_data_is_prepared_leaves_nothing_behind(tmp_path, own_home, capsys):
    """Helper processes end with it."""
    big = tmp_path / "big.txt"
    big.write_text(TEXT * 1000, encoding="utf-8")
    helpers = set()

    def stop():
        while len(helpers) < 2 or not list(own_home.rglob("*.tmp/*.ids")):
            helpers.update(children())
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop, daemon=True)
    before = children()
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparsecore.data.pool.default_workers", lambda: 2)
        assert main(command(big)) == 143
    thread.join()
    said = capsys.readouterr().err
    assert said == "stopped by SIGTERM; the same command begins again\n"
    deadline = time.monotonic() + 60
    while children() - before:  # one that was being started ends when its pipe does
        assert time.monotonic() < deadline, "helpers outlive the command"
        time.sleep(0.02)
    assert not list(own_home.rglob("*.tmp")) and not list(own_home.rglob("words.txt"))


def children():
    """The processes that this one has started and that still run."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children", encoding="utf-8") as file:
            found.update(int(number) for number in file.read().split())
    return {number for number in found if runs(number)}


def runs(number):
    try:
        with open(f"/proc/{number}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_second_process_waits_and_a_killed_one_blocks_nobody(text, own_home, caplog):
    line = [sys.executable, "-m", "sparsecore.cli", *command(text, epochs=10**6)]
    at_once = {**os.environ, "SPARSECORE_CHECKPOINT_SECONDS": "0"}
    done = []

    def second():
        with pytest.raises(KeyError):
            execute(small(text, epochs=10**6), progress=False)
        done.append("its turn")

    with pytest.MonkeyPatch.context() as patch, subprocess.Popen(line, env=at_once) as first:
        try:
            while not list(own_home.glob("runs/*/*/checkpoint.safetensors")):
                assert first.poll() is None
                time.sleep(0.01)
            patch.setattr(Task, "build", lambda *_: {}["its turn"])
            thread = threading.Thread(target=second)
            thread.start()
            while "is being computed by another process: waiting for it" not in caplog.text:
                assert thread.is_alive()
                time.sleep(0.01)
            assert first.poll() is None and not done
        finally:
            first.kill()
        thread.join(60)
    assert done, "the lock of a killed process blocks"


def test_two_at_once_compute_one_run(text, expected):
    runs, steps = [], []
    original = Task.step

    def step(self, *arguments):
        steps.append(threading.get_ident())
        return original(self, *arguments)

    def work():
        runs.append(execute(small(text), progress=False))

    threads = [threading.Thread(target=work) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "step", step)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert runs[0] == runs[1] and contents(runs[0].path) == expected
    assert len(steps) == steps_before(5) and len(set(steps)) == 1


def tree(folder):
    return {path: path.lstat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def test_a_finished_run_is_read_without_writing(text, own_home, monkeypatch):
    """So that it may lie on a disk that cannot be written."""
    monkeypatch.setattr(locate, "RACY", -1)  # the hash of the text is kept at once
    execute(small(text), progress=False)
    before = tree(own_home)
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        run = execute(small(text), progress=False)
        assert run.done and len(run.epochs) == 4 and len(run.results) == 1
        assert tree(own_home) == before
    finally:
        for path in before:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_run_folder_that_cannot_be_made_is_named(text):
    run = execute(small(text), progress=False)
    shutil.rmtree(run.path)
    run.path.write_text("in the way")
    with pytest.raises(InputError, match=f"cannot write {run.path}: ") as caught:
        execute(small(text), progress=False)
    assert "\n" not in str(caught.value)


def test_a_full_disk_ends_in_one_line_and_room_lets_the_run_go_on(
    text, expected, monkeypatch, capsys
):
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "0")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with at_step(11, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))):
            assert main(command(text)) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = capsys.readouterr().err
    assert said.startswith("error: cannot write ") and said.count("\n") == 1
    assert "checkpoint.safetensors: File too large; " in said
    (run,) = list_runs()
    assert main(command(text)) == 0 and contents(run.path) == expected


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
                     "allocate memory: you tried to allocate 40000000000 bytes."),
        OSError(12, "Cannot allocate memory"),
    ],
)  # fmt: skip
def test_out_of_memory_names_a_remedy_and_the_run_goes_on(
    text, expected, monkeypatch, capsys, error
):
    def fail():
        raise error

    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "0")
    with at_step(8, fail):
        assert main(command(text)) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: out of memory; ") and said.count("\n") == 1
    assert "batch_size (now 2)" in said
    assert contents(execute(small(text), progress=False).path) == expected


def test_other_failures_keep_their_own_words(text):
    def fail():
        raise RuntimeError("a mistake of ours")

    with at_step(2, fail), pytest.raises(RuntimeError, match="a mistake of ours") as caught:
        execute(small(text), progress=False)
    assert not isinstance(caught.value, TrainingError)


@pytest.mark.parametrize("checked", [True, False], ids=["at the door", "later"])
def test_really_out_of_memory(text, capsys, monkeypatch, checked):
    """Half a gigabyte more than there is now, and weights of 40 gigabytes."""
    if not checked:
        monkeypatch.setattr(loop, "models_must_fit", lambda device: contextlib.nullcontext())
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="utf-8") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 29), hard))
    try:
        assert main(command(text, embedding_size=50_000)) == (2 if checked else 1)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    said = capsys.readouterr().err
    expected = "error: the model is too large for cpu: " if checked else "error: out of memory; "
    assert said.startswith(expected) and said.count("\n") == 1


def test_killed_before_the_mark_of_the_end_nothing_is_computed_again(text, expected):
    """The checkpoints go after DONE has come."""

    def killed(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executing, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            execute(small(text), progress=False)
    assert not list_runs()[0].done
    with at_step(1, lambda: pytest.fail("computed again")):
        run = execute(small(text), progress=False)
    assert contents(run.path) == expected and not list(run.path.glob("checkpoint*"))


ODD = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONHASHSEED": "12345",
}
BACKWARDS = """\
import time
start, calls = time.time(), iter(range(10**12))
time.time = lambda: start - 3600.0 * next(calls)
"""


def test_clock_and_locale_make_no_difference(text, expected, tmp_path, own_home):
    """Another zone, an ASCII locale, other hashes, a clock that goes backwards."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(BACKWARDS)
    path = os.pathsep.join([str(tmp_path / "clock"), *filter(None, sys.path)])
    line = [sys.executable, "-m", "sparsecore.cli", *command(text)]
    odd = dict(ODD)
    if not (__file__ + sys.prefix).isascii():  # Python 3.11 itself does not start there in ASCII
        del odd["LC_ALL"], odd["PYTHONUTF8"]
    environment = {**os.environ, **odd, "PYTHONPATH": path, "SPARSECORE_CHECKPOINT_SECONDS": "0"}
    done = subprocess.run(line, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (run,) = list_runs()
    assert contents(run.path) == expected
