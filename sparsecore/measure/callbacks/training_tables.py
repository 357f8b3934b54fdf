"""A tracker that writes a table every N steps of a training that somebody else's trainer runs.

What the callbacks share: which words a batch has, files, saved sums, and several processes.
"""

from __future__ import annotations

import contextlib
import inspect
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.errors import InputError, whole_number
from sparsecore.files import atomic_path, write_error
from sparsecore.measure.ids import to_ids
from sparsecore.measure.measures import Measure
from sparsecore.measure.select import Layers, Transform
from sparsecore.measure.tracker import Tracker, track
from sparsecore.measure.unseen import TrackingWarning

WordsOf = Callable[[Any], Mapping[str, Any]]
FINAL = "final.parquet"


class TrainingTables:
    """Tables of a tracker in ``folder``: one every ``every`` steps, one of all steps at the end.

    ``step-0000100.parquet`` holds the positions of the steps since the table before, so that one
    can see when a word became concentrated; ``final.parquet`` those of all steps. Both are as
    :meth:`Tracker.table() <sparsecore.measure.tracker.Tracker.table>` gives them. Several processes
    (DistributedDataParallel and the like) each track their own batches, and the first one writes
    the tables of all; gradients are those of the mean of their losses, as in one process with the
    batches of all. A text that the sampler repeats, so that each process has as many, counts again.

    Args:
        folder: where to write; a training from its first step on needs one without tables.
        layers, gradients, vocabulary, counts, measures, transform, flat: as for
            :func:`sparsecore.track`.
        every: steps of the optimiser between two tables; None: only the final one.
        words: a function of a batch that returns the arguments of
            :meth:`Tracker.words() <sparsecore.measure.tracker.Tracker.words>`, such as
            {"input_ids": …, "target_ids": …}. Default: :func:`words_of`.
        shift_labels: whether the model predicts ``labels`` one position later than they stand, as
            causal models of transformers do; default: what the model says of its loss.

    Raises:
        InputError: a number of steps below 1; when training begins, a folder that has tables of
            another training or cannot be written to. What this object has written of a training
            that broke off makes room for the next.
    """

    def __init__(
        self,
        folder: str | Path,
        layers: Layers,
        every: int | None = None,
        gradients: bool = True,
        vocabulary: Any = None,
        counts: Any = None,
        measures: Iterable[str] | Mapping[str, str | Measure] = (),
        transform: Transform | Mapping[str, Transform] | None = None,
        flat: bool = False,
        words: WordsOf | None = None,
        shift_labels: bool | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.every = None if every is None else whole_number(every, "every", 1)
        self.vocabulary = vocabulary
        self._layers, self._gradients = layers, gradients
        self._options = {
            "counts": counts, "measures": measures, "transform": transform, "flat": flat
        }  # fmt: skip
        self._words, self._shift = words, shift_labels
        self._model: nn.Module | None = None
        self._part: Tracker | None = None  # since the last table
        self._whole: Tracker | None = None
        self._block, self._pause = contextlib.ExitStack(), contextlib.ExitStack()
        self._loaded: dict[str, Any] | None = None
        self._written = 0
        self._own: set[str] = set()  # files of a training that has not come to its end

    @property
    def modules(self) -> set[nn.Module]:
        """Those that have hooks; empty before training and after it."""
        return set() if self._part is None else set(self._part.layers.values())

    def open(self, model: nn.Module, step: int, vocabulary: Any = None) -> None:
        """Begin to track ``model`` after ``step`` steps; nothing counts before :meth:`begin`."""
        self.close()
        if step == 0:
            self._begin_anew()
        if _rank() == 0:
            _check_writable(self.folder)
        vocabulary = self.vocabulary if self.vocabulary is not None else vocabulary
        make = {"gradients": self._gradients, "vocabulary": vocabulary, **self._options}
        self._model = model
        self._part = track(model, self._layers, **make)
        self._whole = track(model, self._layers, **make)
        self._written = step
        if self._loaded is not None:
            self._restore(self._loaded, step)
        elif step:
            warnings.warn(
                f"training goes on after step {step}, and no sums were saved with it: tables in "
                f"{self.folder} begin here",
                TrackingWarning,
                stacklevel=3,
            )
        self._block.enter_context(self._part)
        self.pause()

    def _begin_anew(self) -> None:
        """Refuse tables of another training; remove our own, as of one that ran out of memory."""
        files = sorted([*self.folder.glob("step-*.parquet"), *self.folder.glob(FINAL)])
        if others := [path.name for path in files if path.name not in self._own]:
            raise InputError(
                f"{self.folder} has tables of another training, such as {others[0]}: give "
                "another folder, or remove them"
            )
        if files and _rank() == 0:
            warnings.warn(
                f"a training broke off: its tables in {self.folder} are made anew, "
                f"{files[0].name} to {files[-1].name}",
                TrackingWarning,
                stacklevel=2,
            )
            for path in files:
                path.unlink(missing_ok=True)
        self._own.clear()

    def begin(self, batch: Any, scale: float | Tensor = 1.0) -> None:
        """The next forward pass trains on ``batch``; gradients are multiplied by ``scale``.

        Of several processes each has the gradient of its own mean loss, while training takes the
        mean over processes.
        """
        assert self._part is not None and self._model is not None
        self._pause.close()
        words = words_of(batch, self._model, self._shift) if self._words is None else self._words
        self._part.words(
            **(words if isinstance(words, Mapping) else words(batch)),
            gradient_scale=scale / _processes(),
        )

    def pause(self) -> None:
        """What runs now does not train: an evaluation, a generation."""
        self._pause.close()
        if self._part is not None:
            self._pause.enter_context(self._part.paused())

    def end_step(self, step: int) -> None:
        """The optimiser has made its step number ``step`` (from 1)."""
        if self.every is not None and step % self.every == 0 and step > self._written:
            self._finish_part(f"step-{step:07d}.parquet", step)

    def end(self, step: int) -> None:
        """Training is over: write the table of all its steps, and remove the hooks."""
        if self._part is None or self._whole is None:
            return
        self._finish_part(None, step)
        if _rank() == 0 and self._whole.sums:
            self._write(self._whole, FINAL)
        self._own.clear()
        self._pause.close()
        self._block.close()
        self.close()

    def close(self) -> None:
        """Remove the hooks; if training broke off, without a word of what has not come."""
        self._pause.close()
        self._block.__exit__(InterruptedError, InterruptedError(), None)
        self._part = self._whole = None

    def state_dict(self) -> dict[str, Any]:
        """The sums so far of all processes, on the first one; others give none."""
        if self._part is None or self._whole is None:
            return {}
        _gather(self._part)
        sums = {"part": self._part.sums, "whole": self._whole.sums}
        saved = {
            name: [[list(key), value.cpu()] for key, value in of.items()]
            for name, of in sums.items()
        }
        return {"written": self._written, **saved}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Sums to go on from when training begins."""
        self._loaded = dict(state)

    def _restore(self, state: Mapping[str, Any], step: int) -> None:
        self._loaded, self._written = None, state.get("written", step)
        if _rank() == 0:
            for tracker, name in ((self._part, "part"), (self._whole, "whole")):
                assert tracker is not None
                sums = {(a, b, c): value for (a, b, c), value in state.get(name, [])}
                tracker.load_sums(sums)

    def _finish_part(self, name: str | None, step: int) -> None:
        """Move the sums since the last table to those of all steps, and write them as ``name``."""
        part, whole = self._part, self._whole
        assert part is not None and whole is not None
        _gather(part)
        before, self._written = self._written, step
        if name is not None:
            self._own.add(name)
        if _rank() != 0:
            return
        if part.sums:
            if name is not None:
                self._write(part, name)
            whole.merge(part)
            part.load_sums({})
        elif name is not None:
            warnings.warn(
                f"steps {before + 1} to {step} have no table: no layer ran in training",
                TrackingWarning,
                stacklevel=4,
            )

    def _write(self, tracker: Tracker, name: str) -> None:
        with atomic_path(self.folder / name) as path:
            tracker.table().to_parquet(path, index=False)


def _check_writable(folder: Path) -> None:
    """Make the folder of the tables, and a file in it that is gone at once.

    Raises:
        InputError: it is a file, or the system refuses.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file: give a folder for the tables")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise write_error(folder, error) from error


def words_of(batch: Any, model: nn.Module, shift_labels: bool | None = None) -> dict[str, Any]:
    """Ids of a batch as most data loaders give them.

    A mapping: ``input_ids``, ``attention_mask``, and as targets ``labels`` if they are shaped like
    the input; shifted, the target at a position is the label of the next. A pair of integer
    tensors of one shape: input and target.

    Raises:
        InputError: another kind of batch; labels where it is not clear whether they are shifted.
    """
    if isinstance(batch, tuple | list) and len(batch) == 2 and _ids_alike(*batch):
        return {"input_ids": batch[0], "target_ids": batch[1]}
    if not isinstance(batch, Mapping) or batch.get("input_ids") is None:
        keys = ", ".join(map(str, batch)) if isinstance(batch, Mapping) else type(batch).__name__
        raise InputError(
            f"the batch has no input_ids, but {keys}: give words=, a function of the batch that "
            "returns {'input_ids': …, 'target_ids': …}"
        )
    inputs, labels = batch["input_ids"], batch.get("labels")
    words = {"input_ids": inputs}
    mask = batch.get("attention_mask")
    if mask is not None and mask.shape == inputs.shape:
        words["attention_mask"] = mask
    if labels is not None and _ids_alike(inputs, labels):
        shifted = _shifts(model) if shift_labels is None else shift_labels
        words["target_ids"] = next_ids(labels) if shifted else labels
    return words


def next_ids(labels: Tensor) -> Tensor:
    """The label of the next position, -100 at the last one: (B, T) -> (B, T).

    >>> next_ids(torch.tensor([[1, 2, 3]]))
    tensor([[   2,    3, -100]])
    """
    return nn.functional.pad(to_ids("target", labels)[..., 1:], (0, 1), value=-100)


def _ids_alike(inputs: Any, labels: Any) -> bool:
    integers = all(
        isinstance(x, Tensor) and not (x.is_floating_point() or x.is_complex())
        for x in (inputs, labels)
    )
    return integers and inputs.ndim >= 1 and inputs.shape == labels.shape


def _shifts(model: nn.Module) -> bool:
    """Whether a model of transformers (or one inside, as of PEFT) shifts its labels."""
    told = {_shifts_of(module) for module in _pretrained(model)} - {None}
    if len(told) == 1:
        return told == {True}
    raise InputError(
        f"{type(model).__name__} does not say whether it predicts labels at their own position or "
        "at the one before: give shift_labels=True (causal models of transformers) or False"
    )


def _pretrained(module: nn.Module) -> Iterator[nn.Module]:
    """The models of transformers in ``module`` that are not parts of another one."""
    if "loss_type" in vars(module):
        yield module
        return
    for child in module.children():
        yield from _pretrained(child)


def _shifts_of(model: Any) -> bool | None:
    """What the name of its class says of the loss, and the loss that its code calls.

    A name such as GPT2LMHeadModel says nothing, and then ``loss_function`` is that of causal models
    whether the code calls it or not; encoder-decoders shift what the decoder reads instead.
    """
    kind = model.loss_type
    if kind == "ForCausalLM":
        return True
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return False
    code = getattr(inspect.unwrap(type(model).forward), "__code__", None)
    if "loss_function" in getattr(code, "co_names", ()):
        causal = getattr(model.loss_function, "__name__", None) == "ForCausalLMLoss"
        return True if causal else None if kind is None else False
    return None if kind in (None, "ForConditionalGeneration") else False


def _rank() -> int:
    return torch.distributed.get_rank() if _distributed() else 0


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _processes() -> int:
    return torch.distributed.get_world_size() if _distributed() else 1


def _gather(tracker: Tracker) -> None:
    """Move the sums of all processes to the first; they are integers, so no order matters."""
    if (size := _processes()) == 1:
        return
    own = {key: value.cpu() for key, value in tracker.sums.items()}
    every: list[Any] | None = [None] * size if _rank() == 0 else None
    torch.distributed.gather_object(own, every)
    tracker.load_sums({})
    for sums in every or ():
        tracker.load_sums(sums, add=True)
