"""A run's checkpoints: the last two are kept, none that is damaged is used."""

import logging
import os

import pytest
import torch

from sparsecore.errors import InputError
from sparsecore.training import checkpoint
from sparsecore.training.checkpoint import LAST, PREVIOUS, Keeper, load_checkpoint

CPU = torch.device("cpu")


def saved(folder, numbers):
    keeper = Keeper(folder)
    for number in numbers:
        keeper.save({"weight": torch.full((3, 2), float(number))}, {"step": number})
    return keeper


def step_of(folder):
    tensors, state = Keeper(folder).load(CPU)
    assert tensors["weight"].tolist() == [[state["step"]] * 2] * 3
    return state["step"]


def test_the_last_two_are_kept_and_the_last_is_used(tmp_path):
    assert Keeper(tmp_path).load(CPU) is None
    saved(tmp_path, [1])
    assert step_of(tmp_path) == 1 and os.listdir(tmp_path) == [LAST]
    saved(tmp_path, [2, 3])
    assert step_of(tmp_path) == 3 and sorted(os.listdir(tmp_path)) == [PREVIOUS, LAST]
    assert load_checkpoint(tmp_path / PREVIOUS, CPU)[1] == {"step": 2}
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
            load_checkpoint(path, CPU)
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
    keeper = Keeper(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert keeper.load(CPU)[1] == {"step": 1}
    (record,) = caplog.records
    assert record.getMessage().endswith(
        f"{LAST} is damaged: going on from the checkpoint before it"
    )
    keeper.save({"weight": torch.full((3, 2), 5.0)}, {"step": 5})
    assert load_checkpoint(tmp_path / PREVIOUS, CPU)[1] == {"step": 1}  # not the damaged one
    assert step_of(tmp_path) == 5


def test_without_a_good_one_there_is_one_clear_line(tmp_path):
    saved(tmp_path, [1, 2])
    for name in (LAST, PREVIOUS):
        damage(tmp_path / name, "torn")
    with pytest.raises(InputError, match=f"delete {LAST} and {PREVIOUS} to start anew") as caught:
        Keeper(tmp_path).load(CPU)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / LAST).unlink()
    with pytest.raises(InputError, match=f"; delete {PREVIOUS} to start anew"):
        Keeper(tmp_path).load(CPU)


def test_killed_between_the_renames_the_one_before_is_there(tmp_path, monkeypatch, caplog):
    keeper = saved(tmp_path, [1, 2])
    rename, calls = os.replace, []

    def killed(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        keeper.save({"weight": torch.full((3, 2), 3.0)}, {"step": 3})
    monkeypatch.undo()
    assert os.listdir(tmp_path) == [PREVIOUS]
    assert step_of(tmp_path) == 2 and not caplog.records
    saved(tmp_path, [3])
    assert step_of(tmp_path) == 3 and load_checkpoint(tmp_path / PREVIOUS, CPU)[1] == {"step": 2}


@pytest.mark.parametrize("number", [28, 5])
def test_a_full_disk_costs_no_checkpoint(tmp_path, monkeypatch, number):
    keeper = saved(tmp_path, [1, 2])

    def full(*_, **__):
        raise checkpoint.SafetensorError(f"I/O error: something (os error {number})")

    monkeypatch.setattr(checkpoint, "save_file", full)
    reason = os.strerror(number)
    with pytest.raises(InputError, match=f"cannot write .*{LAST}: {reason}"):
        keeper.save({"weight": torch.full((3, 2), 3.0)}, {"step": 3})
    monkeypatch.undo()
    assert step_of(tmp_path) == 2 and sorted(os.listdir(tmp_path)) == [PREVIOUS, LAST]


def test_when_one_is_due(tmp_path, monkeypatch):
    assert Keeper(tmp_path).seconds == 120
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", "60")
    now = [1000.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    keeper = Keeper(tmp_path)
    now[0] += 59
    assert not keeper.due()
    now[0] += 2
    assert keeper.due()
    keeper.save({}, {})
    assert not keeper.due()


@pytest.mark.parametrize("value", ["soon", "-1", "nan"])
def test_the_interval_must_be_a_number(tmp_path, monkeypatch, value):
    monkeypatch.setenv("SPARSECORE_CHECKPOINT_SECONDS", value)
    with pytest.raises(InputError, match="SPARSECORE_CHECKPOINT_SECONDS must be a number of sec"):
        Keeper(tmp_path)
