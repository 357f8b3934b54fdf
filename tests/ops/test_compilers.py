"""Layers work without the optional compilers, and say what is missed."""

import importlib.util

import torch

import sparsecore as sc
from sparsecore.ops import compilers


def test_what_is_missed_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    compilers.installed.cache_clear()
    rnn, embedding = sc.RationalRNN(3, [2, 1]), sc.SparseEmbedding(20, 4, 0.5)
    for _ in range(2):
        rnn(torch.randn(3, 2, 3))
        embedding(torch.tensor([0, 19]))
    compilers.installed.cache_clear()
    assert [record.getMessage() for record in caplog.records] == [
        "numba is not installed: layers use a slower implementation; "
        "pip install 'sparse-by-nature[cpu]'"
    ]


def test_only_what_the_loops_are_written_for_is_compiled():
    assert compilers.compiles_on_cpu(torch.zeros(1))
    assert not compilers.compiles_on_cpu(torch.zeros(1, dtype=torch.bfloat16))
    assert not compilers.compiles_on_cpu(torch.zeros(1, device="meta"))
