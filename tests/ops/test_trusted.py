"""A kernel is tried once on each device, and what fails is told once."""

import warnings

import pytest
import torch

from sparsecore.ops import trusted as module
from sparsecore.ops.trusted import trusted

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(module, "_verdicts", {})


def test_a_check_runs_once_on_each_device():
    calls = []
    for device in (CPU, CPU, torch.device("meta")):
        assert trusted("a kernel", device, lambda: calls.append(1) or True)
    assert len(calls) == 2


def broken():
    raise RuntimeError("no compiler\nat all")


@pytest.mark.parametrize(
    ("check", "reason"),
    [(lambda: False, "its results differ"), (broken, r"RuntimeError: no compiler\)")],
)
def test_what_fails_is_told_once(check, reason):
    with pytest.warns(UserWarning, match=f"'a kernel' is not used on cpu \\({reason}"):
        assert not trusted("a kernel", CPU, check)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not trusted("a kernel", CPU, lambda: True)


def test_nothing_is_tried_while_a_graph_is_captured(monkeypatch):
    gpu, capturing = torch.device("cuda", 0), [True]
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing[0])
    assert not trusted("a kernel", gpu, lambda: pytest.fail("tried"))
    capturing[0] = False
    assert trusted("a kernel", gpu, lambda: True)
