"""A run's checkpoints: the last two are kept, none that is damaged is used."""

import logging
import os
from types import SimpleNamespace

import pytest
import torch

from sparsecore.errors import InputError
from sparsecore.training import checkpoint
from sparsecore.training.checkpoint import LAST, PREVIOUS, CheckpointManager, load_checkpoint

CPU = torch.device("cpu")


def parts(number=0):
    return {"loop": SimpleNamespace(weight=torch.full((3, 2), float(number)), step=number)}


def saved(folder, numbers):
    checkpoints = CheckpointManager(folder)
    for number in numbers:
        checkpoints.save(parts(number))
    return checkpoints


def loaded(checkpoints):
    found = parts()
    assert checkpoints.load(found, CPU)
    assert found["loop"].weight.tolist() == [[found["loop"].step] * 2] * 3
    return found["loop"].step


def step_of(folder):
    return loaded(CheckpointManager(folder))


def step_at(path):
    states, _ = load_checkpoint(path)
    return states["loop"]["step"]


def test_the_last_two_are_kept_and_the_last_is_used(tmp_path):
    assert not CheckpointManager(tmp_path).load(parts(), CPU)
    saved(tmp_path, [1])
    assert step_of(tmp_path) == 1 and os.listdir(tmp_path) == [LAST]
    saved(tmp_path, [2, 3])
    assert step_of(tmp_path) == 3 and sorted(os.listdir(tmp_path)) == [PREVIOUS, LAST]
    assert step_at(tmp_path / PREVIOUS) == 2
    checkpoint.remove_checkpoints(tmp_path)
    assert os.listdir(tmp_path) == []
    checkpoint.remove_checkpoints(tmp_path)


def test_whatever_bit_is_flipped_is_noticed(tmp_path):
    """In the header every byte, in the tensors every 19th, a bit each."""
    saved(tmp_path, [1])
    path = tmp_path / LAST
    good = path.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    assert 100 < header < 1000 < len(good)
    for place in [*range(header), *range(header, len(good), 19)]:
        bad = bytearray(good)
        bad[place] ^= 1 << place % 8
        path.write_bytes(bad)
        with pytest.raises(InputError, match="damaged"):
            load_checkpoint(path)
    path.write_bytes(good)
    assert step_of(tmp_path) == 1


def damage(path, how):
    content = path.read_bytes()
    half = len(content) // 2
    torn = {"empty": b"", "torn": content[:half], "zeros": content[:half] + bytes(half)}
    path.write_bytes(torn.get(how, b"\x80\x04not a checkpoint"))


@pytest.mark.parametrize("how", ["empty", "torn", "zeros", "foreign"])
def test_the_one_before_a_damaged_one_is_used_and_kept(tmp_path, caplog, how):
    saved(tmp_path, [1, 2])
    damage(tmp_path / LAST, how)
    checkpoints = CheckpointManager(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert loaded(checkpoints) == 1
    (record,) = caplog.records
    assert record.getMessage().endswith(
        f"{LAST} is damaged: going on from the checkpoint before it"
    )
    checkpoints.save(parts(5))
    assert step_at(tmp_path / PREVIOUS) == 1  # not the damaged one
    assert step_of(tmp_path) == 5


def test_without_a_good_one_there_is_one_clear_line(tmp_path):
    saved(tmp_path, [1, 2])
    for name in (LAST, PREVIOUS):
        damage(tmp_path / name, "torn")
    with pytest.raises(InputError, match=f"delete {LAST} and {PREVIOUS} to start anew") as caught:
        CheckpointManager(tmp_path).load(parts(), CPU)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / LAST).unlink()
    with pytest.raises(InputError, match=f"; delete {PREVIOUS} to start anew"):
        CheckpointManager(tmp_path).load(parts(), CPU)


def test_killed_between_the_renames_the_one_before_is_there(tmp_path, monkeypatch, caplog):
    checkpoints = saved(tmp_path, [1, 2])
    rename, calls = os.replace, []

    def killed(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(parts(3))
    monkeypatch.undo()
    assert os.listdir(tmp_path) == [PREVIOUS]
    assert step_of(tmp_path) == 2 and not caplog.records
    saved(tmp_path, [3])
    assert step_of(tmp_path) == 3 and step_at(tmp_path / PREVIOUS) == 2


@pytest.mark.parametrize("number", [28, 5])
def test_a_full_disk_costs_no_checkpoint(tmp_path, monkeypatch, number):
    checkpoints = saved(tmp_path, [1, 2])

    def full(*_, **__):
        raise checkpoint.SafetensorError(f"I/O error: something (os error {number})")

    monkeypatch.setattr(checkpoint, "save_file", full)
    reason = os.strerror(number)
    with pytest.raises(InputError, match=f"cannot write .*{LAST}: {reason}"):
        checkpoints.save(parts(3))
    monkeypatch.undo()
    assert step_of(tmp_path) == 2 and sorted(os.listdir(tmp_path)) == [PREVIOUS, LAST]


def test_when_one_is_due(tmp_path, monkeypatch):
    assert CheckpointManager(tmp_path).seconds == 120
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "60")
    now = [1000.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    checkpoints = CheckpointManager(tmp_path)
    now[0] += 59
    assert not checkpoints.due()
    now[0] += 2
    assert checkpoints.due()
    checkpoints.save({})
    assert not checkpoints.due()


@pytest.mark.parametrize("value", ["soon", "-1", "nan"])
def test_the_interval_must_be_a_number(tmp_path, monkeypatch, value):
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", value)
    with pytest.raises(InputError, match="SPARSECORE_CHECKPOINT_SECONDS must be a number of sec"):
        CheckpointManager(tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        lambda p: torch.optim.Adam(p, 0.1, fused=True),
        lambda p: torch.optim.RMSprop(p, 0.1, centered=True),
    ],
)
def test_any_optimiser_goes_on_where_it_was(tmp_path, make):
    def steps(model, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            (model(torch.ones(2, 3)) ** 2).mean().backward()
            optimizer.step()

    def pair():
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        return {"model": model, "optimizer": make(model.parameters())}

    through, first, second = pair(), pair(), pair()
    steps(*through.values(), 5)
    steps(*first.values(), 3)
    CheckpointManager(tmp_path).save(first)
    assert CheckpointManager(tmp_path).load(second, CPU)
    steps(*second.values(), 2)
    assert torch.equal(second["model"].weight, through["model"].weight)


def test_a_state_comes_back_as_it_was_and_so_does_chance(tmp_path):
    torch.manual_seed(3)
    tied = torch.randn(3)
    state = {
        "plain": [0.1, None, True, "text", float("inf")],
        "numbered": {0: {"moment": tied}, 7: {}},
        "pairs": [(tied, torch.tensor([1 << 60])), ()],
    }
    CheckpointManager(tmp_path).save({"part": SimpleNamespace(**state)})
    expected = torch.rand(4)
    torch.manual_seed(7)
    part = SimpleNamespace()
    assert CheckpointManager(tmp_path).load({"part": part}, CPU)
    assert torch.equal(torch.rand(4), expected)
    assert part.plain == state["plain"] and list(part.numbered) == [0, 7] and part.numbered[7] == {}
    assert torch.equal(part.numbered[0]["moment"], tied) and torch.equal(part.pairs[0][0], tied)
    assert part.pairs[0][1].item() == 1 << 60 and part.pairs[1] == ()


def test_a_checkpoint_of_other_parts_is_refused(tmp_path):
    saved(tmp_path, [1])
    with pytest.raises(InputError, match=f"{LAST} is not a checkpoint of sparsecore or is damaged"):
        CheckpointManager(tmp_path).load({"model": SimpleNamespace()}, CPU)
