"""Gradients of windows of any length: on a GPU the replay of one CUDA graph a length.

The lengths are random (:func:`~sparsecore.training.batches.random_windows`), but some thirty come
again and again. What is recorded of a length (:mod:`sparsecore.training.graphs`) is forward,
backward and clipping, up to the gradients. The update stays outside: its learning rate, momentum
and mean change from step to step, and it takes a few launches. So a replayed step gives the numbers
of one made from Python, at whatever length, and the window before may have been made either way.

All lengths share the memory in which they compute. What is carried on lies outside of it and keeps
its address: text, weights, state, gradients, loss. Weights or buffers that were put elsewhere
between two epochs are seen, and the lengths are recorded anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparsecore.models.language_model import State
from sparsecore.training.graphs import Room, recordable, recorded
from sparsecore.training.language import CarriedState
from sparsecore.training.sharding import local_shard

AFTER = 4  # windows of a length that are made one by one: recording it takes about as long
MOST = 64  # lengths that are recorded

Compute = Callable[[Tensor, Tensor, State | None], tuple[list[Tensor], State]]


class Windows:
    """What computes loss and gradients window by window, and carries the state through the text.

    Args:
        model: whose parameters get the gradients; on one device with ``text``.
        text: (L, B) int64 columns of ids.
        state: of the run; its ``value`` is that after the last window.
        compute: (inputs, targets, state) -> (scalars such as the loss, state after the window),
            with the gradients left in the parameters. Never waits for the device, and reads
            nothing that changes from window to window but these three and the weights.

    Attributes:
        recorded: of each recorded length what replays a window, and which parameters it trains.
    """

    def __init__(
        self, model: nn.Module, text: Tensor, state: CarriedState, compute: Compute
    ) -> None:
        self.model, self.text, self.state, self.compute = model, text, state, compute
        self.on = recordable(text.device)
        self.seen: Counter[int] = Counter()
        self.start = torch.zeros(1, dtype=torch.int64, device=text.device)
        self.carried: State = []  # the rest is made as the first length is recorded
        self.scalars: list[Tensor] = []
        self.gradients: dict[nn.Parameter, Tensor] = {}
        self._forget()

    def __call__(self, start: int, length: int) -> list[Tensor]:
        """The scalars of the window of ``length`` targets from ``start``; its gradients are set."""
        found = self._find(start, length) if self.on else None
        if found is None:
            return self._eager(start, length)
        replay, trained = found
        self._take_over()
        replay()
        for parameter in self.model.parameters():
            parameter.grad = self.gradients[parameter] if parameter in trained else None
        self.state.value = self.carried
        return [scalar.clone() for scalar in self.scalars]

    def _eager(self, start: int, length: int) -> list[Tensor]:
        columns = local_shard(self.text.shape[1])
        piece = self.text[start : start + length + 1, columns]
        scalars, after = self.compute(piece[:-1], piece[1:].contiguous(), self.state.value)
        self.state.value = after
        return scalars

    def _find(
        self, start: int, length: int
    ) -> tuple[Callable[[], object], set[nn.Parameter]] | None:
        """What is recorded of a length, at ``start``; None where the window is made from Python."""
        if self.state.value is not self.carried and self.addresses != self._addresses():
            self._forget()
        self.start.fill_(start)  # before the steps of a recording, too: all within the text
        self.seen[length] += 1
        wanted = self.seen[length] > AFTER and len(self.recorded) < MOST
        if length not in self.recorded and wanted and self.state.value is not None:
            self._record(length, self.state.value)
        return self.recorded.get(length)

    def _record(self, length: int, state: State) -> None:
        if not self.carried:
            self.carried = [(torch.empty_like(h), torch.empty_like(c)) for h, c in state]
        self._take_over()
        step = Step(self, length)
        replay = recorded(step, self._tensors, self.text.device, self.room)
        if replay is None:
            self.on = False
            self._forget()
        else:
            self.recorded[length] = replay, step.trained

    def _tensors(self) -> dict[str, Tensor]:
        """What a recorded step changes and the next one reads."""
        return {f"{n}.{i}": x for n, pair in enumerate(self.carried) for i, x in enumerate(pair)}

    def _take_over(self) -> None:
        """The run's state goes on in tensors that keep their address."""
        value = self.state.value
        if value is self.carried:
            return
        for n, pair in enumerate(self.carried):
            for i, tensor in enumerate(pair):
                tensor.zero_() if value is None else tensor.copy_(value[n][i])
        self.state.value = self.carried

    def _forget(self) -> None:
        """Nothing is recorded."""
        self.recorded: dict[int, tuple[Callable[[], object], set[nn.Parameter]]] = {}
        self.room = Room()
        self.addresses = self._addresses() if self.on else []

    def _addresses(self) -> list[int]:
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return [tensor.data_ptr() for tensor in tensors]


class Step:
    """One window of a length, in tensors that keep their address.

    Attributes:
        trained: the parameters that get a gradient.
    """

    def __init__(self, windows: Windows, length: int) -> None:
        self.windows = windows
        self.offsets = torch.arange(length + 1, device=windows.text.device)
        self.trained: set[nn.Parameter] = set()

    def __call__(self) -> None:
        """Make the step from ``windows.start``."""
        at = self.windows
        rows = at.text.index_select(0, at.start + self.offsets)  # T+1 B
        scalars, state = at.compute(rows[:-1], rows[1:], at.carried)
        for kept, new in zip(at.carried, state, strict=True):
            for tensor, value in zip(kept, new, strict=True):
                tensor.copy_(value)
        if not at.scalars:
            at.scalars = [torch.empty_like(scalar) for scalar in scalars]
        for tensor, value in zip(at.scalars, scalars, strict=True):
            tensor.copy_(value)
        for parameter in at.model.parameters():
            if parameter.grad is not None:
                self.trained.add(parameter)
                if parameter not in at.gradients:
                    at.gradients[parameter] = torch.empty_like(parameter.grad)
        trained = list(self.trained)
        found: list[Tensor] = [p.grad for p in trained]  # pyrefly: ignore[bad-assignment]
        torch._foreach_copy_([at.gradients[p] for p in trained], found)
        at.model.zero_grad(set_to_none=True)  # that memory is the next step's
