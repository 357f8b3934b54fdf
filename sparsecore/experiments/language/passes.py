"""Text as the models here read it, and passes over it that change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sparsecore.layers.embedding import frequency_order
from sparsecore.models.awd_lstm import AWDLanguageModel, State
from sparsecore.training.batches import columns, num_windows, window
from sparsecore.training.distributed import all_reduce
from sparsecore.training.sharding import local_shard

if TYPE_CHECKING:
    from sparsecore.data.language import Corpus


def text_columns(corpus: Corpus, split: str, batch_size: int, device: torch.device) -> Tensor:
    """(L, B) columns of a split on the device, with ids by ascending frequency: 0 is the rarest.

    Raises:
        InputError: fewer than two tokens a column.
    """
    rows = frequency_order(corpus.vocabulary.counts, "up")
    text = columns(getattr(corpus, split), batch_size, f"{split} text of {corpus.name!r}")
    return rows[text.long()].to(device)


def piece_columns(
    corpus: Corpus, max_tokens: int | None, batch_size: int, device: torch.device
) -> tuple[Tensor, int]:
    """The first ``max_tokens`` of the training text as (L, B) columns, and its number of words.

    Ids ascend with frequency in the piece, and no word is counted that it does not have.

    Raises:
        InputError: fewer than two tokens a column.
    """
    piece = np.asarray(corpus.train[:max_tokens])
    text = columns(piece, batch_size, f"train text of {corpus.name!r}")
    _, ids, counts = np.unique(piece, return_inverse=True, return_counts=True)
    rows = frequency_order(counts, "up")[torch.from_numpy(ids[: text.numel()])]
    return rows.view(batch_size, -1).t().to(device), len(counts)


@torch.no_grad()
def mean_loss(model: AWDLanguageModel, text: Tensor, sequence_length: int) -> float:
    """Cross entropy in nats a word without any dropout; the state is carried through the text.

    Args:
        text: (L, B) columns on the model's device; several processes take some each.
    """
    total = torch.zeros((), dtype=torch.float64, device=text.device)
    was_training = model.training
    model.eval()
    state: State | None = None
    mine = text[:, local_shard(text.shape[1])]
    for index in range(num_windows(text, sequence_length) if mine.numel() else 0):
        inputs, targets = window(mine, index, sequence_length, text.device)
        hidden, _, state = model(inputs, state)
        total += model.loss(hidden, targets).double() * targets.numel()
    model.train(was_training)
    return float(all_reduce(total)) / text[1:].numel()


@torch.no_grad()
def accuracy(model: AWDLanguageModel, text: Tensor, sequence_length: int) -> float:
    """Share of the words after the first that are the model's likeliest next word."""
    right = torch.zeros((), dtype=torch.int64, device=text.device)
    was_training = model.training
    model.eval()
    state: State | None = None
    mine = text[:, local_shard(text.shape[1])]
    for index in range(num_windows(text, sequence_length) if mine.numel() else 0):
        inputs, targets = window(mine, index, sequence_length, text.device)
        hidden, _, state = model(inputs, state)
        right += (model.logits(hidden).argmax(-1) == targets).sum()
    model.train(was_training)
    return int(all_reduce(right)) / text[1:].numel()
