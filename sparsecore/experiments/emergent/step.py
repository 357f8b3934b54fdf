"""One training step of the language model, with the statistics of every signal; recorded on a GPU.

The same functions make a step eagerly, window by window, and as :class:`StaticStep`. That one can
be recorded: the windows of an epoch then go in turns of twenty, each step the replay of one CUDA
graph (:mod:`sparsecore.training.graphs`). Text, position in it, state, losses, sums and weights
stay on the device; the host looks at the losses after a turn. The numbers are those of steps made
one by one. There is a graph for each learning rate, which decays a few times in a run, and one
without an update for epoch 0. The last window, if it is shorter, is left to the eager way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.experiments.emergent.config import TURN
from sparsecore.measure.tracker import Key, Tracker
from sparsecore.models.language_model import LSTMLanguageModel, State, detach
from sparsecore.training.graphs import WARM_UPS, fits, recordable, recorded

Compute = Callable[[Tensor, Tensor, State], tuple[Tensor, State]]


def gradients(
    model: LSTMLanguageModel,
    tracker: Tracker,
    inputs: Tensor,
    targets: Tensor,
    state: State | None,
    positions: int,
) -> tuple[Tensor, State]:
    """Forward and backward over one window; the tracker counts all seven signals.

    Args:
        inputs: (T, B) ids.
        targets: (T, B) the same text one word on.
        state: of the window before; None for zeros.
        positions: of the whole batch, of which (T, B) may be a part.

    Returns:
        The part's share of the mean loss, in nats, and the state after the window.
    """
    tracker.words(input_ids=inputs, target_ids=targets, gradient_scale=positions)
    model.zero_grad(set_to_none=True)
    hidden, after = model(inputs, state)
    loss, chi, l1 = model.loss(hidden, targets)
    loss = targets.numel() / positions * loss
    loss.backward()
    tracker.add("softmax", "gradient", chi, l1)
    return loss.detach(), detach(after)


def update(
    model: nn.Module, optimizer: torch.optim.Optimizer, clip: float, learning_rate: float
) -> None:
    """Clip the whole gradient to an ℓ2 norm of ``clip``, then one step of the optimizer."""
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.param_groups[0]["lr"] = learning_rate
    optimizer.step()


class StaticStep:
    """A step on the next window of a text, in tensors that keep their address.

    Args:
        text: (L, B) columns of ids, of any integer type, on the device.
        sequence_length: T.
        state: (h, c) of each layer, written over by each step.
        compute: (inputs, targets, state) -> (loss, state after the window), the update with it.

    Attributes:
        start: (1,) where the next window begins.
        made: (1,) steps since :meth:`seek`.
        losses: (TURN,) float64, of these steps.
    """

    def __init__(self, text: Tensor, sequence_length: int, state: State, compute: Compute) -> None:
        self.text, self.sequence_length = text, sequence_length
        self.state, self.compute = state, compute
        self.offsets = torch.arange(sequence_length + 1, device=text.device)
        self.start = torch.zeros(1, dtype=torch.int64, device=text.device)
        self.made = torch.zeros_like(self.start)
        self.losses = torch.zeros(TURN, dtype=torch.float64, device=text.device)

    def seek(self, index: int) -> None:
        """The next steps, at most TURN of them, are those of window ``index`` and after it."""
        self.start.fill_(index * self.sequence_length)
        self.made.zero_()

    def __call__(self) -> None:
        """Make the step."""
        rows = self.text.index_select(0, self.start + self.offsets).long()  # T+1 B
        loss, state = self.compute(rows[:-1], rows[1:], self.state)
        for kept, new in zip(self.state, state, strict=True):
            for tensor, value in zip(kept, new, strict=True):
                tensor.copy_(value)
        self.losses.index_copy_(0, self.made, loss.double().view(1))
        self.start += self.sequence_length
        self.made += 1

    def tensors(self) -> dict[str, Tensor]:
        """All that a step changes here, by name."""
        state = {f"{n}.{i}": x for n, pair in enumerate(self.state) for i, x in enumerate(pair)}
        return {"start": self.start, "made": self.made, "losses": self.losses, **state}


def zero_state(model: LSTMLanguageModel, batch_size: int) -> State:
    """(h, c) of every layer, each (1, B, H), before the first word."""
    like, width = model.decoder.weight, model.decoder.in_features
    return [
        (like.new_zeros(1, batch_size, width), like.new_zeros(1, batch_size, width))
        for _ in range(model.num_layers)
    ]


def recorder(task: Any) -> Recorder | None:
    """What records the steps of a run; None where they are to be made one by one."""
    full = (len(task.train_text) - 1) // task.config.sequence_length
    if full < WARM_UPS or not recordable(task.device):
        return None
    return Recorder(task, full) if fits(task.train_text, task.device) else None


class Recorder:
    """The recorded step of a run, in tensors of its own.

    Args:
        task: whose step it is, a :class:`~sparsecore.experiments.emergent.task.Task`; its state and
            its tracker's sums are taken over as a turn begins.
        full: how many windows have the full length.
    """

    def __init__(self, task: Any, full: int) -> None:
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
