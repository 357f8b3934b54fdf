"""Columns and windows, checkpoints, evaluation, precision."""

import numpy as np
import pytest
import torch

from sparsecore.errors import InputError
from sparsecore.models.language_model import LSTMLanguageModel, num_parameters
from sparsecore.training.batches import columns, num_windows, window
from sparsecore.training.checkpoint import load_checkpoint
from sparsecore.training.device import precision_of, resolve_device
from sparsecore.training.language import evaluate
from tests.processor import needs_bf16

CPU = torch.device("cpu")


@pytest.mark.parametrize(("length", "batch", "steps"), [(101, 4, 6), (40, 4, 9), (24, 4, 5)])
def test_windows_cover_every_target_once_in_order(length, batch, steps):
    ids = np.arange(length, dtype=np.int32)
    text = columns(ids, batch)
    seen = [window(text, i, steps, CPU) for i in range(num_windows(text, steps))]
    inputs = torch.cat([x for x, _ in seen])
    targets = torch.cat([y for _, y in seen])
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(targets, text[1:].long())
    assert text[0].tolist() == [i * (length // batch) for i in range(batch)]


def test_text_shorter_than_a_batch():
    with pytest.raises(InputError, match="valid text has 7 tokens, too few for batch_size=4"):
        columns(np.arange(7, dtype=np.int32), 4, "valid text")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04."])
def test_damaged_checkpoint_is_one_clear_line(tmp_path, content):
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged; delete it to start anew"):
        load_checkpoint(path)


def test_evaluate_equals_one_pass_over_the_text():
    torch.manual_seed(0)
    model = LSTMLanguageModel(11, 4, 5).double()
    text = torch.randint(11, (23, 3))
    whole = torch.nn.functional.cross_entropy(
        model.eval().logits(model(text[:-1])[0]).flatten(0, 1), text[1:].flatten()
    )
    model.train()
    assert evaluate(model, text, 4) == pytest.approx(whole.item(), rel=1e-12)
    assert model.training


def test_paper_model_size():
    model = LSTMLanguageModel(19_500)
    lstm = 4 * 200 * (200 + 200 + 2)
    assert num_parameters(model) == 19_500 * 200 + 2 * lstm + 19_500 * 201


SWITCHES = (torch.backends.cuda.matmul, torch.backends.cudnn.rnn)  # newer than the two below


def test_precision_is_put_back():
    before = torch.get_float32_matmul_precision()
    with precision_of("tf32", CPU):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before


def test_float32_is_exact_in_the_lstm_of_cudnn_too():
    before = [switch.fp32_precision for switch in SWITCHES]
    for precision, products in (("float32", "ieee"), ("tf32", "tf32")):
        with precision_of(precision, CPU):
            assert [switch.fp32_precision for switch in SWITCHES] == [products] * 2
            assert torch.backends.cudnn.allow_tf32 == (precision == "tf32")
    assert [switch.fp32_precision for switch in SWITCHES] == before


def test_precision_is_put_back_where_only_one_of_the_older_switches_can_be_read():
    rnn = torch.backends.cudnn.rnn.fp32_precision
    torch.backends.cudnn.rnn.fp32_precision = "none"  # unlike convolutions: allow_tf32 raises
    try:
        test_precision_is_put_back()
    finally:
        torch.backends.cudnn.rnn.fp32_precision = rnn


@pytest.fixture
def unlike_switches():
    """Float32 products as the user may have set them: matrices in TF32, cuDNN's LSTM exact."""
    before = [switch.fp32_precision for switch in SWITCHES]
    for switch, value in zip(SWITCHES, ("tf32", "ieee"), strict=True):
        switch.fp32_precision = value
    yield
    for switch, value in zip(SWITCHES, before, strict=True):
        switch.fp32_precision = value


@pytest.mark.usefixtures("unlike_switches")
def test_switches_that_the_user_has_set_are_kept():
    with pytest.raises(RuntimeError):  # what the older switches cannot say
        torch.get_float32_matmul_precision()
    with precision_of("float32", CPU):
        assert [switch.fp32_precision for switch in SWITCHES] == ["ieee"] * 2
    assert [switch.fp32_precision for switch in SWITCHES] == ["tf32", "ieee"]


@needs_bf16
def test_bf16_is_autocast():
    with precision_of("bf16", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16


def test_bf16_without_a_processor_for_it_is_one_clear_line(monkeypatch):
    monkeypatch.setattr("sparsecore.training.device.cpu_lstm_runs_in", lambda dtype: False)
    with (
        pytest.raises(InputError, match=r"AVX-512 or AMX: .* use 'float32'"),
        precision_of("bf16", CPU),
    ):
        pass


@needs_bf16
def test_an_update_is_seen_by_the_next_step_in_half_precision():
    layer = torch.nn.LSTM(3, 4)
    with precision_of("bf16", CPU):
        assert layer(torch.ones(2, 1, 3))[0].any()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()
        assert not layer(torch.ones(2, 1, 3))[0].any()


def test_devices():
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(InputError, match="unknown device 'gpu'"):
        resolve_device("gpu")


@pytest.mark.parametrize("kind", ["mps", "xpu", "meta", "hpu", "xla", "vulkan", "ideep"])
def test_other_kinds_of_device_are_one_clear_line(kind):
    with pytest.raises(InputError, match=f"run on 'cpu' or 'cuda', not on '{kind}'"):
        resolve_device(kind)


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA GPU is present; use 'cpu'"):
        resolve_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match="'cuda:2' is not one of the 2 here"):
        resolve_device("cuda:2")
