"""chi, ℓ1 and other measures of any module's values and gradients, word by word while it trains.

    with sc.track(model, ["lstm1", "lstm2"]) as tracker:
        for input_ids, target_ids in batches:
            tracker.words(input_ids=input_ids, target_ids=target_ids)
            loss = criterion(model(input_ids), target_ids)
            loss.backward()
    tracker.table()

A forward hook sees each layer's output (..., D), a tensor hook its gradient; each position's value
goes to the sums of its input word and of its target word. No tensor of the model is kept. Sums are
integers (:mod:`sparsecore.ops.word_sums`): they do not depend on order, so trackers of several
processes merge to the same table.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.layers.sparse_rnn import SparseGRU, SparseLSTM, SparseRNN
from sparsecore.measure import eager
from sparsecore.measure.columns import Columns
from sparsecore.measure.hooks import Hooks
from sparsecore.measure.ids import check_known, counts_by_id, pass_ids, words_by_id
from sparsecore.measure.measures import Measure, find_measures
from sparsecore.measure.select import Layers, Signal, Transform, find_signals
from sparsecore.measure.unseen import TrackingWarning, unseen
from sparsecore.measure.word_table import Key, WordTable
from sparsecore.ops.unrolled import check_unrollable

if TYPE_CHECKING:
    import pandas as pd


def track(
    model: nn.Module,
    layers: Layers,
    gradients: bool = True,
    gradient: Literal["upward", "total"] = "upward",
    vocabulary: Any = None,
    counts: Any = None,
    *,
    measures: Iterable[str] | Mapping[str, str | Measure] = (),
    transform: Transform | Mapping[str, Transform] | None = None,
    rows: str | Path | None = None,
    dense: bool = False,
    flat: bool = False,
) -> Tracker:
    """Track chi = ||v||2/||v||1 and ||v||1 of the outputs or inputs of ``layers``, per word.

    Args:
        model: any ``nn.Module``; it is not changed, and hooks are gone after the ``with`` block.
            Code compiled by ``torch.compile`` runs eagerly inside the block.
        layers: names from ``model.named_modules()``, patterns (``"*.mlp.act_fn"``: ``*`` stands for
            any characters, dots too), or the modules themselves; a mapping gives them names of your
            own. ``"*.mlp.down_proj:input"`` is what a layer reads instead of what it returns. The
            value is a tensor (..., D), or stands in a tuple, list, mapping or dataclass; vectors
            lie along the last axis, and axes between the ids' and the last (heads) are averaged.
        gradients: also track dL/d(output); for an input, what the layer passes down to it.
        gradient: ``"upward"`` is what the layers above pass down to the output (the paper's);
            ``"total"`` adds, for one-layer ``nn.LSTM`` and ``nn.GRU`` modules, what comes back
            through the recurrence from later steps (these layers are then run step by step).
        vocabulary: the words for :meth:`Tracker.table`: by id (list, array, Index), a mapping
            word -> id, or a tokenizer; without it words are their ids.
        counts: corpus frequency of each word, by id, or a mapping or Series by word; without it the
            positions seen in that role.
        measures: more columns of the table: names from
            :data:`~sparsecore.measure.measures.MEASURES`, or a mapping from columns to names or
            functions (..., D) -> (...).
        transform: applied to values and gradients before they are measured, to rearrange or select
            entries: ``lambda h: h.unflatten(-1, (12, 64))`` for heads, ``lambda h:
            h.movedim(1, -1)`` for vectors along axis 1. A mapping gives layers (names or patterns)
            functions of their own.
        rows: a Parquet file to which the values of every position are written as well.
        dense: keep sums of the whole vocabulary and add to them in place at once, which a step
            recorded as a CUDA graph needs; otherwise only words that occur take memory.
        flat: layers may return their positions in one axis, (B·T, D), in the order of
            ``ids.flatten()``: the MLP of OPT, the block of a mixture's experts as a whole (one
            expert alone has its positions in an order of its own, and is refused).

    Returns:
        A :class:`Tracker`, to be used as a context manager.

    Raises:
        InputError: unknown layer, measure or option, no layer, or a layer whose total gradient is
            out of reach.

    Source: Saphra & Lopez 2019, §2-3.
    """
    if gradient not in ("upward", "total"):
        raise InputError(f"gradient must be 'upward' or 'total', got {gradient!r}")
    signals, second_names = find_signals(model, layers, transform)
    if gradient == "total":
        _check_total(signals)
    words, found = words_by_id(vocabulary), find_measures(measures)
    table = WordTable(None if words is None else len(words), found, dense, rows)
    hooks = Hooks(signals, found, table, gradients, gradient == "total", flat)
    return Tracker(model, hooks, second_names, words, counts_by_id(counts, words))


class Tracker:
    """Per-word sums of chi, ℓ1 and further measures; made by :func:`track`.

    Words belong to one forward pass: :meth:`words` comes before it, and a layer that runs in
    another call of the model is an error, unless the tracker is paused. Within one call a layer may
    run several times (shared layers); its later runs are ``"layer#2"``, ``"layer#3"``, …. What
    gradient checkpointing computes again is not counted again. A forward pass has one backward
    pass; a second one through the same graph is an error. What comes after the block is not
    counted, and copies of the model made inside it are not tracked.

    At the end of the block one :class:`~sparsecore.measure.unseen.TrackingWarning` names layers
    that never ran, gradients that never came, and values that were not finite (of dense sums when
    :meth:`table` is called, as the host would wait for the device).
    """

    def __init__(
        self,
        model: nn.Module,
        hooks: Hooks,
        second_names: Mapping[str, str],
        vocabulary: np.ndarray | None,
        counts: np.ndarray | None,
    ) -> None:
        self.model, self.second_names = model, second_names
        self.vocabulary, self.counts = vocabulary, counts
        self._hooks, self._table, self._passes = hooks, hooks.table, hooks.passes
        self._largest: dict[str, Tensor] = {}

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The tracked modules by name."""
        return {name: signal.module for name, signal in self._hooks.signals.items()}

    @property
    def sums(self) -> dict[Key, Tensor]:
        """Sums per (layer, signal, role), as :mod:`sparsecore.ops.word_sums` describes them.

        (V, 14) in a dense tracker, else packed ones of the words that occurred, about 28 bytes
        each. Equal data gives equal sums in whatever order it comes.
        """
        self._table.flush()
        return self._table.sums

    def __enter__(self) -> Tracker:
        if self._hooks.is_open:
            raise InputError("this tracker is tracking already; leave its block before the next")
        if self._table.rows is not None and self._table.rows.finished:
            raise InputError(
                f"{self._table.rows.path} is finished: make a tracker with other rows="
            )
        self._hooks.open(self.model)
        eager.hold()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._hooks.is_open:
            eager.release()
        self._hooks.close()
        self._table.close()
        if kind is None and self._passes.number:
            self._warn(not_finite=not self._table.dense)

    def _warn(self, not_finite: bool) -> None:
        """Say what has not come; numbers in dense sums only at the end, where one may wait."""
        numbers = self._table.not_finite() if not_finite else {}
        hooks = self._hooks
        text = unseen(
            hooks.seen, hooks.signals, self.second_names, self.model, hooks.gradients, numbers
        )
        if text:
            warnings.warn(f"tracker: {text}", TrackingWarning, stacklevel=3)

    def words(
        self,
        input_ids: Any = None,
        target_ids: Any = None,
        gradient_scale: float | Tensor = 1.0,
        *,
        attention_mask: Any = None,
        ignore_index: int | None = None,
    ) -> None:
        """Say which word each position of the next forward pass counts for.

        Args:
            input_ids: integer ids shaped as the layers' outputs without their last axis, (T, B) or
                (B, T): a tensor, array or list. Negative ids (padding, ``-100``) count for no word.
                They are copied, so that the buffer may be used again. Beside a layer that returns a
                packed sequence they are packed, or padded either way: a batch of as many texts as
                tokens is then told by its padding, or by the batches before.
            target_ids: likewise, the word to be predicted at each position.
            gradient_scale: gradients are multiplied by this before their ℓ1 norm (a mean over n
                positions makes the gradient of the summed loss with n; a loss scaled by
                ``GradScaler`` its own with ``1 / scaler.get_scale()``).
            attention_mask: shaped as the ids; positions where it is 0 count for no word.
            ignore_index: an id that counts for no word, where it is not negative.

        Raises:
            InputError: neither is given, not integers, shapes that differ, or (on the CPU at once,
                otherwise when sums are read) an id that the vocabulary does not have.
        """
        ids = pass_ids(input_ids, target_ids, attention_mask, ignore_index)
        if self.vocabulary is not None:
            on_cpu = {role: x for role, x in ids.items() if x.device.type == "cpu"}
            check_known(on_cpu, len(self.vocabulary))
            if self._table.dense:
                self._note_largest({role: x for role, x in ids.items() if role not in on_cpu})
        if not isinstance(gradient_scale, Tensor):
            if not isinstance(gradient_scale, int | float | np.number):
                raise InputError(f"gradient_scale must be a number, got {gradient_scale!r:.60}")
            gradient_scale = float(gradient_scale)
        if (broken := self._passes.begin(ids, gradient_scale)) is not None:
            self._table.discard(broken.number)
            self._hooks.seen.unfinished += 1
        if self._table.is_full():
            self._table.flush()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing inside this block (an evaluation, ``generate()``, a second backward)."""
        before, self._passes.paused = self._passes.paused, True
        try:
            yield
        finally:
            self._passes.paused = before

    def add(self, layer: str, signal: str, chi: Tensor, l1: Tensor) -> None:
        """Count values computed elsewhere, shaped as the ids given to :meth:`words`.

        Raises:
            InputError: no words, values of another shape, values added before in this pass, or a
                tracker of further measures.
        """
        if self._passes.paused:
            return
        if self._hooks.measures:
            raise InputError("add() takes chi and l1 only; this tracker has further measures")
        at = self._passes.get(layer)
        at.runs[f"{layer} {signal}"] += 1
        if at.runs[f"{layer} {signal}"] > 1:
            raise InputError(f"{signal} of {layer!r} was added before in this pass: call words()")
        values = torch.stack([chi.detach(), l1.detach()], -1)
        self._hooks.count(at, at.ids, layer, signal, values)

    def merge(self, other: Tracker) -> None:
        """Add another tracker's sums (of another process or another part of the data)."""
        self.load_sums(other.sums, add=True)

    def load_sums(self, sums: Mapping[Key, Tensor], add: bool = False) -> None:
        """Take over (or add) sums saved from :attr:`sums`."""
        sums = dict(sums)
        if not add:
            self.sums.clear()
        self._table.load(sums)

    def table(self, compact: bool = False) -> pd.DataFrame:
        """One row per word, layer, signal and role that was seen.

        Columns: word, frequency (``counts``, else the positions seen in this role), layer, signal
        (``activation`` | ``gradient``), role (``input`` | ``target``), chi (mean over positions),
        l1 (mean), count (positions that the means are over: those with a finite vector that is not
        zero), word_id, and a column for each further measure (mean over positions where it is
        finite).

        Args:
            compact: names are categories, numbers have 32 bits: about a quarter of the memory.

        Raises:
            InputError: nothing was tracked, or an id that has no word or count.
        """
        self._table.flush()
        if self._table.dense:
            self._check_largest()
            self._warn(not_finite=True)
        keys = [key for key in self._table.sums if ":" not in key[1]]
        if not keys:
            why = "; ".join(f"{name}: {text}" for name, text in self._hooks.seen.left_out.items())
            raise InputError(
                "nothing was tracked: " + (why or "call words() and run the model inside the block")
            )
        columns = Columns(self.vocabulary, self.counts, tuple(self._hooks.measures), compact)
        return columns.frame(self._table, sorted(keys, key=self._order))

    def _order(self, key: Key) -> tuple[int, int, Key]:
        """Layers as they were given, each with its later runs, then what was added by name."""
        names = list(self._hooks.signals)
        name, _, run = key[0].rpartition("#")
        name, run = (name, int(run)) if name in names and run.isdigit() else (key[0], 1)
        return names.index(name) if name in names else len(names), run, key

    def _note_largest(self, ids: Mapping[str, Tensor]) -> None:
        """Keep the largest id, on its device: sums are in place there, and nobody waits."""
        for role, value in ids.items():
            if value.numel():
                largest, before = value.max(), self._largest.get(role)
                self._largest[role] = largest if before is None else largest.maximum(before)

    def _check_largest(self) -> None:
        """Dense sums leave out ids that the vocabulary does not have: here they are an error."""
        largest, self._largest = self._largest, {}
        if largest and self.vocabulary is not None:
            check_known(largest, len(self.vocabulary))


def _check_total(signals: Mapping[str, Signal]) -> None:
    recurrent = nn.RNNBase | SparseLSTM | SparseGRU | SparseRNN
    for name, signal in signals.items():
        if isinstance(signal.module, recurrent) and not signal.of_input:
            check_unrollable(signal.module, name)
