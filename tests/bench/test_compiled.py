"""Suite ``compiled``: weights and gates in FlashRNN's layout against plain recurrences."""

import math
import shutil
import sys

import pytest
import torch
from torch import nn

from sparsecore.bench import peers
from sparsecore.bench.case import REFERENCE
from sparsecore.bench.gate import judge, largest_error
from sparsecore.bench.suites import compiled, lstm, lstm_packed
from sparsecore.bench.suites.lstm_packed import PackedLSTM, cell, loop
from sparsecore.layers.sparse_rnn import SparseLSTM

CPU = torch.device("cpu")
GPU_ONLY = {
    "sparsecore, replayed",
    "N × nn.LSTM, replayed",
    "dense, equal parameters, replayed",
    "FlashRNN",
    "FlashRNN, fused, bfloat16",
}


def by_definition(Wx, R, b):
    """g = W x + b + R h, unit by unit as FlashRNN's paper has it; the gates by name."""
    h = c = torch.zeros_like(Wx[:, 0, 0])  # B N D
    outputs = []
    for t in range(Wx.shape[1]):
        g = Wx[:, t] + b + torch.einsum("gndp,bnp->bgnd", R, h)
        i, f, z, o = g[:, 0].sigmoid(), g[:, 1].sigmoid(), g[:, 2].tanh(), g[:, 3].sigmoid()
        c = f * c + i * z
        h = o * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, 1)


LAYERS = {
    "equal blocks": (8, 12, 4, 0.375),
    "blocks of 3 and 4": (9, 11, 3, 0.6),
    "windows of 6 and 7": (12, 18, 3, 5 / 9),
    "one block": (5, 4, 1, 1.0),
}


@pytest.mark.parametrize("sizes", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize("recurrence", [by_definition, loop(cell)], ids=["definition", "loop"])
def test_packed_weights_give_the_outputs_and_gradients_of_the_layer(sizes, multiple, recurrence):
    inputs, hidden, num_blocks, gamma = sizes
    sparse = SparseLSTM(inputs, hidden, num_blocks=num_blocks, gamma=gamma).double()
    packed = PackedLSTM(sparse, recurrence, multiple)
    assert packed.weight_hh.shape[-1] % multiple == 0
    dense = sparse.to_dense()
    truth = lstm.values(sparse, dense, lambda x: dense(x)[0])
    assert largest_error(lstm.values(sparse, packed, packed), truth) < 1e-12
    assert set(truth) == {"y", "x.grad"} | {name for name, _ in sparse.named_parameters()}


def test_gates_in_another_order_would_be_seen():
    sparse = SparseLSTM(8, 12, num_blocks=4, gamma=0.375).double()
    swapped = [0, 2, 1, 3]  # forget gate and cell input

    def wrong(Wx, R, b):
        return by_definition(Wx[:, :, swapped], R[swapped], b[swapped])

    packed = PackedLSTM(sparse, wrong)
    dense = sparse.to_dense()
    truth = lstm.values(sparse, dense, lambda x: dense(x)[0])
    assert largest_error(lstm.values(sparse, packed, packed), truth) > 1e-2


def test_a_gradient_of_padding_is_dropped():
    sparse = SparseLSTM(9, 11, num_blocks=3, gamma=0.6)
    packed = PackedLSTM(sparse, loop(cell), multiple=4)
    gradients = {name: torch.ones_like(p) for name, p in packed.named_parameters()}
    found = packed.as_in(sparse, gradients)
    own = {name: p.shape for name, p in sparse.named_parameters()}
    assert {name: gradient.shape for name, gradient in found.items()} == own


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_flashrnn_itself_takes_this_layout(dtype):
    """Its plain PyTorch implementation, which a CPU can run, where the package is installed."""
    pytest.importorskip("flashrnn")
    sparse = SparseLSTM(9, 11, num_blocks=3, gamma=0.6).to(getattr(torch, dtype))
    packed = PackedLSTM(sparse, lstm_packed.flash_recurrence("vanilla", dtype))
    exact = sparse.to_dense().double()
    truth = lstm.values(sparse, exact, lambda x: exact(x)[0])
    assert largest_error(lstm.values(sparse, packed, packed), truth) < 1e-5


def test_without_flashrnn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flashrnn", None)
    with pytest.raises(peers.Unavailable, match=r"pip install 'sparse-by-nature\[flashrnn\]'"):
        lstm_packed.flash_recurrence("cuda", "float32")


def test_rough_values_are_held_against_the_truth_roughly():
    y = torch.ones(4)
    compiled.require_roughly({"y": y.bfloat16() * 1.01}, {"y": y})
    with pytest.raises(peers.Unavailable, match=r"miss the truth by 0\.2 of the norm"):
        compiled.require_roughly({"y": y * 1.2}, {"y": y})
    with pytest.raises(peers.Unavailable, match="inf"):
        compiled.require_roughly({"y": y * math.nan}, {"y": y})


def test_a_replayed_step_makes_its_gradients_anew():
    """What a graph records: the second time leaves the same, not twice as much."""
    module = nn.Linear(3, 2)
    x, upward = torch.randn(4, 3, requires_grad=True), torch.randn(4, 2)
    found = []
    for _ in range(2):
        compiled.anew(module, lambda: module(x), upward, x)
        found.append([module.weight.grad.clone(), x.grad.clone()])
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_on_a_cpu_compiled_peers_run_and_the_others_are_named():
    layer, text = compiled.cases(CPU, quick=True)
    prepared = layer.prepare()
    try:
        gates = {name: gate for name, (gate, _) in judge(prepared).items()}
        names = [REFERENCE, "N × nn.LSTM", "torch.compile", "compiled cell"]
        assert gates == dict.fromkeys(names, "equal")
        assert dict(prepared.absent) == dict.fromkeys(GPU_ONLY, peers.NEEDS_CUDA)
        for contestant in prepared.contestants.values():
            contestant.step()
    finally:
        prepared.close()
    prepared = text.prepare()
    try:
        gates = {name: gate for name, (gate, _) in judge(prepared).items()}
        names = [REFERENCE, "loop", "scan", "loop, compiled", "scan, compiled"]
        assert gates == dict.fromkeys(names, "equal") and not prepared.absent
    finally:
        prepared.close()


def test_peers_compiled_under_an_open_tracker_are_absent():
    layer, _ = compiled.cases(CPU, quick=True)
    with torch.compiler.set_stance("force_eager"):
        prepared = layer.prepare()
    prepared.close()
    assert set(prepared.contestants) == {REFERENCE, "N × nn.LSTM"}
    for name in ("torch.compile", "compiled cell"):
        assert prepared.absent[name] == peers.NOT_COMPILED


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_replayed_and_compiled_peers_compute_what_is_right():
    layer, text = compiled.cases(torch.device("cuda"), quick=True)
    for case in (layer, text):
        prepared = case.prepare()
        try:
            refused = {n: e for n, (gate, e) in judge(prepared).items() if gate == "refused"}
            assert not refused
            assert {name for name in prepared.absent if "FlashRNN" not in name} == set()
            for contestant in prepared.contestants.values():
                contestant.step()
        finally:
            prepared.close()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ["FlashRNN", "FlashRNN, fused, bfloat16"])
def test_flashrnn_computes_what_is_right_on_a_gpu(name):
    pytest.importorskip("flashrnn")
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc, with which FlashRNN compiles its kernels")
    prepared = compiled.prepare(compiled.SHAPES[2], torch.device("cuda"))
    try:
        assert name in prepared.contestants, prepared.absent
        assert judge(prepared)[name][0] in ("equal", "other")
    finally:
        prepared.close()
