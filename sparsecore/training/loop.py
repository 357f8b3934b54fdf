"""The training loop that all experiments share.

It owns epochs and steps, the progress bar, checkpoints, signals, the check for divergence, the
tables of epochs and of times, and the sharing of a batch between processes. An experiment is a
:class:`Task`: a class with three attributes and five methods, and no base class.

    config             its configuration: ``seed``, ``device``, ``learning_rate``, and where there
                       are such, ``clip`` and ``precision``
    epochs             the numbers of the epochs, such as ``range(1, config.epochs + 1)``
    model              the model in training
    build(device)      make model, optimiser and all else; give back what a checkpoint must hold
    batches(epoch)     the batches of an epoch, in order; None where training ends before its time
    step(batch)        one update; the sums that it adds to those of the epoch
    end_epoch(sums)    validate; the row of ``epochs.parquet``, which gets ``epoch`` in front
    results()          the tables and weights that the finished run leaves

A whole task, a linear model of 4 inputs::

    class Task:
        def __init__(self, config, inputs, folder):
            self.config, self.inputs = config, inputs
            self.epochs = range(1, config.epochs + 1)

        def build(self, device):
            self.model = nn.Linear(4, 1).to(device)
            self.optimizer = torch.optim.Adam(self.model.parameters(), self.config.learning_rate)
            self.x, self.y = self.inputs.x.to(device), self.inputs.y.to(device)
            return {"model": self.model, "optimizer": self.optimizer}

        def batches(self, epoch):
            order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.x))
            return order.reshape(-1, self.config.batch_size)

        def step(self, rows):
            loss = F.mse_loss(self.model(self.x[rows]), self.y[rows])
            (loss,) = update(self.model, self.optimizer, loss)
            return {"loss": loss * len(rows), "count": len(rows)}

        def end_epoch(self, sums):
            return {"train_loss": sums["loss"] / sums["count"]}

        def results(self):
            weights = self.model.state_dict()
            return {"weights": weights, "results": pd.DataFrame([{"norm": …}])}

**Randomness.** The loop seeds PyTorch with ``config.seed`` before ``build``, and a checkpoint holds
the generator's state. The batches of an epoch follow from seed and epoch alone: a run that goes on
within an epoch asks for them again and skips those that were done.

**What a checkpoint holds**: every part that ``build`` gave back, by name. A part has ``state_dict``
and ``load_state_dict`` (models, optimisers, your own), or is an object whose attributes are tensors
and plain values, such as a dataclass of what the task remembers from epoch to epoch. Checkpoints
are written every two minutes (``SPARSECORE_CHECKPOINT_SECONDS``) and at the end of epochs, where
these are short every ten seconds.
Parts are brought back in the order in which ``build`` named them. ``batches`` is called at the
begin of every epoch *and* when a run goes on within one: it is the place to set what an epoch has
of its own, such as a learning rate; what carries over belongs into a part.

**Sums.** ``loss`` (in all, not in the mean) and ``count`` (what it is summed over: words,
documents) are for the loop as well: the bar shows their quotient, and a loss that is not finite
ends the run. ``tokens``, if there is such a sum, stands for ``count`` in ``timing.parquet``. Give
tensors, not ``.item()``: the loop adds them in float64 on the device, and waits for a GPU only
every 50 steps. A task that makes several steps in one turn gives a list, one entry a step.

**Several processes** (torchrun). A task that does nothing for it is computed whole by each of them.
To share the work, compute a part of each batch (:func:`~sparsecore.training.sharding.shard`), whose
share of the mean loss :func:`update` adds up with ``sharded=True``, and sum what is counted in
passes without updates (:func:`~sparsecore.training.distributed.all_reduce`). With one process the
part is the whole, and nothing is sent.

**Phases** are epochs: ``end_epoch`` changes what the next ones train (see
:mod:`sparsecore.experiments.sentiment.task`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from sparsecore.errors import TrainingError
from sparsecore.training.checkpoint import CheckpointManager, save_tensors
from sparsecore.training.device import precision_of, resolve_device
from sparsecore.training.distributed import check_in_sync
from sparsecore.training.memory import models_must_fit
from sparsecore.training.sharding import all_reduce_gradients
from sparsecore.training.stopping import defer_signals
from sparsecore.training.tables import write_table

PAUSE = 10.0  # seconds from a checkpoint to one at the end of an epoch: short epochs share one
LOOK = 50  # steps between two looks at the loss, which on a GPU wait for it

Row = dict[str, Any]
Sums = Mapping[str, "Tensor | float"]
Outputs = Mapping[str, "pd.DataFrame | Mapping[str, Tensor]"]


class Task(Protocol):
    """What an experiment supplies; see the module's text."""

    config: Any
    epochs: range

    @property
    def model(self) -> nn.Module:
        """The model in training; its mode is ``train`` when an epoch begins."""
        ...

    def build(self, device: torch.device) -> dict[str, Any]:
        """Make model, optimiser and all else on ``device``; the parts of a checkpoint, by name."""
        ...

    def batches(self, epoch: int) -> Sequence[Any] | None:
        """The batches of an epoch, from ``config.seed`` and ``epoch`` alone; None ends training.

        Raises:
            TrainingError: the run cannot go on, such as a search that found nothing.
        """
        ...

    def step(self, batch: Any) -> Sums | list[Sums]:
        """One update; the sums it adds to the epoch's (``loss``, ``count``, …), or one a step."""
        ...

    def end_epoch(self, sums: dict[str, float]) -> Row:
        """Validate, and decide what comes next; the row of ``epochs.parquet``."""
        ...

    def results(self) -> Outputs:
        """What the finished run leaves, ``weights`` among it; see :func:`write_outputs`."""
        ...


@dataclass
class TrainState:
    """Where training stands, beside the task's own parts."""

    epoch: int
    step: int = 0  # of the epoch: batches that are done
    seconds: float = 0.0  # of the epoch
    sums: dict[str, Any] = field(default_factory=dict)  # of the epoch
    epochs: list[Row] = field(default_factory=list)
    timing: list[Row] = field(default_factory=list)


def train(task: Task, folder: Path, progress: bool = True) -> None:
    """Train a task into ``folder``, from its last checkpoint if there is one.

    The folder gets ``epochs.parquet`` and ``timing.parquet`` with every checkpoint at the end of an
    epoch, and in the end what ``task.results()`` gives.

    Raises:
        InputError: the input does not fit the configuration, or the model does not fit into the
            memory, or the disk is full.
        TrainingError: the loss stopped being a number.
        Stopped: a signal asked the run to stop; a checkpoint is written.
    """
    config = task.config
    device = resolve_device(config.device)
    torch.manual_seed(config.seed)
    state = TrainState(task.epochs.start)
    with models_must_fit(device):
        parts = {**task.build(device), "loop": state}
    checkpoints = CheckpointManager(folder)
    checkpoints.load(parts, device)
    kept = True  # every epoch that has ended
    with precision_of(getattr(config, "precision", "float32"), device):
        while state.epoch < task.epochs.stop:
            try:
                batches = task.batches(state.epoch)
            except TrainingError:
                if not kept:
                    _keep(state, parts, checkpoints)
                raise
            if batches is None:
                break
            with defer_signals():
                _run_epoch(task, batches, state, parts, checkpoints, device, progress)
                kept = checkpoints.due(PAUSE)
                if kept:
                    _keep(state, parts, checkpoints)
        if not kept:
            with defer_signals():
                _keep(state, parts, checkpoints)
        write_outputs(folder, task.results())


def gradients(
    model: nn.Module,
    loss: Tensor,
    *counts: Tensor,
    clip: float | None = None,
    sharded: bool = False,
) -> list[Tensor]:
    """Backward, and clip the whole gradient to an ℓ2 norm of ``clip``.

    Args:
        model: whose parameters are trained.
        loss: the mean over the batch.
        counts: scalars beside it, such as hits.
        clip: None for no clipping.
        sharded: this process computed its part of the batch, and loss and counts are sums over the
            parts: so are the gradients to be.

    Returns:
        ``loss`` and ``counts`` of the whole batch, detached.
    """
    model.zero_grad(set_to_none=True)
    loss.backward()
    sums = [loss.detach(), *counts]
    if sharded:
        sums = all_reduce_gradients(model.parameters(), *sums)
    if clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    return sums


def update(
    model: nn.Module, optimizer: Any, loss: Tensor, *counts: Tensor, **options: Any
) -> list[Tensor]:
    """:func:`gradients`, with its options, and a step of ``optimizer``."""
    sums = gradients(model, loss, *counts, **options)
    optimizer.step()
    return sums


def write_outputs(folder: Path, outputs: Outputs) -> None:
    """Write each table as ``NAME.parquet`` and each dict of tensors as ``NAME.safetensors``."""
    for name, output in outputs.items():
        if isinstance(output, pd.DataFrame):
            write_table(folder / f"{name}.parquet", output)
        else:
            save_tensors(folder / f"{name}.safetensors", output)


def _run_epoch(
    task: Task,
    batches: Sequence[Any],
    state: TrainState,
    parts: dict[str, Any],
    checkpoints: CheckpointManager,
    device: torch.device,
    progress: bool,
) -> None:
    """The rest of an epoch, and its row."""
    task.model.train()
    started = time.monotonic() - state.seconds
    title = f"epoch {state.epoch}/{task.epochs[-1]}"
    bar = tqdm(total=len(batches), initial=state.step, desc=title, unit="step", leave=False,
               disable=not progress)  # fmt: skip
    with bar:
        while state.step < len(batches):
            made = task.step(batches[state.step])
            steps = made if isinstance(made, list) else [made]
            due = checkpoints.due()
            for sums in steps:
                _add(state.sums, sums)
                state.step += 1
                known = device.type == "cpu" or not isinstance(sums["loss"], Tensor)
                if known or due or state.step % LOOK == 0 or state.step == len(batches):
                    loss = _check_loss(state, task.config)
                    bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(len(steps))
            if due:
                state.seconds = time.monotonic() - started
                checkpoints.save(parts)
    check_in_sync(task.model.parameters(), device)
    sums = {name: float(value) for name, value in state.sums.items()}
    state.epochs.append({"epoch": state.epoch, **task.end_epoch(sums)})
    seconds = time.monotonic() - started
    tokens = int(sums.get("tokens", sums["count"]))
    state.timing.append({"epoch": state.epoch, "seconds": seconds, "tokens": tokens})
    if progress:
        tqdm.write(_line(state.epochs[-1], seconds))
    state.epoch, state.step, state.seconds, state.sums = state.epoch + 1, 0, 0.0, {}


def _keep(state: TrainState, parts: dict[str, Any], checkpoints: CheckpointManager) -> None:
    """The rows of the epochs so far, and a checkpoint."""
    tables = {"epochs": state.epochs, "timing": state.timing}
    write_outputs(checkpoints.folder, {k: pd.DataFrame(rows) for k, rows in tables.items()})
    checkpoints.save(parts)


def _add(sums: dict[str, Any], made: Sums) -> None:
    for name, value in made.items():
        exact = value.detach().double() if isinstance(value, Tensor) else value
        sums[name] = sums.get(name, 0.0) + exact


def _check_loss(state: TrainState, config: Any) -> float:
    """The mean loss of the epoch so far.

    Raises:
        TrainingError: it is not a number.
    """
    loss = float(state.sums["loss"])
    if not math.isfinite(loss):
        clip = f" or clip (now {config.clip})" if hasattr(config, "clip") else ""
        raise TrainingError(
            f"training diverged in epoch {state.epoch} by step {state.step}: the loss is {loss}; "
            f"try a smaller learning_rate (now {config.learning_rate}){clip}"
        )
    return loss / float(state.sums["count"])


def _line(row: Row, seconds: float) -> str:
    """An epoch as the terminal shows it."""
    shown = [
        f"{name.replace('_', ' ')} {f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in row.items()
    ]
    return "  ".join([*shown, f"{seconds:.0f} s"])
