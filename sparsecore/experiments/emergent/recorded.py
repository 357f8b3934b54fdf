"""The windows of an epoch in turns of twenty, each step the replay of one CUDA graph.

Text, position in it, state, losses, sums and weights stay on the device; the host looks at the
losses after a turn. The numbers are those of steps made one by one. There is a graph for each
learning rate, which decays a few times in a run, and one without an update for epoch 0. The last
window, if it is shorter, is left to the eager way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from sparsecore.experiments.emergent.config import TURN, Emergent
from sparsecore.experiments.emergent.step import StaticStep, zero_state
from sparsecore.measure.tracker import Key, Tracker
from sparsecore.models.language_model import LSTMLanguageModel, State
from sparsecore.training.graphs import WARM_UPS, fits, recordable, recorded
from sparsecore.training.language import CarriedState


class Steps(Protocol):
    """What is recorded: the step of a task, and all that it reads and changes."""

    config: Emergent
    device: torch.device
    model: LSTMLanguageModel
    tracker: Tracker
    train_text: Tensor
    state: CarriedState

    @property
    def learning_rate(self) -> float:
        """Of the next update; 0 for none."""
        ...

    def gradients(
        self, inputs: Tensor, targets: Tensor, state: State | None, positions: int
    ) -> tuple[Tensor, State]:
        """Forward and backward over one window."""
        ...

    def update(self) -> None:
        """One update."""
        ...


def recorder(task: Steps) -> Recorder | None:
    """What records the steps of a run; None where they are to be made one by one."""
    full = (len(task.train_text) - 1) // task.config.sequence_length
    if full < WARM_UPS or not recordable(task.device):
        return None
    return Recorder(task, full) if fits(task.train_text, task.device) else None


class Recorder:
    """The recorded step of a run, in tensors of its own.

    Args:
        task: whose step it is; its state and its tracker's sums are taken over as a turn begins.
        full: how many windows have the full length.
    """

    def __init__(self, task: Steps, full: int) -> None:
        config, device = task.config, task.device
        self.task, self.full = task, full
        text = task.train_text.to(device=device, dtype=torch.int32)
        state = zero_state(task.model, config.batch_size)
        self.step = StaticStep(text, config.sequence_length, state, self._compute)
        self.sums: dict[Key, Tensor] = {}
        self.replay: Callable[[], object] | None = None
        self.learning_rate: float | None = None  # of what is recorded
        self.failed = False

    def turn(self, index: int) -> list[float] | None:
        """Make the windows from ``index`` to the next multiple of TURN; the mean loss of each.

        None where the next window is to be made eagerly.
        """
        count = min(TURN - index % TURN, self.full - index)
        if count < 1 or self.failed:
            return None
        self._take_over()
        if self.task.learning_rate != self.learning_rate:
            self._record()
        if self.replay is None:
            return None
        self.step.seek(index)
        for _ in range(count):
            self.replay()
        self.task.state.value = self.step.state
        return self.step.losses[:count].tolist()

    def _record(self) -> None:
        self.replay = None  # the memory of one graph is given back before another takes its own
        self.step.seek(0)
        self.replay = recorded(self.step, self._tensors, self.task.device)
        self.sums = dict(self.task.tracker.sums)
        self.learning_rate = self.task.learning_rate
        self.failed = self.replay is None

    def _compute(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        result = self.task.gradients(inputs, targets, state, targets.numel())
        self.task.update()
        return result

    def _tensors(self) -> dict[Any, Tensor]:
        """All that a step changes."""
        weights = self.task.model.state_dict()
        return {**weights, **self.task.tracker.sums, **self.step.tensors()}

    def _take_over(self) -> None:
        """The run's state and sums go on in this step's tensors."""
        state, own = self.task.state.value, self.step.state
        if state is not own:
            for n, pair in enumerate(own):
                for i, tensor in enumerate(pair):
                    tensor.zero_() if state is None else tensor.copy_(state[n][i])
        sums = self.task.tracker.sums
        for key, tensor in self.sums.items():
            if sums.get(key) is not tensor:
                tensor.copy_(sums[key]) if key in sums else tensor.zero_()
                sums[key] = tensor
