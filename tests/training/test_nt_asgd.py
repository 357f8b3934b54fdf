"""NT-ASGD against sums by hand, and the random windows whose length its rate follows."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.training.batches import random_windows
from sparsecore.training.nt_asgd import AveragedSGD


def test_steps_and_means_by_hand():
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=(3, 2)), generator.normal(size=(7, 3, 2))
    scales = [1.0, 0.5, 1.5, 1.0, 0.1, 1.2, 0.9]
    weight = torch.nn.Parameter(torch.tensor(start))
    optimizer = AveragedSGD([weight], learning_rate=0.3, weight_decay=0.01)
    by_hand, iterates = start.copy(), []
    for step, (gradient, scale) in enumerate(zip(gradients, scales, strict=True)):
        if step == 3:
            optimizer.start_averaging()
        weight.grad = torch.tensor(gradient)
        optimizer.learning_rate = 0.3 * scale
        optimizer.step()
        by_hand = by_hand - 0.3 * scale * (gradient + 0.01 * by_hand)
        iterates.append(by_hand)
    np.testing.assert_allclose(weight.detach(), by_hand, rtol=1e-12)
    with optimizer.averaged():
        np.testing.assert_allclose(weight.detach(), np.mean(iterates[3:], 0), rtol=1e-12)
    np.testing.assert_allclose(weight.detach(), by_hand, rtol=1e-12)


def test_one_slip_of_torch_apart_it_is_torch_asgd():
    """At a constant rate the iterates are torch's; its mean lacks the first."""
    ours, theirs = (torch.nn.Parameter(torch.tensor([1.0, -2.0]).double()) for _ in range(2))
    asgd = torch.optim.ASGD([theirs], lr=0.1, t0=0, lambd=0.0, weight_decay=0.02)
    optimizer = AveragedSGD([ours], 0.1, 0.02)
    optimizer.start_averaging()
    iterates = []
    for step in range(6):
        gradient = torch.tensor([0.3 * step - 1, 0.5]).double()
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        optimizer.step()
        asgd.step()
        iterates.append(ours.detach().clone())
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(asgd.state[theirs]["ax"], torch.stack(iterates[1:]).mean(0))
    torch.testing.assert_close(optimizer.averages[0], torch.stack(iterates).mean(0))


def test_without_a_mean_the_weights_stand():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = AveragedSGD([weight], 1.0)
    with optimizer.averaged():
        assert weight.tolist() == [1, 1]
    optimizer.start_averaging()
    with optimizer.averaged():
        assert weight.tolist() == [1, 1]


def test_the_trigger_waits_for_n_epochs_without_a_better_one():
    optimizer = AveragedSGD([torch.zeros(1)], 1.0, nonmono=5)
    losses = [5, 4, 6, 6, 6, 6, 4.9, 3]
    #         the first look is after the sixth entry: min of the entries before the last five
    assert [optimizer.update(loss) for loss in losses] == [False] * 8
    assert optimizer.update(4.5) and optimizer.averaging  # worse than the 4 of seven epochs ago
    assert not optimizer.update(9.0)  # it starts once


def test_state_travels():
    weight = torch.nn.Parameter(torch.zeros(2))
    one = AveragedSGD([weight], 1.0)
    one.update(3.0)
    one.start_averaging()
    weight.grad = torch.ones(2)
    one.step()
    two = AveragedSGD([weight], 1.0)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    one.step()
    one_weight = weight.detach().clone()
    with torch.no_grad():
        weight.add_(1)
    two.step()
    assert torch.equal(weight, one_weight) and torch.equal(one.averages[0], two.averages[0])
    assert two.log == [3.0]
    two.restart()
    assert two.log == [] and two.averages == [] and not two.averaging


@given(st.integers(1, 3000), st.integers(1, 90), st.integers(0, 99))
def test_windows_cover_every_target_once(targets, base, seed):
    windows = random_windows(targets, base, np.random.default_rng(seed))
    assert [start for start, _ in windows] == [
        sum(length for _, length in windows[:i]) for i in range(len(windows))
    ]
    assert sum(length for _, length in windows) == targets
    assert all(5 <= length <= base + 40 for _, length in windows[:-1])


def test_lengths_are_drawn_from_the_paper_s_mixture():
    windows = random_windows(3_000_000, 70, np.random.default_rng(0))
    lengths = np.array([length for _, length in windows[:-1]])
    long = lengths > 52
    assert long.mean() == pytest.approx(0.95, abs=0.005)
    assert lengths[long].mean() == pytest.approx(69.5, abs=0.1)  # truncated to whole steps
    assert lengths[~long].mean() == pytest.approx(34.5, abs=0.3)
    assert lengths[long].std() == pytest.approx(5, abs=0.1)
    again = random_windows(3_000_000, 70, np.random.default_rng(0))
    assert windows == again
