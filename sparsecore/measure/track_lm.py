"""A causal language model under the tracker, in one call: which words make which layers sparse.

model, tokenizer = sc.load_lm("gpt2")
table = sc.track_lm(model, tokenizer, texts, layers=["*.mlp.c_proj:input"])
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from sparsecore.data.causal_lm import floating_type
from sparsecore.errors import InputError, whole_number
from sparsecore.measure.measures import Measure
from sparsecore.measure.pieces import Batch, Text, Windows, Words, cut
from sparsecore.measure.select import Layers, Transform, find_signals
from sparsecore.measure.tracker import track
from sparsecore.ops.autocast import backward_in_eval
from sparsecore.ops.word_sums import MISSED, add_words, empty_sums, means, quantise

if TYPE_CHECKING:
    import pandas as pd

LENGTH = 512


def track_lm(
    model: nn.Module,
    tokenizer: Any,
    texts: Iterable[Text],
    layers: Layers | None = None,
    gradients: bool = True,
    *,
    words: Words = "every",
    length: int | None = None,
    stride: int | None = None,
    batch_size: int = 4,
    max_tokens: int | None = None,
    counts: Any = None,
    measures: Iterable[str] | Mapping[str, str | Measure] = (),
    transform: Transform | Mapping[str, Transform] | None = None,
    rows: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Concentration of a causal language model's values and gradients, word by word.

    The texts are read in windows; the loss whose gradients are tracked is the sum of -log p(piece |
    pieces before it in the window) in nats, so that a gradient (the upward one: what the layers
    above pass down) does not depend on the batch. Each piece of a text counts once; special tokens
    count for no word.

    Args:
        model: called as ``model(input_ids)``, with ``.logits`` (B, T, V) in what it returns, or a
            tensor of that shape: any ``AutoModelForCausalLM``, or an ``nn.Module`` of your own. It
            is measured in eval mode with frozen weights, and left as it was.
        tokenizer: its tokenizer, a fast one where pieces are joined to words.
        texts: strings (or one of them), each read by itself; or lists of words of your own.
        layers: as for :func:`sparsecore.track`: names, patterns, ``"…:input"``. Default: the
            output of every block, which is the residual stream.
        gradients: also go backward.
        words: which positions count for a word: ``"every"`` of its pieces, only its ``"first"``,
            only its ``"last"``; or ``"pieces"``, each of which is then a word of its own. As an
            input, a position counts for the piece that stands there; as a target, for the next one.
        length: positions of a window; default 512, or as many as the model reads.
        stride: pieces from the begin of one window to that of the next; default and at most what
            ``length`` leaves beside special tokens. Less gives words more context, ``length -
            stride`` positions with those tokens, which count for nothing.
        batch_size: windows at once.
        max_tokens: read no more than so many pieces.
        counts: frequencies of words, by word, in place of those in ``texts``.
        measures, transform, rows: as for :func:`sparsecore.track`.
        device: where to compute; the model is moved there and back. Default: where it is.
        dtype: compute in this type (``torch.autocast``); the weights stay in theirs.
        progress: show a bar.

    Returns:
        A table as of :meth:`~sparsecore.measure.tracker.Tracker.table`, with word, frequency
        (occurrences in the texts), layer, signal, role, chi, l1, count (positions), word_id, a
        column for each measure; and surprisal, the mean over the occurrences of a word of
        -log p(word | before) in nats, which is the sum over its pieces (NaN if it was never
        predicted).

    Raises:
        InputError: bad options, an unknown layer, no text, or a model that is not causal.

    Source: Saphra & Lopez 2019, §2-3, for any causal language model.
    """
    layers = list(layers) if isinstance(layers, Iterator) else layers
    check_options(model, layers, transform, device, dtype)
    windows = windows_of(model, tokenizer, texts, words, length, stride, batch_size, max_tokens)
    with torch.inference_mode(False):
        tracking = LMTracking(
            model, windows, layers, gradients, counts, measures, transform, rows, device, dtype
        )
        with tracking:
            tracking.run(progress)
            return tracking.table()


def check_options(
    model: nn.Module,
    layers: Layers | None,
    transform: Transform | Mapping[str, Transform] | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
) -> None:
    """What can be known before a long text is cut into pieces.

    Raises:
        InputError: an unknown layer, transform, device or type.
    """
    if layers is not None:
        find_signals(model, layers, transform)
    _known_device(device)
    floating_type(dtype)


def windows_of(
    model: nn.Module,
    tokenizer: Any,
    texts: Iterable[Text],
    words: str,
    length: int | None,
    stride: int | None,
    batch_size: int,
    max_tokens: int | None,
) -> Windows:
    """The windows in which a model reads texts; arguments as :func:`track_lm` has them."""
    length = window_length(model, length)
    return Windows(cut(tokenizer, texts, words, max_tokens), words, length, stride, batch_size)


class LMTracking:
    """Batch by batch: :meth:`step` until all are done, then :meth:`table`; a context manager.

    ``state_dict`` and ``load_state_dict`` carry the sums, so that a process can go on where another
    one stopped.
    """

    def __init__(
        self,
        model: nn.Module,
        windows: Windows,
        layers: Layers | None,
        gradients: bool,
        counts: Any = None,
        measures: Iterable[str] | Mapping[str, str | Measure] = (),
        transform: Transform | Mapping[str, Transform] | None = None,
        rows: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> None:
        self.model, self.windows, self.gradients = model, windows, gradients
        self.device, self.dtype = _known_device(device), floating_type(dtype)
        if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
            raise InputError(
                f"{type(model).__name__} has an encoder and is not a causal language model; "
                "sc.track() follows any model"
            )
        if gradients and any(parameter.is_inference() for parameter in model.parameters()):
            raise InputError(
                "the model was made in inference mode, in which nothing has gradients: make it "
                "outside, or give gradients=False"
            )
        pieces = windows.pieces
        self.tracker = track(
            model,
            default_layers(model) if layers is None else layers,
            gradients,
            vocabulary=pieces.words,
            counts=pieces.counts if counts is None else counts,
            measures=measures,
            transform=transform,
            rows=rows,
            flat=True,
        )
        self.at = 0  # batches done
        self.surprisal = empty_sums(len(pieces.words))
        self.occurrences = torch.zeros(len(pieces.words), dtype=torch.int64)
        self._takes = _parameters(model)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> LMTracking:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_borrowed(self.model, self.gradients, self.device))
            kinds = {p.dtype for p in self.model.parameters() if p.is_floating_point()}
            _check_causal(self._logits, self.windows, kinds | {self.dtype or torch.float32})
            stack.enter_context(self.tracker)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    @property
    def finished(self) -> bool:
        """Whether all batches are done."""
        return self.at == len(self.windows)

    def run(self, progress: bool = True, after: Callable[[], object] | None = None) -> None:
        """All steps that are left, under a progress bar; ``after`` is called after each."""
        from tqdm.auto import tqdm

        total = len(self.windows.pieces.ids)
        with tqdm(total=total, unit="token", desc="tracking", disable=not progress) as bar:
            bar.update(sum(self.windows.batch(i).size for i in range(self.at)))
            while not self.finished:
                bar.update(self.step())
                if after is not None:
                    after()

    def step(self) -> int:
        """One batch; how many pieces it has that are new."""
        batch = self.windows.batch(self.at)
        self.tracker.words(batch.words["input"], batch.words["target"])
        with torch.set_grad_enabled(self.gradients):
            logits = self._logits(batch)
            labels = batch.labels.to(logits.device)
            ahead = labels >= 0
            losses = nn.functional.cross_entropy(
                logits[ahead].float(), labels[ahead], reduction="none"
            )
            if self.gradients and len(losses):
                losses.sum().backward()
        losses = losses.detach().cpu()
        predicted = batch.predicted[batch.labels >= 0]
        add_words(self.surprisal, predicted, quantise(torch.zeros_like(losses), losses))
        opened = batch.opened[batch.opened >= 0]
        self.occurrences += torch.bincount(opened, minlength=len(self.occurrences))
        self.at += 1
        return batch.size

    def table(self) -> pd.DataFrame:
        """What :func:`track_lm` returns."""
        table = self.tracker.table()
        occurrences = self.occurrences.numpy()
        _, mean, count = means(self.surprisal)
        total = torch.where(self.surprisal[:, MISSED] > 0, torch.nan, mean * count).numpy()
        surprisal = np.divide(
            total, occurrences, out=np.full(len(total), np.nan), where=occurrences > 0
        )
        return table.assign(surprisal=surprisal[table["word_id"]])

    def perplexity(self) -> float:
        """exp of the mean of -log p over the pieces that were predicted as parts of words."""
        _, mean, count = means(self.surprisal)
        return float((mean * count).nansum().div(count.sum()).exp())

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` takes."""
        sums = [[list(key), value.cpu()] for key, value in self.tracker.sums.items()]
        spent = {"surprisal": self.surprisal.clone(), "occurrences": self.occurrences.clone()}
        return {"at": self.at, **spent, "sums": sums}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of equal texts and options."""
        self.at = state["at"]
        self.surprisal, self.occurrences = state["surprisal"], state["occurrences"]
        self.tracker.load_sums({(a, b, c): value for (a, b, c), value in state["sums"]})

    def _logits(self, batch: Batch) -> Tensor:
        device = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        given = {"attention_mask": batch.attention_mask.to(device), "use_cache": False}
        given = {name: value for name, value in given.items() if name in self._takes}
        autocast = (
            contextlib.nullcontext()
            if self.dtype is None
            else torch.autocast(device.type, self.dtype)
        )
        with autocast:
            output = self.model(batch.input_ids.to(device), **given)
        logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
        if not isinstance(logits, Tensor) or logits.shape[:-1] != batch.input_ids.shape:
            shape = ", ".join(map(str, batch.input_ids.shape))
            raise InputError(
                f"the model gives {type(output).__name__} without logits ({shape}, V): track_lm() "
                "needs a causal language model"
            )
        return logits


def default_layers(model: nn.Module) -> list[str]:
    """The names of a model's blocks: the members of its longest ``nn.ModuleList``.

    Raises:
        InputError: it has none.
    """
    lists = [(len(m), name) for name, m in model.named_modules() if isinstance(m, nn.ModuleList)]
    if not lists:
        names = ", ".join(repr(name) for name, _ in model.named_children())
        raise InputError(f"the model has no nn.ModuleList of blocks: name layers, such as {names}")
    size, name = max(lists, key=lambda pair: pair[0])
    return [f"{name}.{i}" if name else str(i) for i in range(size)]


def window_length(model: nn.Module, length: int | None) -> int:
    """Positions of a window, no more than the model's configuration says that it reads."""
    config = getattr(model, "config", None)
    length = None if length is None else whole_number(length, "length")
    longest = getattr(config, "max_position_embeddings", None)
    longest = longest if isinstance(longest, int) and longest > 0 else None
    if length is None:
        return LENGTH if longest is None else min(LENGTH, longest)
    if longest is not None and length > longest:
        raise InputError(f"length must be at most {longest}, which the model reads; got {length}")
    return length


def _known_device(device: str | torch.device | None) -> str | torch.device | None:
    if device is not None:
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"device {device!r} cannot be used: {reason:.120}") from error
    return device


def _parameters(model: nn.Module) -> set[str]:
    """Names that ``model.forward`` takes."""
    found = inspect.signature(model.forward).parameters
    if any(p.kind is p.VAR_KEYWORD for p in found.values()) and hasattr(model, "config"):
        return {*found, "attention_mask", "use_cache"}
    return set(found)


@contextlib.contextmanager
def _borrowed(
    model: nn.Module, gradients: bool, device: str | torch.device | None
) -> Iterator[None]:
    """The model in eval mode and frozen, its gradients from the first layers on; put back then.

    Weights need no gradients, which saves a third of the way back; what modules make of token ids
    (embeddings) is where the graph begins.
    """
    modes = [(module, module.training) for module in model.modules()]
    thawed = [p for p in model.parameters() if p.requires_grad and not p.is_inference()]
    home = next((parameter.device for parameter in model.parameters()), None)
    hooks = []
    try:
        if device is not None:
            model.to(device)
        model.eval()
        for parameter in thawed:
            parameter.requires_grad_(False)
        if gradients:
            leaves = [module for module in model.modules() if not any(module.children())]
            hooks = [module.register_forward_hook(_begin_graph) for module in leaves]
        with backward_in_eval(model) if gradients else contextlib.nullcontext():
            yield
    finally:
        for hook in hooks:
            hook.remove()
        for parameter in thawed:
            parameter.requires_grad_(True)
        for module, mode in modes:
            module.training = mode
        if device is not None and home is not None:
            model.to(home)


def _begin_graph(_module: nn.Module, _inputs: Any, output: Any) -> Tensor | None:
    """Let gradients reach an output that has none; a copy, as a leaf bears no change in place."""
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    if output.requires_grad or not torch.is_grad_enabled():
        return None
    return output.detach().requires_grad_().clone()


def _check_causal(logits_of: Any, windows: Windows, kinds: set[torch.dtype]) -> None:
    """Another last piece must leave the predictions before it as they are."""
    ids = windows.batch(0).input_ids[:1, :8]
    if ids.shape[1] < 2:
        return
    pair = ids.repeat(2, 1)
    pair[1, -1] = pair[0, 0] if pair[0, 0] != pair[0, -1] else (pair[0, -1] + 1) % 2
    full = torch.ones_like(pair)
    probe = Batch(pair, full, pair, {}, pair, pair, 0)
    with torch.no_grad():
        logits = logits_of(probe)[:, :-1]
    rounding = max(torch.finfo(kind).eps for kind in kinds | {logits.dtype})
    a, b = logits.float()
    least = 1e-4 if a.device.type == "cpu" else 2e-3  # elsewhere products may be in TF32
    if (a - b).abs().max() > max(least, 4 * rounding) * a.std().clamp_min(1e-6):
        raise InputError(
            "the model is not causal: what it says of a word changes with the words after it; "
            "sc.track() follows any model"
        )
