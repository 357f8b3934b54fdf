"""One training step of the language model, the same batch by one process and by two.

Each process is a helper with one thread, as torchrun starts them; gloo carries gradients and loss.

- sparsecore: two processes, half of the columns each.
- one process: all of them.

Forward with every statistic, backward, the sum of the gradients, clipping and SGD, as
``emergent.train`` makes them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.distributed as dist

from sparsecore.bench.case import REFERENCE, Case, Contestant, Prepared, Values
from sparsecore.bench.suites.lm_steps import Sizes, by_hand_values, text, tracked, untrained
from sparsecore.training.distributed import joined

CPU = torch.device("cpu")


def cases(device: torch.device, quick: bool) -> list[Case]:
    """The paper's sizes; quick: 50 words. On the CPU, wherever the others run."""
    del device
    sizes = Sizes(50, 3, 4, 8) if quick else Sizes()
    name = f"V {sizes.V}, T {sizes.T}, B {sizes.B}, 2 × {sizes.D}"
    return [Case(name, lambda: prepare(sizes), sizes.T * sizes.B, "token", helpers=True)]


def prepare(sizes: Sizes) -> Prepared:
    """Groups of their own with equal weights, on the same text."""
    groups = {REFERENCE: Group(2, sizes), "one process": Group(1, sizes)}

    def contestant(group: Group) -> Contestant:
        return Contestant(lambda: group.ask("step"), lambda: group.ask("values"))

    def close() -> None:
        for group in groups.values():
            group.close()

    def truth() -> Values:
        ids = text(sizes, CPU)
        return by_hand_values(untrained(sizes, CPU).double(), ids[:-1], ids[1:])

    contestants = {name: contestant(group) for name, group in groups.items()}
    return Prepared(contestants, truth, close)


class Group:
    """Processes that make a step together whenever they are asked to."""

    def __init__(self, size: int, sizes: Sizes) -> None:
        context = multiprocessing.get_context("spawn")
        self.store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self.processes, self.pipes = [], []
        for rank in range(size):
            mine, theirs = context.Pipe()
            process = context.Process(
                target=serve, args=(rank, size, self.store.port, sizes, theirs), daemon=True
            )
            process.start()
            theirs.close()  # its end alone is left: a helper that dies is heard
            self.processes.append(process)
            self.pipes.append(mine)

    def ask(self, what: str) -> Any:
        """Let all of them do it; the answer of the first."""
        for pipe in self.pipes:
            pipe.send(what)
        answers = [pipe.recv() for pipe in self.pipes]
        return answers[0]

    def close(self) -> None:
        """End them."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join()


def serve(rank: int, size: int, port: int, sizes: Sizes, pipe: Connection) -> None:
    """A process of a group: do what is asked until nobody is there to ask."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size)}
    # the store is the benchmark's, not rank 0's
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    torch.set_num_threads(1)
    with joined():
        contestant = tracked(untrained(sizes, CPU), text(sizes, CPU))
        with contextlib.suppress(EOFError):
            while True:
                pipe.send(getattr(contestant, pipe.recv())())
