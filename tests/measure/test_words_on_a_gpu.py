"""Ids that live on the host: copied to a GPU once a pass and role, while nobody waits for it."""

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import sparsecore as sc
from sparsecore.measure.word_table import WordTable
from tests.fake_gpu import fake_gpu

CPU, META = torch.device("cpu"), torch.device("meta")


class Copies(TorchDispatchMode):
    """Counts the copies to another device, and those that wait."""

    def __init__(self):
        super().__init__()
        self.number = self.waiting = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name, target = func.overloadpacket.__name__, kwargs.get("device")
        given = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if name == "_to_copy" and given is not None and target not in (None, given.device):
            self.number += 1
            self.waiting += not kwargs.get("non_blocking", False)
        return func(*args, **kwargs)


class Net(nn.Module):
    """Three layers, six signals."""

    def __init__(self):
        super().__init__()
        self.embed, self.first, self.second = nn.Embedding(3, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, ids):
        return self.second(self.first(self.embed(ids)))


def test_once_a_pass_and_role_and_nobody_waits(monkeypatch):
    monkeypatch.setattr("sparsecore.measure.tracker.check_known", lambda *_: None)  # reads values
    with fake_gpu() as device:
        net = Net().to(device)
        layers = ["embed", "first", "second"]
        tracker = sc.track(net, layers, gradients=False, vocabulary=list("abc"), dense=True)
        ids = torch.zeros(2, 4, dtype=torch.int64)
        with tracker, Copies() as copies:
            for _ in range(2):  # in the first pass constants come too
                copies.number = copies.waiting = 0
                tracker.words(input_ids=ids, target_ids=ids)
                net(torch.zeros(2, 4, dtype=torch.int64, device=device))
        assert (copies.number, copies.waiting) == (2, 0)
        sums = tracker._table.sums
        assert len(sums) == 6 and {x.device for x in sums.values()} == {device}


def test_each_pass_has_its_own_words():
    """What is kept from one pass serves no other, in whatever order gradients come."""
    table = WordTable(3, (), dense=True, rows=None)
    first, second = torch.tensor([0, 0, 1, -1]), torch.tensor([2, 1, 1, 1])
    copies = []
    for given in (first, first, second, first):
        moved = table._there("input", given, META)
        assert moved.is_meta and table._moved["input", META, None][0] is given
        copies.append(id(moved))
    assert copies[0] == copies[1] and table._there("input", first, CPU) is first
