"""One pass of a language model over columns of text, for training and for evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from sparsecore.models.language_model import LSTMLanguageModel, State
from sparsecore.training.batches import num_windows, window
from sparsecore.training.distributed import all_reduce
from sparsecore.training.sharding import local_shard


@torch.no_grad()
def evaluate(model: LSTMLanguageModel, text: Tensor, sequence_length: int) -> float:
    """Mean cross entropy in nats a word, without dropout; the state is carried through the text.

    Args:
        text: (L, B) columns; several processes take some each.
    """
    was_training = model.training
    model.eval()
    device = model.decoder.weight.device
    state: State | None = None
    total = 0.0
    mine = text[:, local_shard(text.shape[1])]
    for index in range(num_windows(text, sequence_length) if mine.numel() else 0):
        inputs, targets = window(mine, index, sequence_length, device)
        hidden, state = model(inputs, state)
        loss = model.loss(hidden, targets)[0]
        total += float(loss) * targets.numel()
    model.train(was_training)
    return all_reduce(torch.tensor(total, dtype=torch.float64)).item() / text[1:].numel()
