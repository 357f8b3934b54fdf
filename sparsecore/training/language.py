"""Texts of language models as columns, passes over them, and the state carried through them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparsecore.data.encode import UNK_ID
from sparsecore.data.language import Corpus, prepare_corpus
from sparsecore.layers.embedding import frequency_order
from sparsecore.models.awd_lstm import AWDLanguageModel
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.training.batches import columns, num_windows, window
from sparsecore.training.device import precision_of, resolve_device
from sparsecore.training.distributed import all_reduce
from sparsecore.training.sharding import all_gather, local_shard

State = list[tuple[Tensor, Tensor]]  # (h, c) of each layer
Measure = Callable[[Tensor, Tensor, Any], tuple[Tensor, Any]]


def prepare_text(
    config: Any,
    batches: dict[str, int],
    progress: bool,
    *,
    max_tokens: int | None = None,
    max_types: int | None = None,
    tokenised: bool = False,
) -> Corpus:
    """The prepared text.

    Args:
        config: with corpus, threshold, device and precision.
        batches: for each split that is read, its number of columns.
        progress: show bars.
        max_tokens: cap on the training text before filtering.
        max_types: in place of the threshold, so many of the commonest words and every sentence.
        tokenised: take the text as it is, words separated by spaces.

    Raises:
        InputError: device, precision or corpus unknown; a text too short for its columns.
    """
    with precision_of(config.precision, resolve_device(config.device)):
        pass
    corpus = prepare_corpus(
        config.corpus,
        threshold=config.threshold if max_types is None else None,
        max_types=max_types,
        max_tokens=max_tokens,
        tokenised=tokenised,
        progress=progress,
    )
    for split, batch_size in batches.items():
        columns(getattr(corpus, split), batch_size, f"{split} text of {corpus.name!r}")
    return corpus


def text_columns(corpus: Corpus, split: str, batch_size: int, device: torch.device) -> Tensor:
    """(L, B) columns of a split on the device, with ids by ascending frequency: 0 is the rarest.

    Raises:
        InputError: fewer than two tokens a column.
    """
    rows = frequency_order(corpus.vocabulary.counts, "up")
    text = columns(getattr(corpus, split), batch_size, f"{split} text of {corpus.name!r}")
    return rows[text.long()].to(device)


def piece_columns(
    corpus: Corpus,
    max_tokens: int | None,
    batch_size: int,
    device: torch.device,
    unknown_below: int = 1,
) -> tuple[Tensor, int]:
    """The first ``max_tokens`` of the training text as (L, B) columns, and its number of words.

    Ids ascend with frequency in the piece, and no word is counted that it does not have. Words that
    occur fewer than ``unknown_below`` times in the piece are one word, ``<unk>``.

    Raises:
        InputError: fewer than two tokens a column.
    """
    piece = np.asarray(corpus.train[:max_tokens])
    rare = np.bincount(piece)[piece] < unknown_below
    piece = np.where(rare, UNK_ID, piece)
    text = columns(piece, batch_size, f"train text of {corpus.name!r}")
    _, ids, counts = np.unique(piece, return_inverse=True, return_counts=True)
    rows = frequency_order(counts, "up")[torch.from_numpy(ids[: text.numel()])]
    return rows.view(batch_size, -1).t().to(device), len(counts)


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
        shard = local_shard(self.batch_size)
        layers = [[x[:, shard].to(self.device) for x in hc] for hc in state["layers"]]
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
    shard = text[:, local_shard(text.shape[1])]
    for index in range(num_windows(text, sequence_length) if shard.numel() else 0):
        inputs, targets = window(shard, index, sequence_length, device)
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


def mean_loss(model: AWDLanguageModel, text: Tensor, sequence_length: int) -> float:
    """Cross entropy in nats a word without any dropout; the state is carried through the text.

    Args:
        model: which stays as it is.
        text: (L, B) columns on the model's device; several processes take some each.
        sequence_length: T of the windows.
    """

    def loss(inputs: Tensor, targets: Tensor, state: Any) -> tuple[Tensor, Any]:
        hidden, _, state = model(inputs, state)
        return model.loss(hidden, targets).double() * targets.numel(), state

    return total_over_text(model, text, sequence_length, text.device, loss) / text[1:].numel()


def perplexity(loss: float) -> float:
    """exp(loss), finite for any mean cross entropy in nats."""
    return math.exp(min(loss, 700.0))


def accuracy(model: AWDLanguageModel, text: Tensor, sequence_length: int) -> float:
    """Share of the words after the first that are the model's likeliest next word."""

    def hits(inputs: Tensor, targets: Tensor, state: Any) -> tuple[Tensor, Any]:
        hidden, _, state = model(inputs, state)
        return (model.logits(hidden).argmax(-1) == targets).sum(), state

    return total_over_text(model, text, sequence_length, text.device, hits) / text[1:].numel()
