"""chi and ℓ1 of any module's outputs and gradients, summed word by word while it trains.

    with sc.track(model, ["lstm1", "lstm2"]) as tracker:
        for input_ids, target_ids in batches:
            tracker.words(input_ids=input_ids, target_ids=target_ids)
            loss = criterion(model(input_ids), target_ids)
            loss.backward()
    tracker.table()

A forward hook sees each layer's output (..., D), a tensor hook its gradient; each position's value
goes to the sums of its input word and of its target word. Sums are integers (``ops.word_sums``):
they do not depend on order, so trackers of several processes merge to the same table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sparsecore.errors import InputError, near_match
from sparsecore.layers.sparse_rnn import SparseGRU, SparseLSTM, SparseRNN
from sparsecore.measure.chi import concentration
from sparsecore.ops.unrolled import check_unrollable, unroll
from sparsecore.ops.word_sums import add_words, empty_sums, means, quantise

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, str, str]  # layer, signal, role


def track(
    model: nn.Module,
    layers: Iterable[str | nn.Module] | Mapping[str, str | nn.Module],
    gradients: bool = True,
    gradient: Literal["upward", "total"] = "upward",
    vocabulary: Sequence[str] | None = None,
    counts: Sequence[int] | None = None,
) -> Tracker:
    """Track chi = ||v||2/||v||1 and ||v||1 of the outputs of ``layers``, per word.

    Args:
        model: any ``nn.Module``; it is not changed, and hooks are gone after the ``with`` block.
        layers: names from ``model.named_modules()`` or the modules themselves; a mapping gives
            them names of your own. A layer's output must be a tensor (..., D), or a tuple, list or
            mapping that begins with one (as ``nn.LSTM`` returns); vectors lie along the last axis.
        gradients: also track dL/d(output).
        gradient: ``"upward"`` is what the layers above pass down to the output (the paper's);
            ``"total"`` adds, for one-layer ``nn.LSTM`` and ``nn.GRU`` modules, what comes back
            through the recurrence from later steps (these layers are then run step by step).
        vocabulary: the words, by id, for :meth:`Tracker.table`; without it words are their ids.
        counts: corpus frequency of each word, by id; without it the positions seen in that role.

    Returns:
        A :class:`Tracker`, to be used as a context manager.

    Raises:
        InputError: unknown layer or option, no layer, or a layer whose total gradient is out of
            reach.

    Source: Saphra & Lopez 2019, §2-3.
    """
    return Tracker(model, layers, gradients, gradient, vocabulary, counts)


class Tracker:
    """Per-word sums of chi and ℓ1; made by :func:`track`."""

    def __init__(
        self,
        model: nn.Module,
        layers: Iterable[str | nn.Module] | Mapping[str, str | nn.Module],
        gradients: bool,
        gradient: str,
        vocabulary: Sequence[str] | None,
        counts: Sequence[int] | None,
    ) -> None:
        if gradient not in ("upward", "total"):
            raise InputError(f"gradient must be 'upward' or 'total', got {gradient!r}")
        if vocabulary is not None and counts is not None and len(vocabulary) != len(counts):
            raise InputError(f"{len(counts)} counts do not fit {len(vocabulary)} words")
        self.layers = _find_layers(model, layers)
        if gradient == "total":
            for name, module in self.layers.items():
                if isinstance(module, nn.RNNBase | SparseLSTM | SparseGRU | SparseRNN):
                    check_unrollable(module, name)
        self.gradients = gradients
        self.total = gradient == "total"
        self.vocabulary = vocabulary
        self.counts = counts
        self.sums: dict[Key, Tensor] = {}
        self._words: dict[str, Tensor] | None = None
        self._scale = 1.0
        self._paused = False
        self._handles: list[Any] = []

    def __enter__(self) -> Tracker:
        for name, module in self.layers.items():
            self._handles.append(module.register_forward_hook(self._hook(name), with_kwargs=True))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def words(
        self,
        input_ids: Tensor | None = None,
        target_ids: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> None:
        """Say which word each position of the next forward pass counts for.

        Args:
            input_ids: integer ids shaped as the layers' outputs without their last axis, (T, B) or
                (B, T); negative ids (padding, ``ignore_index``) count for no word.
            target_ids: likewise, the word to be predicted at each position.
            gradient_scale: gradients are multiplied by this before their ℓ1 norm (a mean over n
                positions makes the gradient of the summed loss with n).

        Raises:
            InputError: neither is given, not integers, or their shapes differ.
        """
        given = {"input": input_ids, "target": target_ids}
        ids = {role: value for role, value in given.items() if value is not None}
        if not ids:
            raise InputError("words() needs input_ids, target_ids or both, got neither")
        shapes = {role: tuple(value.shape) for role, value in ids.items()}
        if len(set(shapes.values())) > 1:
            raise InputError(
                f"input_ids and target_ids must have one shape, got {shapes['input']} "
                f"and {shapes['target']}"
            )
        for role, value in ids.items():
            if value.dtype.is_floating_point or value.dtype is torch.bool:
                raise InputError(f"{role}_ids must be integers, got {value.dtype}")
            if self.vocabulary is not None and value.device.type == "cpu" and value.numel():
                if (largest := int(value.max())) >= len(self.vocabulary):
                    raise InputError(
                        f"{role}_ids hold {largest}, but the vocabulary has "
                        f"{len(self.vocabulary)} words"
                    )
        self._words = ids
        self._scale = float(gradient_scale)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing inside this block (an evaluation pass, say)."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def add(self, layer: str, signal: str, chi: Tensor, l1: Tensor) -> None:
        """Count values computed elsewhere, shaped as the ids given to :meth:`words`."""
        self._count(self._current(layer), layer, signal, chi, l1)

    def merge(self, other: Tracker) -> None:
        """Add another tracker's sums (of another process or another part of the data)."""
        self.load_sums(other.sums, add=True)

    def load_sums(self, sums: Mapping[Key, Tensor], add: bool = False) -> None:
        """Take over (or add) sums saved from :attr:`sums`."""
        if not add:
            self.sums.clear()
        for key, value in sums.items():
            mine = self._room(key, len(value), value.device)
            mine[: len(value)] += value

    def table(self) -> pd.DataFrame:
        """One row per word, layer, signal and role that was seen.

        Columns: word, frequency (``counts``, else the positions seen in this role), layer, signal
        (``activation`` | ``gradient``), role (``input`` | ``target``), chi (mean over positions),
        l1 (mean), count (positions with a non-zero, finite vector), word_id.
        """
        import pandas as pd

        words = None if self.vocabulary is None else np.array(self.vocabulary, dtype=object)
        counts = None if self.counts is None else np.asarray(self.counts)
        parts = []
        for layer, signal, role in sorted(self.sums, key=self._order):
            sums = self.sums[layer, signal, role]
            chi, l1, count = (column.numpy() for column in means(sums.cpu()))
            seen = count.nonzero()[0]
            parts.append(
                pd.DataFrame(
                    {
                        "word": seen if words is None else words[seen],
                        "frequency": count[seen] if counts is None else counts[seen],
                        "layer": layer,
                        "signal": signal,
                        "role": role,
                        "chi": chi[seen],
                        "l1": l1[seen],
                        "count": count[seen],
                        "word_id": seen,
                    }
                )
            )
        if not parts:
            raise InputError("nothing was tracked: call words() and run the model inside the block")
        return pd.concat(parts, ignore_index=True)

    def _hook(self, name: str) -> Any:
        def after_forward(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            if self._paused:
                return None
            words = self._current(name)
            tensor = _first_tensor(output, name)
            self._count(words, name, "activation", *concentration(tensor.detach()))
            if not self.gradients or not tensor.requires_grad:
                return None
            scale = self._scale
            if self.total and isinstance(module, nn.RNNBase):
                return self._hook_steps(module, args, kwargs, words, name, scale)
            tensor.register_hook(lambda g: self._count_gradient(words, name, g, scale))
            return None

        return after_forward

    def _hook_steps(
        self, module: nn.RNNBase, args: Any, kwargs: Any, words: Any, name: str, scale: float
    ) -> Any:
        """Replace a fused layer's output by its steps, and count the gradient of each."""
        x = args[0] if args else kwargs["input"]
        state = args[1] if len(args) > 1 else kwargs.get("hx")
        steps, final = unroll(module, x, state)
        time = 1 if module.batch_first else 0
        for t, h in enumerate(steps):
            at_t = {role: ids.select(time, t) for role, ids in words.items()}
            h.register_hook(lambda g, at_t=at_t: self._count_gradient(at_t, name, g, scale))
        return torch.stack(steps, time), final

    def _count_gradient(
        self, words: dict[str, Tensor], layer: str, gradient: Tensor, scale: float
    ) -> None:
        chi, l1 = concentration(gradient)
        self._count(words, layer, "gradient", chi, l1 * scale)

    def _count(
        self, words: dict[str, Tensor], layer: str, signal: str, chi: Tensor, l1: Tensor
    ) -> None:
        rows = None
        for role, ids in words.items():
            if ids.shape != chi.shape:
                raise InputError(
                    f"layer {layer!r} has positions {tuple(chi.shape)}, but {role}_ids "
                    f"{tuple(ids.shape)}: give ids in the same layout (T, B) or (B, T)"
                )
            if rows is None:
                rows = quantise(chi.detach().flatten(), l1.detach().flatten())
            ids = ids.to(rows.device).flatten()
            needed = len(self.vocabulary) if self.vocabulary else int(ids.max()) + 1
            add_words(self._room((layer, signal, role), needed, rows.device), ids, rows)

    def _room(self, key: Key, needed: int, device: torch.device) -> Tensor:
        """The sums of ``key``, grown to ``needed`` words."""
        have = self.sums.get(key)
        if have is None:
            have = empty_sums(needed, device)
        elif len(have) < needed:
            have = torch.cat([have, empty_sums(needed - len(have), have.device)])
        self.sums[key] = have
        return have

    def _order(self, key: Key) -> tuple[int, Key]:
        """Layers as they were given, then what was added by name."""
        names = list(self.layers)
        return names.index(key[0]) if key[0] in names else len(names), key

    def _current(self, layer: str) -> dict[str, Tensor]:
        if self._words is None:
            raise InputError(
                f"layer {layer!r} ran before words(): call tracker.words(input_ids=…, "
                "target_ids=…) before the forward pass, or pause with tracker.paused()"
            )
        return self._words


def _find_layers(
    model: nn.Module, layers: Iterable[str | nn.Module] | Mapping[str, str | nn.Module]
) -> dict[str, nn.Module]:
    if isinstance(layers, (str, nn.Module)):
        raise InputError(f"layers must be a list of names or modules, got {layers!r:.60}")
    modules = dict(model.named_modules())
    names = {module: name for name, module in modules.items()}
    pairs: list[tuple[str, str | nn.Module]] = []
    if isinstance(layers, Mapping):
        pairs += [(str(alias), layer) for alias, layer in layers.items()]
    else:
        pairs += [("", layer) for layer in layers]
    found: dict[str, nn.Module] = {}
    for alias, layer in pairs:
        if isinstance(layer, nn.Module):
            if layer not in names:
                raise InputError(f"a {type(layer).__name__} given as a layer is not in the model")
            found[alias or names[layer] or type(layer).__name__] = layer
        elif layer and layer in modules:
            found[alias or layer] = modules[layer]
        else:
            known = [name for name in modules if name]
            raise InputError(f"the model has no layer {layer!r}{near_match(layer, known)}")
    if not found:
        raise InputError("track() needs at least one layer, got none")
    return found


def _first_tensor(output: Any, layer: str) -> Tensor:
    if isinstance(output, Mapping):
        output = next(iter(output.values()), None)
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    if not isinstance(output, Tensor) or output.ndim < 2:
        raise InputError(
            f"layer {layer!r} returned {type(output).__name__}: "
            "track a layer whose output is a tensor (..., D)"
        )
    return output
