"""Suite ``lm`` on a GPU: the replayed contestants compute what is right, here without the graph."""

import pytest
import torch

from sparsecore.bench.case import REFERENCE
from sparsecore.bench.gate import judge
from sparsecore.bench.suites import lm, lm_replayed, lm_steps
from sparsecore.training import graphs

SIZES = lm_steps.Sizes(50, 3, 4, 8)


def plainly(step, tensors, device):
    graphs.warm_up(step, tensors, device)
    return step


def test_replayed_steps_compute_what_is_right(monkeypatch):
    monkeypatch.setattr(lm_replayed, "recorded", plainly)
    cpu = torch.device("cpu")
    prepared = lm.prepare(SIZES, cpu)
    ids, model = lm_steps.text(SIZES, cpu), lm_steps.untrained(SIZES, cpu)
    replayed, plain = lm_replayed.replayed(model, ids), lm_replayed.plain_replayed(model, ids)
    prepared.contestants.update({"replayed": replayed, "plain, replayed": plain})
    assert {gate for gate, _ in judge(prepared).values()} == {"equal"}
    ours, eager = replayed.values, prepared.contestants[REFERENCE].values
    assert ours is not None and eager is not None and set(ours()) == set(eager())
    for contestant in (replayed, plain):
        before = model.decoder.bias.clone()
        contestant.step()
        contestant.step()
        assert not torch.equal(model.decoder.bias, before)


def test_no_contestant_is_replayed_on_a_cpu():
    names = set(lm.prepare(SIZES, torch.device("cpu")).contestants)
    assert names - {"chunked by PyTorch"} == {REFERENCE, "plain", "by hand"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_replayed_steps_compute_what_is_right_on_a_gpu():
    prepared = lm.prepare(SIZES, torch.device("cuda"))
    verdicts = judge(prepared)
    assert {verdicts[name][0] for name in (REFERENCE, "eager", "plain, replayed")} == {"equal"}
    for contestant in prepared.contestants.values():
        contestant.step()
