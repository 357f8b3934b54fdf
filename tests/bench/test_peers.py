"""Peers that not every machine can run: named with the reason, never eager unnoticed."""

import pytest
import torch

from sparsecore.bench import peers
from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared
from sparsecore.bench.ceilings import Ceilings
from sparsecore.bench.harness import COLUMNS, ROUNDS, Settings, run_case
from sparsecore.bench.run import run_and_save
from sparsecore.bench.suites import rational

X = torch.arange(4.0)


def failing(error):
    def make():
        raise error

    return make


def test_a_peer_that_fails_is_named_with_the_reason():
    right = Contestant(lambda: X + 1)
    fails_later = Contestant(failing(RuntimeError("no kernel\nfor this")))
    has_no_values = Contestant(lambda: X, failing(ImportError("no nvcc")))
    found, absent = peers.where_possible(
        {
            "right": lambda: right,
            "not here": failing(peers.Unavailable(peers.NEEDS_CUDA)),
            "in its step": lambda: fails_later,
            "in its values": lambda: has_no_values,
        }
    )
    assert found == {"right": right}
    assert absent == {
        "not here": "it needs a CUDA device",
        "in its step": "RuntimeError: no kernel for this",
        "in its values": "ImportError: no nvcc",
    }


def test_what_a_peer_does_once_is_done_before_it_is_timed():
    made = []
    contestant = Contestant(lambda: made.append("step"), lambda: made.append("values"))
    peers.where_possible({"peer": lambda: contestant})
    assert made == ["step", "values"]


def test_absent_peers_are_rows_without_times():
    ours = Contestant(lambda: X + 1, lambda: {"y": X})
    uncounted = Contestant(lambda: X + 1, lambda: {"y": X}, counted=False)
    prepared = Prepared(
        {REFERENCE: ours, "compiled": uncounted},
        lambda: {"y": X},
        absent={"FlashRNN": peers.NEEDS_CUDA},
    )
    case = Case("a case", lambda: prepared, 1, "number")
    settings = Settings(torch.device("cpu"), quick=True)
    rows = run_case("a suite", case, settings, Ceilings(1.0, 1.0))
    assert all(set(row) == {*COLUMNS, ROUNDS} for row in rows)
    own, compiled, absent = rows
    assert own["peak_mib"] > 0 and own["reason"] == ""
    assert compiled["median_ms"] > 0 and compiled["peak_mib"] != compiled["peak_mib"]
    assert (absent["gate"], absent["reason"]) == ("absent", peers.NEEDS_CUDA)
    assert absent["rounds"] == 0 and absent["median_ms"] != absent["median_ms"]


def test_the_table_says_in_a_line_what_was_not_measured(tmp_path, monkeypatch):
    prepare = rational.prepare

    def without(sizes, device):
        given = prepare(sizes, device)
        absent = {"one": "it needs a CUDA device", "another": "it needs a CUDA device"}
        return Prepared(given.contestants, given.truth, absent=absent)

    monkeypatch.setattr(rational, "prepare", without)
    text, _, refused = run_and_save(
        ["rational"], quick=True, threads=1, out=str(tmp_path), progress=False
    )
    assert not refused
    lines = [line for line in text.splitlines() if "not measured here" in line]
    assert lines == ["rational: not measured here: one; another (it needs a CUDA device)"]
    assert "absent" not in text


@pytest.fixture
def compiler():
    """PyTorch's; what it compiled is forgotten."""
    yield
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore")  # of the compiler, of its own code
def test_code_that_was_not_compiled_is_told(compiler):
    double = peers.compiled(lambda x: (x.sin() + x.cos()) * 2, backend="aot_eager")
    x = torch.randn(5, requires_grad=True)
    y = double(x)
    torch.testing.assert_close(y, (x.sin() + x.cos()) * 2)
    y.sum().backward()
    torch.testing.assert_close(x.grad, 2 * (x.cos() - x.sin()))
    forced = torch.compiler.set_stance("force_eager")  # as an open tracker does
    with forced, pytest.raises(peers.Unavailable, match="nothing that torch"):
        double(x)
    double(x)


@pytest.mark.filterwarnings("ignore")
def test_too_many_recompilations_are_told(compiler):
    double = peers.compiled(lambda x: x * 2, backend="aot_eager")
    limit = torch._dynamo.config.recompile_limit
    for size in range(2, limit + 2):
        double(torch.ones(size))
    with pytest.raises(peers.Unavailable, match="nothing that torch"):
        double(torch.ones(limit + 2))
    peers.forget_compiled()
    double(torch.ones(2))


def test_a_peer_that_was_never_compiled_is_absent(compiler):
    def make():
        call = peers.compiled(lambda x: x.sin() * 2, backend="aot_eager")
        return Contestant(lambda: call(X))

    with torch.compiler.set_stance("force_eager"):
        found, absent = peers.where_possible({"torch.compile": make})
    assert not found and absent == {"torch.compile": peers.NOT_COMPILED}


def test_a_graph_needs_a_gpu():
    with pytest.raises(peers.Unavailable, match="CUDA"):
        peers.replay_of(lambda: None, torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_replayed_step_reads_its_inputs_anew():
    device = torch.device("cuda")
    x, y = torch.ones(3, device=device), torch.zeros(3, device=device)
    replay = peers.replay_of(lambda: y.copy_(2 * x), device)
    x.fill_(5.0)
    replay()
    assert y.tolist() == [10.0] * 3
