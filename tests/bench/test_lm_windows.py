"""Suite ``lm`` on a GPU: windows of random lengths, replayed and one by one, are right."""

import pytest
import torch

from sparsecore.bench.case import REFERENCE
from sparsecore.bench.gate import judge
from sparsecore.bench.suites import lm, lm_windows
from sparsecore.ops.staircase import lookup
from tests.training.tape import replays_windows

CPU = torch.device("cpu")


def check(device):
    for case in lm_windows.cases(device, quick=True):
        prepared = case.prepare()
        assert {gate for gate, _ in judge(prepared).values()} == {"equal"}
        assert set(prepared.contestants) == {REFERENCE, "one by one"}
        for contestant in prepared.contestants.values():
            contestant.step()
        prepared.close()


def test_replayed_windows_compute_what_is_right(monkeypatch):
    lengths = replays_windows(monkeypatch)
    monkeypatch.setattr(lookup, "compiles_on_cpu", lambda *_: False)
    monkeypatch.setattr(lookup, "is_traced", lambda: True)
    torch._C._set_mkldnn_enabled(False)
    try:
        check(CPU)
    finally:
        torch._C._set_mkldnn_enabled(True)
    assert set(lengths) == {*lm_windows.LENGTHS, lm_windows.CHECKED}


def test_they_are_measured_on_a_gpu_alone():
    assert len(lm.cases(CPU, quick=True)) == 1
    assert len(lm.cases(torch.device("cuda"), quick=True)) == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_replayed_windows_compute_what_is_right_on_a_gpu():
    check(torch.device("cuda"))
