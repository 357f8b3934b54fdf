"""Averaged SGD with a non-monotonic trigger (NT-ASGD; Merity et al. 2017, §3).

Plain SGD at a constant rate, until the validation loss stops improving; from then on the weights
that count are the mean of all iterates since:

    w_t = w_{t-1} - λ_t (g_t + d w_{t-1})        mean_t = mean_{t-1} + (w_t - mean_{t-1}) / t

``torch.optim.ASGD(lambd=0, t0=0)`` is the same but for two slips, and neither is kept here: it
takes each step with the rate set one step *before* (which is wrong where the rate follows the
length of the window), and leaves the first iterate out of the mean.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor


class AveragedSGD:
    """SGD that begins to average when :meth:`update` says so.

    Args:
        parameters: what to optimise.
        learning_rate: λ; it may be set anew before every step.
        weight_decay: d, coupled: added to the gradient.
        nonmono: n of the trigger.

    Attributes:
        count: iterates in the mean; 0 while there is none.
        averaging: whether the mean is kept.
        log: validation losses so far.
        averages: the means, in the order of the parameters; empty before averaging.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rate: float,
        weight_decay: float = 0.0,
        nonmono: int = 5,
    ) -> None:
        self.parameters = list(parameters)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.nonmono = nonmono
        self.count = 0
        self.averaging = False
        self.log: list[float] = []
        self.averages: list[Tensor] = []

    @torch.no_grad()
    def step(self) -> None:
        """One update at the learning rate of now; the new iterate joins the mean."""
        live = [p for p in self.parameters if p.grad is not None]
        gradients: list[Tensor] = [p.grad for p in live]  # pyrefly: ignore[bad-assignment]
        rate = self.learning_rate
        if self.weight_decay:
            torch._foreach_mul_(live, 1 - rate * self.weight_decay)
        torch._foreach_add_(live, gradients, alpha=-rate)
        if self.averaging:
            self.count += 1
            torch._foreach_lerp_(self.averages, self.parameters, 1 / self.count)

    def start_averaging(self) -> None:
        """Keep the mean from the next step on; until then it is the current weights."""
        self.averaging, self.count = True, 0
        self.averages = [p.detach().clone() for p in self.parameters]

    def triggered(self, valid_loss: float) -> bool:
        """Whether ``valid_loss`` is worse than the best of the log but its last n entries."""
        return len(self.log) > self.nonmono and valid_loss > min(self.log[: -self.nonmono])

    def update(self, valid_loss: float) -> bool:
        """Take in an epoch's validation loss; True if averaging starts now.

        >>> optimizer = AveragedSGD([torch.zeros(1)], 30.0, nonmono=2)
        >>> [optimizer.update(loss) for loss in (5.0, 4.0, 3.0, 3.5, 4.1, 3.0)]
        [False, False, False, False, True, False]
        """
        starts = not self.averaging and self.triggered(valid_loss)
        if starts:
            self.start_averaging()
        self.log.append(valid_loss)
        return starts

    def restart(self) -> None:
        """Plain SGD again, with an empty log."""
        self.load_state_dict({"count": 0, "averaging": False, "log": [], "averages": []})

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds; the learning rate is set from outside."""
        return {
            "count": self.count,
            "averaging": self.averaging,
            "log": list(self.log),
            "averages": list(self.averages),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.count, self.averaging = state["count"], state["averaging"]
        self.log = list(state["log"])
        pairs = zip(state["averages"], self.parameters, strict=False)
        self.averages = [average.to(parameter.device) for average, parameter in pairs]

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the parameters hold their means (where there are any); outside, the iterates."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self.parameters, self.averages, strict=False):
            kept = parameter.clone()
            parameter.copy_(average)
            average.copy_(kept)
