"""The parallel map returns every item, in order, and raises what a helper raised."""

import math
import operator
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest

from sparsecore.data.conllu import read_conllu
from sparsecore.data.pool import default_workers, parallel_map
from sparsecore.errors import InputError


@pytest.mark.parametrize("number", [0, 1, 2, 3, 25])
@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_once_and_in_order(number, workers):
    assert list(parallel_map(math.sqrt, range(number), workers)) == [
        math.sqrt(item) for item in range(number)
    ]


def test_items_are_drawn_lazily():
    drawn = []

    def items():
        for number in range(100):
            drawn.append(number)
            yield number

    results = parallel_map(operator.neg, items(), 2)
    assert next(results) == 0
    assert len(drawn) < 20
    results.close()


def test_an_exception_in_a_helper_is_raised_here():
    with pytest.raises(TypeError, match="bad operand"):
        list(parallel_map(operator.neg, [1, 2, "three"], 2))


def test_an_input_error_survives_the_way_back():
    with pytest.raises(InputError, match=r"no CoNLL-U file at a\.txt"):
        list(parallel_map(read_conllu, ["a.txt", "b.txt", "c.txt"], 2))


def test_at_least_one_worker():
    assert default_workers() >= 1


PARENT = """
import time
from sparsecore.data.pool import parallel_map
for _ in parallel_map(time.sleep, [0, 0, *[0.5] * 50], 2):
    print(flush=True)
"""


def test_helpers_end_when_their_parent_is_killed(capfd):
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        parent.stdout.readline()
        with open(f"/proc/{parent.pid}/task/{parent.pid}/children", encoding="utf-8") as file:
            helpers = file.read().split()
        parent.send_signal(signal.SIGKILL)
    assert len(helpers) == 2
    deadline = time.monotonic() + 30
    while any(alive(helper) for helper in helpers):
        assert time.monotonic() < deadline, "helpers outlive their parent"
        time.sleep(0.02)
    assert capfd.readouterr().err == ""


def test_a_helper_whose_parent_ends_while_it_speaks_says_nothing():
    half = pickle.dumps(list(range(1000)))[:500]
    code = "from sparsecore.data.pool import _serve; _serve('math:sqrt')"
    done = subprocess.run([sys.executable, "-c", code], input=half, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_signal_while_helpers_are_started_ends_those_that_are(monkeypatch):
    started, original = [], subprocess.Popen

    def second_fails(*arguments, **options):
        if started:
            raise KeyboardInterrupt
        started.append(original(*arguments, **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", second_fails)
    with pytest.raises(KeyboardInterrupt):
        list(parallel_map(math.sqrt, [1, 2, 3], 2))
    assert started[0].returncode == -signal.SIGKILL and started[0].stdin.closed


def alive(process):
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_helpers_leave_signals_to_their_parent():
    pids = list(parallel_map(own_number, range(4), 2))
    assert os.getpid() not in pids


def own_number(_):
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    return os.getpid()
