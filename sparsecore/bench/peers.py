"""Peers that not every machine can run: compiled steps, CUDA graphs, packages that are optional.

What they do once, compiling or recording, belongs to no step: :func:`where_possible` makes a step
and the values of each of them before anything is timed. One that cannot run here is not left out
in silence: its name and the reason are part of the results.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from sparsecore.bench.case import Contestant
from sparsecore.errors import one_line
from sparsecore.training.graphs import SWITCH, recordable, recorded

NEEDS_CUDA = "it needs a CUDA device"
LONGEST = 200  # characters of a reason
NOT_COMPILED = (
    "nothing that torch.compile had compiled was run: the step was made without it, as it is under "
    "an open tracker, or where the compiler gave up"
)


class Unavailable(RuntimeError):
    """A peer cannot run here; the message says why."""


def where_possible(
    makers: Mapping[str, Callable[[], Contestant]],
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Those peers that make a step and their values here, and of the others the reason.

    Whatever a foreign package raises is a reason. Warnings of PyTorch's compiler are not shown.
    """
    found: dict[str, Contestant] = {}
    absent: dict[str, str] = {}
    for name, make in makers.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                contestant = make()
                contestant.step()
                if contestant.values is not None:
                    contestant.values()
        except Unavailable as error:
            absent[name] = str(error)
        except Exception as error:
            absent[name] = one_line(f"{type(error).__name__}: {error}")[:LONGEST]
        else:
            found[name] = contestant
    return found, absent


def compiled(function: Callable[..., Any], backend: str = "inductor") -> Callable[..., Any]:
    """``torch.compile`` of a function that never runs without it unnoticed.

    Compiled code counts its calls: ``torch.compile`` runs a function as it is, and says nothing,
    under ``torch.compiler.set_stance("force_eager")`` and after too many recompilations.

    Args:
        function: of tensors.
        backend: what compiles the graphs, by the name that ``torch.compile`` knows.

    Raises:
        Unavailable: by the result, where a call ran no compiled code.
    """
    from torch._dynamo import lookup_backend  # loads PyTorch's compiler

    compile_graph = lookup_backend(backend)
    calls = 0

    def counting(graph: Any, inputs: Any) -> Callable[..., Any]:
        inner: Any = compile_graph(graph, inputs)

        def run(*tensors: Any) -> Any:
            nonlocal calls
            calls += 1
            return inner(*tensors)

        return run

    call = torch.compile(function, backend=counting, dynamic=False)

    def checked(*arguments: Any) -> Any:
        before = calls
        result = call(*arguments)
        if calls == before:
            raise Unavailable(NOT_COMPILED)
        return result

    return checked


def forget_compiled() -> None:
    """Empty the compiler's caches: it recompiles the same code for a few sets of sizes only."""
    torch.compiler.reset()


def replay_of(step: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """What replays a step from a CUDA graph.

    Args:
        step: makes its gradients anew and changes nothing else; its inputs keep their address.
        device: of all of it.

    Raises:
        Unavailable: it cannot be recorded.
    """
    if device.type != "cuda":
        raise Unavailable(NEEDS_CUDA)
    if not recordable(device):
        raise Unavailable(f"CUDA graphs are switched off ({SWITCH}=0, or several processes)")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        replay = recorded(step, dict, device)
    if replay is None:
        raise Unavailable(str(said[-1].message))
    return replay
