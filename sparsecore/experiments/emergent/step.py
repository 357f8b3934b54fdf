"""One training step of the language model, with the statistics of every signal.

The same functions make a step eagerly, window by window, and as :class:`StaticStep`, which can be
recorded once and replayed (:mod:`sparsecore.training.graphs`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparsecore.experiments.emergent.config import TURN
from sparsecore.measure.tracker import Tracker
from sparsecore.models.language_model import LSTMLanguageModel, State, detach

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
