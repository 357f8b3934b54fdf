"""A step as one CUDA graph: recorded once, then replayed without Python between its kernels.

What is recorded reads and writes the same memory each time. So all that a step carries to the next
lies in tensors that keep their address, and the step never waits for the device. Recording needs a
few steps before it, for libraries to choose and compile their kernels; what these change is undone.

SPARSECORE_CUDA_GRAPHS=0 in the environment switches it off.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from sparsecore.models.language_model import LSTMLanguageModel, State
from sparsecore.training.distributed import world

SWITCH = "SPARSECORE_CUDA_GRAPHS"
WARM_UPS = 3

Tensors = Callable[[], Mapping[Any, Tensor]]
Compute = Callable[[Tensor, Tensor, State], tuple[Tensor, State]]


def recordable(device: torch.device) -> bool:
    """Whether steps are to be recorded: on a GPU, in one process, unless it is switched off."""
    return device.type == "cuda" and world().alone and os.environ.get(SWITCH) != "0"


def fits(tensor: Tensor, device: torch.device) -> bool:
    """Whether a copy takes at most half of the device's free memory; says so if not."""
    free, _ = torch.cuda.mem_get_info(device)
    found = 2 * tensor.nbytes <= free
    if not found:
        warnings.warn(
            f"{tensor.nbytes / 1e9:.1f} GB of text leave too little of the {free / 1e9:.1f} GB "
            f"free on {device}: the text stays on the host and steps are not recorded",
            stacklevel=2,
        )
    return found


class Room:
    """The stream and the memory that graphs share of which one is replayed at a time.

    In any order: so nothing that outlives a replay may lie in it, for the next one writes over it.
    """

    def __init__(self) -> None:
        self.stream: Any = None
        self.pool: Any = None

    def open(self) -> None:
        """Make both, on the current device, if they are not there yet."""
        if self.stream is None:
            self.stream, self.pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()


def recorded(
    step: Callable[[], object], tensors: Tensors, device: torch.device, room: Room | None = None
) -> Callable[[], object] | None:
    """What replays ``step``, recorded as a CUDA graph; None, with a warning, where that fails.

    Nothing has changed afterwards, neither ``tensors`` nor the random generator.

    Args:
        step: reads and writes what keeps its address, and never waits for the device.
        tensors: gives all that it changes, by name, as it is at the time.
        device: of all of it.
        room: to be shared with other graphs; None: one of its own.
    """
    room = room or Room()
    generator = torch.cuda.default_generators[_index(device)]
    before = generator.clone_state()
    try:
        # the second context puts the stream back where a failed recording does not
        with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
            room.open()
            room.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(room.stream):
                warm_up(step, tensors, device)
            torch.cuda.current_stream().wait_stream(room.stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=room.pool, stream=room.stream):
                step()
    except RuntimeError as error:
        generator.graphsafe_set_state(before)  # the one in use may still wait for the recording
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(f"the step cannot be recorded as a CUDA graph ({reason})", stacklevel=2)
        return None
    held = graph, step  # a graph knows addresses only: with the step its tensors live on
    return lambda: held[0].replay()


def warm_up(step: Callable[[], object], tensors: Tensors, device: torch.device) -> None:
    """Make a few steps and undo them."""
    with undone(tensors, device):
        for _ in range(WARM_UPS):
            step()


@contextlib.contextmanager
def undone(tensors: Tensors, device: torch.device) -> Iterator[None]:
    """In the end ``tensors`` and the device's random generator are as they were, in place.

    A tensor that was not there before is zero.
    """
    before = {name: tensor.detach().clone() for name, tensor in tensors().items()}
    on_gpu = device.type == "cuda"
    drawn = torch.cuda.get_rng_state(device) if on_gpu else torch.get_rng_state()
    try:
        yield
    finally:
        with torch.no_grad():
            for name, tensor in tensors().items():
                tensor.copy_(before[name]) if name in before else tensor.zero_()
        torch.cuda.set_rng_state(drawn, device) if on_gpu else torch.set_rng_state(drawn)


class StaticStep:
    """A step on the next window of a text, in tensors that keep their address.

    Args:
        text: (L, B) columns of ids, of any integer type, on the device.
        sequence_length: T.
        state: (h, c) of each layer, written over by each step.
        compute: (inputs, targets, state) -> (loss, state after the window), the update with it.
        most: steps that are made between two calls of :meth:`seek`.

    Attributes:
        start: (1,) where the next window begins.
        made: (1,) steps since :meth:`seek`.
        losses: (most,) float64, of these steps.
    """

    def __init__(
        self, text: Tensor, sequence_length: int, state: State, compute: Compute, most: int = 1
    ) -> None:
        self.text, self.sequence_length = text, sequence_length
        self.state, self.compute = state, compute
        self.offsets = torch.arange(sequence_length + 1, device=text.device)
        self.start = torch.zeros(1, dtype=torch.int64, device=text.device)
        self.made = torch.zeros_like(self.start)
        self.losses = torch.zeros(most, dtype=torch.float64, device=text.device)

    def seek(self, index: int) -> None:
        """The next steps are those of window ``index`` and after it."""
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


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index
