"""Group lasso over the states of a rational RNN (Dodge et al. 2019, §2).

The group of state (d, i) holds every weight used to enter it: its rows of ``main`` and ``loop`` and
its ``bias``, 2E + 1 numbers. The penalty is the plain sum of the groups' ℓ2 norms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.layers.rational import RationalRNN


def group_norms(rnn: RationalRNN) -> Tensor:
    """ℓ2 norm of each state's weights: ||(main_s, loop_s, bias_s)||2.

    Returns:
        (S,), WFSA by WFSA; further layers and directions follow as in ``rnn.cells()``.
        Differentiable; the gradient of a norm that is exactly 0 is 0.

    Source: Dodge et al. 2019, §2.

    >>> rnn = RationalRNN(2, [2])
    >>> rnn.main.data = torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    >>> rnn.loop.data = torch.tensor([[0.0, 4.0], [0.0, 0.0]])
    >>> group_norms(rnn).detach()
    tensor([5., 0.])
    """
    return torch.cat(
        [
            torch.linalg.vector_norm(torch.cat([c.main, c.loop, c.bias.unsqueeze(1)], 1), dim=1)
            for c in rnn.cells()
        ]
    )


def group_lasso(rnn: RationalRNN) -> Tensor:
    """Σ over states of ||(main_s, loop_s, bias_s)||2, a scalar to add to a loss.

    No square root of the group's size and no division by the number of groups: all groups are of
    one size. The sum pulls whole groups towards zero; gradient steps bring them near it, and
    :func:`shrink_groups` onto it.

    Source: Dodge et al. 2019, §2.
    """
    return group_norms(rnn).sum()


@torch.no_grad()
def shrink_groups(rnn: RationalRNN, amount: float) -> None:
    """The proximal step of the penalty, in place: each group g ← g · max(0, 1 − amount/||g||2).

    After a gradient step of size lr on the loss alone, ``shrink_groups(rnn, lr * strength)`` makes
    the same move as the penalty ``strength * group_lasso(rnn)`` would, but groups that it would
    carry across zero become exactly zero.

    Raises:
        InputError: a negative amount.

    Source: Dodge et al. 2019, footnote 4 (after Parikh & Boyd 2013).
    """
    if amount < 0:
        raise InputError(f"amount must be at least 0, got {amount}")
    sizes = [len(cell.bias) for cell in rnn.cells()]
    for cell, norms in zip(rnn.cells(), group_norms(rnn).split(sizes), strict=True):
        kept = (1 - amount / norms.clamp_min(torch.finfo(norms.dtype).tiny)).clamp_min(0)
        cell.main.mul_(kept.unsqueeze(1))
        cell.loop.mul_(kept.unsqueeze(1))
        cell.bias.mul_(kept)
