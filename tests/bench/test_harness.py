"""The gate, the footprint and the rows, on contestants that are plain functions."""

import math
import time
from functools import partial

import pytest
import torch

from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared
from sparsecore.bench.ceilings import Ceilings
from sparsecore.bench.footprint import Footprint
from sparsecore.bench.gate import judge, largest_error
from sparsecore.bench.harness import COLUMNS, ROUNDS, Settings, interleave, run_case
from sparsecore.bench.run import run_and_save

X = torch.arange(1.0, 5.0)
RIGHT = {"y": 2 * X.double()}


def nothing():
    pass


def prepared(**values):
    contestants = {name: Contestant(nothing, value) for name, value in values.items()}
    return Prepared(contestants, lambda: RIGHT)


def test_the_gate_tells_right_from_wrong_and_from_other():
    verdicts = judge(
        prepared(
            right=lambda: {"y": X + X},
            wrong=lambda: {"y": X + X + 1e-3},
            other=None,
        )
    )
    assert verdicts["right"] == ("equal", 0.0)
    assert verdicts["wrong"][0] == "refused" and 1e-5 < verdicts["wrong"][1] < 1e-2
    assert verdicts["other"][0] == "other" and math.isnan(verdicts["other"][1])


@pytest.mark.parametrize(
    "found",
    [{}, {"z": X}, {"y": X[:2]}, {"y": X * torch.nan}, {"y": 2 * X, "z": X}],
    ids=["nothing", "unknown name", "other shape", "NaN", "one more"],
)
def test_what_cannot_be_compared_is_wrong(found):
    assert largest_error(found, RIGHT) == math.inf


def test_a_refused_contestant_is_not_timed():
    calls = []
    case = Case(
        "a case",
        lambda: Prepared(
            {
                REFERENCE: Contestant(lambda: X + 1, lambda: {"y": 2 * X}),
                "wrong": Contestant(lambda: calls.append(1), lambda: {"y": X}),
            },
            lambda: RIGHT,
        ),
        items=4,
        item="number",
        bytes=1.0,
    )
    settings = Settings(torch.device("cpu"), quick=True)
    ours, wrong = run_case("a suite", case, settings, Ceilings(1.0, 1e6))
    assert not calls and wrong["gate"] == "refused" and math.isnan(wrong["median_ms"])
    assert set(ours) == {*COLUMNS, ROUNDS} and ours["rounds"] == 3
    assert ours["share_of_ceiling"] == pytest.approx(1e-6 / (ours["median_ms"] / 1e3))
    assert ours["peak_mib"] == X.nbytes / 2**20


def test_contestants_take_turns_each_round_in_an_order_of_its_own():
    names, called = [REFERENCE, "one", "two", "three"], []
    steps = {name: partial(called.append, name) for name in names}
    case = Case("turns", lambda: prepared(), 1, "token", rounds=20)
    times = interleave(steps, case, Settings(torch.device("cpu")), time.perf_counter)
    rounds = [called[start : start + 4] for start in range(0, len(called), 4)]
    assert len(rounds) == 21 and times.shape == (20, 4)  # one to warm up
    assert all(sorted(order) == sorted(names) for order in rounds)
    assert len(set(map(tuple, rounds))) > 10
    assert {order[0] for order in rounds} == set(names)


def test_a_refused_contestant_fails_the_command(tmp_path, monkeypatch):
    from sparsecore.bench.suites import rational

    monkeypatch.setattr(rational, "loop", lambda u, f: u.sum(-1))
    _, _, refused = run_and_save(
        ["rational"], quick=True, threads=1, out=str(tmp_path), progress=False
    )
    assert refused == ["T 6, B 3, E 5, 24 × 4: loop"]


def test_footprint_counts_what_is_new_and_what_lives_together():
    x = torch.zeros(1000, 10)

    def step():
        y = x + 1  # 40 kB
        y.add_(1).t()  # in place, a view
        z = y.sum(1, keepdim=True)  # 4 kB
        del y
        return z * x  # 40 kB

    with Footprint() as footprint:
        step()
    assert footprint.operations == 5
    assert footprint.allocated_bytes == 84_000
    assert footprint.returned_bytes == 84_000 + 2 * 40_000
    assert footprint.peak_bytes == 44_000
    assert footprint.largest_bytes == 40_000
    with Footprint(watched=1) as footprint:
        step()
    assert footprint.largest_bytes == 4_000


def test_footprint_sees_the_way_back():
    weight = torch.ones(50, 50, requires_grad=True)
    with Footprint() as forward:
        loss = (weight @ weight).sum()
    with Footprint() as both:
        loss.backward()
    assert forward.allocated_bytes == 10_004
    assert both.allocated_bytes >= 20_000
