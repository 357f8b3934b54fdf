"""Models that cannot fit are refused before their memory is taken."""

import pytest
import torch
from torch import nn

from sparsecore.errors import InputError
from sparsecore.training import memory
from sparsecore.training.memory import free_bytes, models_must_fit

CPU = torch.device("cpu")


def test_free_memory_is_some_and_within_the_machine():
    assert 1 << 20 < free_bytes(CPU) < 1 << 50


def test_a_model_that_cannot_fit_is_refused_with_an_estimate(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1_000_000)
    with models_must_fit(CPU):
        nn.LSTM(100, 100)  # 80,800 values: 0.65 MB with their gradients
    written = []
    monkeypatch.setattr(nn.LSTM, "reset_parameters", lambda self: written.append(self))
    with (
        pytest.raises(InputError, match=r"need more than 0.0 GB, 0.0 GB are free; take a smaller"),
        models_must_fit(CPU),
    ):
        nn.LSTM(100, 200)
    assert not written  # no value of it has taken memory
    nn.LSTM(100, 200)  # outside nothing is refused


def test_what_has_no_addresses_is_refused_too():
    with pytest.raises(InputError, match="one of its parameters alone"), models_must_fit(CPU):
        nn.LSTM(2_000_000, 2_000_000)  # 128 TB
