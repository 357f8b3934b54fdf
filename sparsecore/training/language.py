"""Passes of a language model over columns of text, and the state that it carries through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.training.batches import num_windows, window
from sparsecore.training.distributed import all_reduce
from sparsecore.training.sharding import all_gather, local_shard

State = list[tuple[Tensor, Tensor]]  # (h, c) of each layer
Measure = Callable[[Tensor, Tensor, Any], tuple[Tensor, Any]]


class CarriedState:
    """The recurrent state after a window, from which the next one goes on; None before the first.

    A part of a checkpoint (:mod:`sparsecore.training.loop`): it is saved for all columns of the
    batch, and each process goes on with its own.

    Args:
        batch_size: B; h and c are (1, B, H).
        device: of the state.
    """

    def __init__(self, batch_size: int, device: torch.device) -> None:
        self.batch_size, self.device = batch_size, device
        self.value: State | None = None

    def state_dict(self) -> dict[str, Any]:
        """(h, c) of each layer, for all columns."""
        layers = self.value or []
        return {"layers": [[all_gather(x, self.batch_size, 1) for x in hc] for hc in layers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with this process's columns of a saved state."""
        columns = local_shard(self.batch_size)
        layers = [[x[:, columns].to(self.device) for x in hc] for hc in state["layers"]]
        self.value = [(h, c) for h, c in layers] or None


@torch.no_grad()
def total_over_text(
    model: nn.Module, text: Tensor, sequence_length: int, device: torch.device, measure: Measure
) -> float:
    """The sum of a measure over the windows of a text, in eval mode.

    Args:
        model: put into eval mode, and back.
        text: (L, B) columns; several processes take some each.
        sequence_length: T of the windows.
        device: of the model.
        measure: (inputs, targets, state) -> (summed value, state after the window).
    """
    was_training = model.training
    model.eval()
    total = torch.zeros((), dtype=torch.float64, device=device)
    state = None
    columns = text[:, local_shard(text.shape[1])]
    for index in range(num_windows(text, sequence_length) if columns.numel() else 0):
        inputs, targets = window(columns, index, sequence_length, device)
        value, state = measure(inputs, targets, state)
        total += value
    model.train(was_training)
    return all_reduce(total).item()


def evaluate(model: LSTMLanguageModel, text: Tensor, sequence_length: int) -> float:
    """Mean cross entropy in nats a word, without dropout; the state is carried through the text.

    Args:
        model: of the emergent part.
        text: (L, B) columns; several processes take some each.
        sequence_length: T of the windows.
    """

    def loss(inputs: Tensor, targets: Tensor, state: Any) -> tuple[Tensor, Any]:
        hidden, state = model(inputs, state)
        return model.loss(hidden, targets)[0].double() * targets.numel(), state

    device = model.decoder.weight.device
    return total_over_text(model, text, sequence_length, device, loss) / text[1:].numel()
