"""The dropouts zero what they say, scale the rest, and leave evaluation alone."""

import pytest
import torch

from sparsecore.errors import InputError
from sparsecore.layers.dropout import LockedDropout


@pytest.mark.parametrize("batch_first", [False, True])
def test_locked_dropout_holds_its_mask_over_time(batch_first):
    torch.manual_seed(0)
    time = 1 if batch_first else 0
    x = torch.rand(4, 5, 60, dtype=torch.float64) + 1
    y = LockedDropout(0.3, batch_first=batch_first)(x)
    mask = y / x
    assert torch.equal(mask.eq(0), mask.narrow(time, 0, 1).eq(0).expand_as(mask))
    torch.testing.assert_close(mask[mask != 0], torch.full_like(mask[mask != 0], 1 / 0.7))
    first = mask.select(time, 0)
    assert first.eq(0).double().mean().item() == pytest.approx(0.3, abs=0.1)
    assert not torch.equal(first[0], first[1])  # sequences have masks of their own


def test_locked_dropout_is_still_in_evaluation():
    x = torch.rand(4, 5, 6)
    assert LockedDropout(0.5).eval()(x) is x
    assert LockedDropout(0.0)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_probabilities_outside_their_range_are_refused(p):
    with pytest.raises(InputError, match=r"p must lie in \[0, 1\)"):
        LockedDropout(p)
