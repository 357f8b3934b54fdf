"""One pass of a language model over columns of text, for training and for evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from sparsecore.models.language_model import LSTMLanguageModel, State
from sparsecore.training.batches import num_windows, window


@torch.no_grad()
def evaluate(model: LSTMLanguageModel, text: Tensor, sequence_length: int) -> float:
    """Mean cross entropy in nats a word, without dropout; the state is carried through the text.

    Args:
        text: (L, B) columns.
    """
    was_training = model.training
    model.eval()
    device = model.decoder.weight.device
    state: State | None = None
    total, positions = 0.0, 0
    for index in range(num_windows(text, sequence_length)):
        inputs, targets = window(text, index, sequence_length, device)
        hidden, state = model(inputs, state)
        loss = model.loss(hidden, targets)[0]
        total += float(loss) * targets.numel()
        positions += targets.numel()
    model.train(was_training)
    return total / positions
