"""The tracker as a callback of Lightning, by either of its names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from sparsecore.errors import InputError, check_installed
from sparsecore.measure.callbacks.training_tables import TrainingTables

if TYPE_CHECKING:
    from pytorch_lightning import Callback
else:
    # one library under two names, with classes of its own in each
    if not {"lightning", "pytorch_lightning"} & sys.modules.keys():
        check_installed("lightning", "pytorch_lightning")
    _name = "lightning.pytorch" if "lightning" in sys.modules else "pytorch_lightning"
    Callback = importlib.import_module(_name).Callback


class LightningTracker(Callback):
    """Tables of :func:`sparsecore.track` from a training by Lightning's ``Trainer``::

        tracker = sc.LightningTracker("tables", layers=["model.lstm"], every=500)
        Trainer(callbacks=[tracker]).fit(module, loader)

    Words are those of the batch that ``training_step`` gets: ``input_ids``, ``labels`` and
    ``attention_mask`` of a mapping, or a pair of input and target; ``words=`` reads others. Batches
    that are accumulated to one step count each; validation, its sanity check and what gradient
    checkpointing computes again do not count. ℓ1 is of the gradients that training has, of its
    mean loss, without the scale of mixed precision. Sums are part of Lightning's checkpoints.

    Args:
        folder, layers, every, …: as for
            :class:`~sparsecore.measure.callbacks.training_tables.TrainingTables`.
        model: the attribute of the LightningModule that holds the tracked model, ``"model"`` say;
            layers are then named from there on, and one that runs several times in a pass is
            counted each time. Default: the LightningModule, whose layers run once in a
            training step.

    Raises:
        InputError: Lightning is missing; bad options; when training begins, unknown layers or a
            folder that has tables.
    """

    def __init__(
        self,
        folder: str | Path,
        layers: Any,
        every: int | None = None,
        model: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.tables = TrainingTables(folder, layers, every, **options)
        self._attribute = model
        self._step = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to track."""
        self._step = trainer.global_step
        self.tables.open(_tracked(pl_module, self._attribute), self._step)

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """What comes now counts for the words of ``batch``."""
        scaler = getattr(trainer.precision_plugin, "scaler", None)  # for float16
        self.tables.begin(batch, 1.0 if scaler is None else 1.0 / scaler.get_scale())

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the table that is due; until the next batch nothing counts."""
        self.tables.pause()
        if trainer.global_step != self._step:
            self._step = trainer.global_step
            self.tables.end_step(self._step)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the table of all steps."""
        self.tables.end(trainer.global_step)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Training broke off: remove the hooks."""
        self.tables.close()

    def state_dict(self) -> dict[str, Any]:
        """The sums, for Lightning's checkpoint."""
        return self.tables.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Sums of a checkpoint."""
        if state_dict:
            self.tables.load_state_dict(state_dict)


def _tracked(module: nn.Module, attribute: str | None) -> nn.Module:
    """What to hook; of the LightningModule its parts, as strategies may call it around itself."""
    if attribute is None:
        root = nn.Module()
        root._modules = module._modules
        return root
    model = getattr(module, attribute, None)
    if not isinstance(model, nn.Module):
        raise InputError(
            f"model={attribute!r} is not a module of {type(module).__name__}, which has "
            f"{', '.join(name for name, _ in module.named_children())}"
        )
    return model
