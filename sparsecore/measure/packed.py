"""Padded ids beside layers that return packed sequences: which of their axes counts the texts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from sparsecore.errors import InputError
from sparsecore.measure.ids import Ids

CHANCE = 3  # fewer places that hold one id and no other may do so by accident


class PackedIds:
    """Puts padded ids into the order of packed sequences, and keeps in mind how they are laid out.

    PyTorch ignores ``batch_first`` of a layer whose input is packed, so the layer says nothing of
    the ids. Where they are as many texts as tokens, the batches before tell, or the padding.
    """

    def __init__(self) -> None:
        self.by_batch: bool | None = None  # (B, T), as far as is known

    def pack(self, ids: Ids, packed: PackedSequence, layer: str) -> Ids:
        """(B, T) or (T, B) -> (N,); packed ids (N,) stay as they are.

        Raises:
            InputError: shapes that fit neither way, or both ways and nothing tells which.
        """
        shape = tuple(next(iter(ids.values())).shape)
        if len(shape) == 1:
            return ids
        sizes = packed.batch_sizes
        steps, batch = len(sizes), int(sizes[0])
        by_batch = len(shape) == 2 and shape[0] == batch and shape[1] >= steps
        by_time = len(shape) == 2 and shape[1] == batch and shape[0] >= steps
        if not (by_batch or by_time):
            raise InputError(
                f"layer {layer!r} returned a packed sequence of {batch} texts of up to {steps} "
                f"tokens, which ids of shape {shape} do not fit"
            )
        step = torch.repeat_interleave(torch.arange(steps), sizes)
        row = torch.arange(len(step)) - torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
        order = packed.sorted_indices
        row = row if order is None else order.cpu()[row]
        if by_batch != by_time:
            self.by_batch = by_batch
        elif self.by_batch is None:
            self.by_batch = _told_by_padding(ids, row, step)
        if self.by_batch is None and shape != (1, 1):
            raise InputError(
                f"layer {layer!r} returned a packed sequence, and ids of shape {shape} could be "
                "(B, T) or (T, B): give packed ids (pack_padded_sequence(ids, …).data), an "
                "attention_mask that is 0 on padding, or first a batch that is not square"
            )
        at = (row, step) if self.by_batch else (step, row)
        return {
            role: value[at[0].to(value.device), at[1].to(value.device)]
            for role, value in ids.items()
        }


def _told_by_padding(ids: Ids, row: Tensor, step: Tensor) -> bool | None:
    """Whether square ids are (B, T): only so is what lies beyond the texts' ends all padding."""
    inside = torch.zeros(next(iter(ids.values())).shape, dtype=torch.bool)
    inside[row, step] = True
    by_batch = any(_is_padded(value, inside) for value in ids.values())
    by_time = any(_is_padded(value, inside.t()) for value in ids.values())
    return None if by_batch == by_time else by_batch


def _is_padded(ids: Tensor, inside: Tensor) -> bool:
    """Whether the ids beyond ``inside`` are one and the same, and stand nowhere else."""
    ids = ids.cpu()
    beyond = ids[~inside].unique()
    if len(beyond) != 1 or bool((ids[inside] == beyond).any()):
        return False
    return int(beyond) < 0 or int((~inside).sum()) >= CHANCE
