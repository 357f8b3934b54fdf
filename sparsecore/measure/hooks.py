"""The tracker's hooks on layers' outputs: they measure vectors, hand them on, keep no tensor."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.measure.chi import concentration_of_values, real
from sparsecore.measure.ids import Ids, flat_nested, flatten
from sparsecore.measure.measures import Measure
from sparsecore.measure.outputs import (
    Hook,
    check_plain,
    find_vectors,
    hooked,
    put_everywhere,
)
from sparsecore.measure.packed import PackedIds
from sparsecore.measure.passes import Pass, Passes, Run, in_backward
from sparsecore.measure.select import Signal, Transform
from sparsecore.measure.unseen import Seen
from sparsecore.measure.word_table import WordTable
from sparsecore.ops.unrolled import stack_steps, unroll

ONE_EXPERT = re.compile(r"(^|\.)experts\.\d+")  # whose positions are sorted by rank
CONVOLUTIONS = nn.Conv1d | nn.Conv2d | nn.Conv3d


class Hooks:
    """What sees the values and gradients of ``signals``, from :meth:`open` to :meth:`close`."""

    def __init__(
        self,
        signals: Mapping[str, Signal],
        measures: Mapping[str, Measure],
        table: WordTable,
        gradients: bool,
        total: bool,
        flat: bool = False,
    ) -> None:
        self.signals, self.measures, self.table = signals, measures, table
        self.gradients, self.total, self.flat = gradients, total, flat
        self.passes, self.seen, self.packed = Passes(), Seen(), PackedIds()
        self._handles: list[Any] = []

    @property
    def is_open(self) -> bool:
        """Whether hooks are in place."""
        return bool(self._handles)

    def open(self, model: nn.Module) -> None:
        """Register the hooks.

        Raises:
            InputError: a module that takes none.
        """
        try:
            self._register(model)
        except RuntimeError as error:
            self.close()
            if "ScriptModule" not in str(error):
                raise
            raise InputError(
                f"{type(model).__name__} is or holds TorchScript, which takes no hooks: track the "
                "module that it was made from"
            ) from error

    def _register(self, model: nn.Module) -> None:
        begins = Hook("the model", model, lambda *_: self.passes.model_begins())
        ends = Hook("the model", model, lambda *_: self.passes.model_ends())
        self._handles.append(model.register_forward_pre_hook(begins))
        for name, signal in self.signals.items():
            module = signal.module
            if signal.of_input:
                hook = Hook(name, module, self._before(name, signal))
                handle = module.register_forward_pre_hook(hook, with_kwargs=True)
            else:
                hook = Hook(name, module, self._after(name, signal))
                handle = module.register_forward_hook(hook, with_kwargs=True)
            self._handles.append(handle)
        self._handles.append(model.register_forward_hook(ends))

    def close(self) -> None:
        """Remove the hooks; gradients that come later are not counted."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.passes.current = None

    def count(
        self, of: Pass, ids: Ids, layer: str, signal: str, values: Tensor, changed: bool = False
    ) -> None:
        """Hand on values (..., M) whose leading axes are those of ``ids``.

        Axes between them are averaged, where a transform or a layer made them (heads).
        """
        shape = tuple(next(iter(ids.values())).shape)
        axes = values.ndim - 1
        in_line = axes == 1 < len(shape) and len(values) == math.prod(shape)
        in_line = in_line and not ONE_EXPERT.search(layer)
        if in_line and self.flat:
            ids = of.flat if ids is of.ids else flatten(ids)
            shape = (len(values),)
        if tuple(values.shape[: len(shape)]) != shape or (
            axes > len(shape) and len(shape) < 2 and not changed
        ):
            raise InputError(
                f"layer {layer!r} has positions {tuple(values.shape[:-1])}, but ids {shape}: give "
                "ids in the same layout (T, B) or (B, T), or rearrange with transform="
                + ("; or flat=True, where they stand as ids.flatten() does" if in_line else "")
                + ("; one expert has an order of its own" if ONE_EXPERT.search(layer) else "")
            )
        if axes > len(shape):
            values = values.nanmean(tuple(range(len(shape), axes)))
        one_axis = ids if len(shape) == 1 else of.flat if ids is of.ids else flatten(ids)
        self.table.add(of.number, layer, signal, one_axis, values.flatten(0, -2))

    def _after(self, name: str, signal: Signal) -> Callable[..., Any]:
        def after_forward(args: Any, kwargs: Any, output: Any) -> Any:
            run = self._run(name)
            recurrent = self.total and isinstance(signal.module, nn.RNNBase)
            if run is None:
                again = recurrent and in_backward() and torch.is_grad_enabled()
                return self._steps(signal.module, args, kwargs)[2] if again else None
            return self._visit(name, signal, run, output, (args, kwargs), recurrent)

        return after_forward

    def _before(self, name: str, signal: Signal) -> Callable[..., Any]:
        def before_forward(args: Any, kwargs: Any) -> Any:
            run = self._run(name)
            if run is None:
                return None
            return self._visit(name, signal, run, (args, kwargs), (args, kwargs), False)

        return before_forward

    def _run(self, name: str) -> Run | None:
        if not self.is_open:  # they were removed in the midst of a call
            return None
        try:
            return self.passes.run(name)
        except InputError:
            self.seen.refused.add(name)
            raise

    def _visit(
        self, name: str, signal: Signal, run: Run, value: Any, inputs: Any, recurrent: bool
    ) -> Any:
        """Count the vectors in ``value`` and wait for their gradient; what is to replace it."""
        if name in self.seen.left_out:
            return None
        try:
            if isinstance(signal.module, CONVOLUTIONS) and signal.transform is None:
                raise InputError(
                    f"layer {name!r} has its vectors along axis 1: give transform=lambda h: "
                    "h.movedim(1, -1)"
                )
            found = find_vectors(value, run.of.shape, name)
            check_plain(found.tensor, name)
            ids = run.of.ids
            if found.packed is not None:
                ids = self.packed.pack(ids, found.packed, name)
            if not run.counted:
                values = self._values(found.tensor, signal.transform)
                self.count(run.of, ids, run.label, "activation", values, bool(signal.transform))
        except InputError as error:
            if not signal.by_pattern or name in self.seen.ran:
                self.seen.refused.add(name)
                raise
            self.seen.left_out[name] = str(error).replace(f"layer {name!r}", "it")
            return None
        self.seen.ran.add(name)
        if not self.gradients or not found.tensor.requires_grad:
            return None
        self.seen.differentiable.add(name)
        count = self._gradient_hook(run, ids, name, signal)
        if recurrent:
            steps, stack, output = self._steps(signal.module, *inputs)
            self._hook_steps(steps, stack, count)
            return output
        tensor = hooked(found.tensor, inputs, count)
        return None if tensor is found.tensor else put_everywhere(value, found.tensor, tensor)

    def _values(
        self, vectors: Tensor, transform: Transform | None, scale: float | Tensor = 1.0
    ) -> Tensor:
        """(..., D) -> (..., M): chi, ℓ1 and the further measures."""
        vectors = vectors.detach()
        if vectors.is_nested:
            vectors = flat_nested(vectors)
        if transform is not None:
            vectors = transform(vectors)
        chi, l1 = concentration_of_values(vectors)
        if not self.measures:
            return torch.stack([chi, l1 * scale], -1)
        wide, others = real(vectors), []
        for name, measure in self.measures.items():
            value = measure(wide)
            if value.shape != chi.shape:
                raise InputError(
                    f"measure {name!r} made {tuple(value.shape)} of vectors {tuple(wide.shape)}, "
                    f"not {tuple(chi.shape)}: it must reduce the last axis"
                )
            others.append(value.to(l1.dtype))
        return torch.stack([chi, l1 * scale, *others], -1)

    def _gradient_hook(
        self, run: Run, ids: Ids, name: str, signal: Signal
    ) -> Callable[[Tensor | None], None]:
        came = False

        def on_gradient(gradient: Tensor | None) -> None:
            nonlocal came
            if gradient is None or self.passes.paused or not self.is_open:
                return
            if came:
                raise InputError(
                    f"the gradient of layer {name!r} came twice for one forward pass: call "
                    "backward() once, on the sum of the losses, or put the other backward pass "
                    "(retain_graph, create_graph) inside tracker.paused()"
                )
            came = True
            values = self._values(gradient, signal.transform, run.of.scale)
            self.count(run.of, ids, run.label, "gradient", values, bool(signal.transform))
            self.seen.gradients.add(name)

        return on_gradient

    def _steps(
        self, module: nn.Module, args: Any, kwargs: Any
    ) -> tuple[list[Tensor], Callable[[list[Tensor]], Tensor], Any]:
        """The hidden states of a fused layer, a tensor each, how they stack, and the output."""
        assert isinstance(module, nn.RNNBase)
        x = args[0] if args else kwargs["input"]
        state = args[1] if len(args) > 1 else kwargs.get("hx")
        steps, final = unroll(module, x, state)
        stack = partial(stack_steps, module, x)
        return steps, stack, (stack(steps), final)

    def _hook_steps(
        self,
        steps: list[Tensor],
        stack: Callable[[list[Tensor]], Tensor],
        count: Callable[[Tensor], None],
    ) -> None:
        """Count the gradients of all steps together, when the first step's, the last, has come."""
        gradients: dict[int, Tensor] = {}

        def on_step(gradient: Tensor | None, t: int) -> None:
            if gradient is not None:
                gradients[t] = gradient.detach()
            if t == 0 and gradients:
                zeros = torch.zeros_like(steps[0])
                every = [gradients.get(t, zeros) for t in range(len(steps))]
                gradients.clear()
                count(stack(every))

        for t, step in enumerate(steps):
            step.register_hook(partial(on_step, t=t))
