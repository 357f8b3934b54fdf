"""Which forward pass a layer runs in, and so which words its positions count for."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.measure.ids import Ids, flatten

REMEMBERED = 256  # passes whose checkpoints may still be recomputed


@dataclass
class Pass:
    """One forward pass: its words, and what has run in it."""

    number: int
    ids: Ids
    scale: float | Tensor
    thread: int = field(default_factory=threading.get_ident)
    runs: Counter[str] = field(default_factory=Counter)
    called: bool = False  # the model has been called
    running: bool = False

    def __post_init__(self) -> None:
        self.flat = flatten(self.ids)  # one object for all layers

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the ids."""
        return tuple(next(iter(self.ids.values())).shape)


@dataclass(frozen=True)
class Run:
    """One run of a layer in a pass.

    Attributes:
        of: the pass.
        label: the layer's name, ``"name#2"`` for its second run in one call of the model.
        counted: its values are in the sums already (a checkpoint is being recomputed).
    """

    of: Pass
    label: str
    counted: bool = False


class Passes:
    """The forward passes of a tracker, of which the last one is current."""

    def __init__(self) -> None:
        self.current: Pass | None = None
        self.number = 0
        self.paused = False
        self._checkpointed: dict[tuple[str, int], deque[Run]] = {}

    def begin(self, ids: Ids, scale: float | Tensor) -> Pass | None:
        """The next pass has these words; gives the one before if it did not come to its end."""
        before = self.current
        self.current = Pass(self.number, ids, scale)
        self.number += 1
        if self.number % REMEMBERED == 0:
            self._checkpointed = {
                key: runs
                for key, runs in self._checkpointed.items()
                if runs and runs[0].of.number >= self.number - REMEMBERED
            }
        return before if before is not None and before.running else None

    def model_begins(self) -> None:
        """The model is called.

        Raises:
            InputError: the words of the pass belong to the call before.
        """
        at = self.current
        if at is None or self.paused or in_backward():
            return
        if at.called:
            raise InputError(
                "the model runs again without words(): call tracker.words(…) before each forward "
                "pass, or use tracker.paused() where it is not to be counted (generate(), "
                "evaluation)"
            )
        at.called = at.running = True

    def model_ends(self) -> None:
        """The call returned."""
        if self.current is not None and not in_backward():
            self.current.running = False

    def run(self, layer: str) -> Run | None:
        """The run of ``layer`` that begins; None where it is not to be counted.

        Raises:
            InputError: there are no words for it.
        """
        if in_backward():
            return self._recomputed(layer)
        if self.paused:
            return None
        at = self.get(layer)
        if at.thread != threading.get_ident():
            raise InputError(
                f"layer {layer!r} runs in another thread than tracker.words(): use a tracker and a "
                "model for each thread"
            )
        at.runs[layer] += 1
        times = at.runs[layer]
        if times > 1 and not at.running:
            raise InputError(
                f"layer {layer!r} runs again without words(): call tracker.words(…) before each "
                "forward pass, or use tracker.paused() where it is not to be counted"
            )
        run = Run(at, layer if times == 1 else f"{layer}#{times}")
        if not torch.is_grad_enabled() and not torch.is_inference_mode_enabled():
            self._remember(layer, run)
        return run

    def get(self, layer: str) -> Pass:
        """The current pass, or an :class:`InputError`."""
        if self.current is None:
            raise InputError(
                f"layer {layer!r} ran before words(): call tracker.words(input_ids=…, "
                "target_ids=…) before the forward pass, or pause with tracker.paused()"
            )
        return self.current

    def _remember(self, layer: str, run: Run) -> None:
        """A run without gradients may be one that a reentrant checkpoint will recompute.

        The node of such a checkpoint was made just before, so its number tells the runs apart (but
        for the nodes that autocast makes for weights that it casts); where no nodes are made, in
        evaluation, the last run takes the place of those before.
        """
        key = layer, sequence_number()
        runs = self._checkpointed.get(key)
        if runs is None or runs[0].of is not run.of:
            runs = self._checkpointed[key] = deque()
        runs.append(run)

    def _recomputed(self, layer: str) -> Run | None:
        """The run that a reentrant checkpoint computes again, whose gradient comes only now.

        It is the first one after the checkpoint's node: those of later checkpoints, whose gradients
        came before, are gone.
        """
        node = recomputed_at()
        later = [at for name, at in self._checkpointed if name == layer and at >= node]
        if node < 0 or not later:
            return None
        key = layer, min(later)
        runs = self._checkpointed[key]
        run = runs.popleft()
        if not runs:
            del self._checkpointed[key]
        return Run(run.of, run.label, counted=True)


def in_backward() -> bool:
    """Whether this thread runs a backward pass, as the recomputation of a checkpoint does."""
    return torch._C._current_graph_task_id() != -1


def sequence_number() -> int:
    """How many nodes of the graph this thread has made."""
    return torch._C._autograd._get_sequence_nr()  # pyrefly: ignore[implicit-import]


def recomputed_at() -> int:
    """What :func:`sequence_number` was inside the reentrant checkpoint that is recomputed now."""
    node = torch._C._current_autograd_node()
    return -1 if node is None else node._sequence_nr() + 1
