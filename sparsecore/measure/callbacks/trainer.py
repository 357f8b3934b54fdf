"""The tracker as a callback of ``transformers.Trainer``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from sparsecore.errors import check_installed
from sparsecore.files import atomic_path
from sparsecore.measure.callbacks.training_tables import TrainingTables
from sparsecore.measure.outputs import Hook
from sparsecore.measure.passes import in_backward

if TYPE_CHECKING:
    from transformers import TrainerCallback
else:
    check_installed("trainer", "transformers", "accelerate")
    from transformers import TrainerCallback

Place = tuple[int, CodeType]  # of a call that may be running
SUMS = "sparsecore-sums.safetensors"  # in the folders of checkpoints


class TrainerTracker(TrainerCallback):
    """Tables of :func:`sparsecore.track` from a training by ``transformers.Trainer``::

        tracker = sc.TrainerTracker("tables", layers=["*.mlp.down_proj:input"], every=500)
        Trainer(model, args, train_dataset=…, callbacks=[tracker]).train()

    Words are those that the model is called with: its keyword arguments ``input_ids``, ``labels``
    (the next word, for a causal model; ``-100`` counts for none) and ``attention_mask``. Where the
    Trainer keeps the labels to itself (label smoothing, ``compute_loss_func``), there are no
    targets unless ``words=`` finds them. Each micro-batch of an accumulated step is a forward pass
    of its own; evaluations in between and what gradient checkpointing computes again do not count.
    ℓ1 is of the gradients that training has, of its mean loss, without the scale of mixed
    precision. Sums are saved in each checkpoint, so that a training that is resumed goes on with
    them; several processes write one table.

    Args:
        folder, layers, every, …: as for
            :class:`~sparsecore.measure.callbacks.training_tables.TrainingTables`; without
            ``vocabulary`` it is the Trainer's ``processing_class``, if that is a tokenizer.

    Raises:
        InputError: transformers or accelerate is missing; bad options; when training begins,
            unknown layers or a folder that has tables.
    """

    def __init__(self, folder: str | Path, layers: Any, every: int | None = None, **options: Any):
        self.tables = TrainingTables(folder, layers, every, **options)
        self._optimizer: Any = None
        self._handles: list[Any] = []
        self._loops: dict[str, Place] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin to track."""
        model = kwargs["model"]
        saved = _checkpoint(args, state) / SUMS
        if state.global_step and saved.is_file():
            self.tables.load_state_dict(_load(saved))
        tokenizer = kwargs.get("processing_class")
        self._close()
        vocabulary = tokenizer if hasattr(tokenizer, "get_vocab") else None
        self.tables.open(model, state.global_step, vocabulary)
        self._optimizer = kwargs.get("optimizer")
        self._loops = {"training": _caller(sys._getframe())}
        # in front of the tracker's own hooks, which ask for the words
        before = Hook("the model", model, lambda args, kwargs: self._before(model, args, kwargs))
        self._handles.append(_prepend(model, before))
        for module in self.tables.modules - {model}:
            hook = Hook("a layer", module, lambda args, kwargs: self._end_if_over())
            self._handles.append(_prepend(module, hook))

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The training goes on, here."""
        self._loops["step"] = _caller(sys._getframe())

    def _end_if_over(self) -> None:
        """Remove the hooks if the training was broken off, of which a Trainer tells nobody."""
        if in_backward():  # a checkpoint's, possibly in a thread of its own
            return
        if not any(place in self._loops.values() for place in _places(sys._getframe())):
            self.tables.close()
            self._close()

    def _before(self, model: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        self._end_if_over()
        if in_backward() or not self._handles:  # a checkpoint around the whole model; or it is over
            return
        if model.training and torch.is_grad_enabled():
            self.tables.begin(kwargs or (args[0] if len(args) == 1 else args), self._scale())
        else:
            self.tables.pause()

    def _scale(self) -> float:
        scaler = getattr(self._optimizer, "scaler", None)  # of accelerate, for float16
        return 1.0 if scaler is None else 1.0 / scaler.get_scale()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the table that is due."""
        self.tables.pause()
        self.tables.end_step(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the sums beside the weights."""
        sums = self.tables.state_dict()
        if sums and state.is_world_process_zero and (folder := _checkpoint(args, state)).is_dir():
            with atomic_path(folder / SUMS) as path:
                _save(sums, path)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the table of all steps."""
        self.tables.end(state.global_step)
        self._close()

    def _close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _places(frame: FrameType | None) -> Iterator[Place]:
    """The calls that are running, from ``frame`` outwards."""
    while frame is not None:
        yield id(frame), frame.f_code
        frame = frame.f_back


def _caller(frame: FrameType) -> Place:
    """The call that has told all callbacks something; without one of a Trainer, the outermost."""
    handled = False
    while frame.f_back is not None:
        handler = frame.f_globals.get("__name__") == TrainerCallback.__module__
        if handled and not handler:
            break
        handled = handled or handler
        frame = frame.f_back
    return id(frame), frame.f_code


def _prepend(module: nn.Module, hook: Hook) -> Any:
    return module.register_forward_pre_hook(hook, with_kwargs=True, prepend=True)


def _checkpoint(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def _save(state: Mapping[str, Any], path: Path) -> None:
    """The sums of :meth:`.TrainingTables.state_dict`, without pickle."""
    tensors = {
        json.dumps([name, *key]): value.contiguous()
        for name in ("part", "whole")
        for key, value in state[name]
    }
    save_file(tensors, path, {"written": str(state["written"])})


def _load(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = {"part": [], "whole": []}
    with safe_open(path, "pt") as file:
        state["written"] = int(file.metadata()["written"])
        for label in sorted(file.keys()):
            name, *key = json.loads(label)
            state[name].append([key, file.get_tensor(label)])
    return state
