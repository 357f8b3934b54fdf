"""Concentration in a pretrained Transformer, word by word: what is read, where, and how far.

Windows of a text are read in a random order, so that those read by any moment are a sample of it;
what was read is saved as it goes, and a process that was stopped goes on. Sums are exact, hence
the whole text in any order gives what :func:`sparsecore.track_lm` gives.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sparsecore.data.locate import find_source
from sparsecore.data.text_files import read_lines
from sparsecore.errors import InputError, check_choice, near_match
from sparsecore.measure.chi import chi
from sparsecore.measure.pieces import Pieces, Windows, cut
from sparsecore.measure.track_lm import LMTracking, default_layers
from sparsecore.ops.word_sums import select_words
from sparsecore.training.checkpoint import checksum, load_checkpoint, save_checkpoint

LENGTH, CONTEXT = 512, 16  # positions of a window; of these, repeated ones that do not count
OUTLIER = 6.0  # times the median over dimensions
SHARE_OF_BLOCKS = 0.2
PILOT = 5120  # pieces that outlier dimensions are found on
SAVE_EVERY = 12  # windows
WORD = re.compile(r"[A-Za-z]+")
ROLES = {"activation": "input", "gradient": "target"}  # the combinations that the claims are about
_TOKENISED = (
    (re.compile(r" @(.)@ "), r"\1"),
    (re.compile(r" ([,.;:!?)\]%])"), r"\1"),
    (re.compile(r" ('(?:s|re|ve|ll|d|m|t)?\b)"), r"\1"),
    (re.compile(r"([(\[]) "), r"\1"),
)


@dataclass(frozen=True)
class Setting:
    """How a model is read.

    Attributes:
        windows: how many at most; None: all of the text.
        seed: of their order.
        layers: which kinds of signals, of those in :func:`signals`.
        save: a file for what was read so far; None: nothing is saved.
        frequency: occurrences of words, by word; None: those in the text.
        outliers: dimensions of the residual stream that the column chi_without leaves out.
    """

    windows: int | None = None
    seed: int = 0
    layers: Sequence[str] = ("residual", "neurons", "attention", "norm")
    save: Path | None = None
    frequency: pd.Series | None = None
    outliers: Sequence[int] = field(default=())


def read_part(corpus: str, part: str) -> str:
    """The train, valid or test text of a corpus (a name of the registry, or a path), as prose.

    Raises:
        InputError: it cannot be had, or does not have that part.
    """
    files = find_source(corpus).files
    if part not in files and set(files) != {"all"}:
        raise InputError(f"{corpus} has no {part} text{near_match(part, files)}")
    lines = read_lines(files.get(part) or files["all"])
    return plain_text("".join(f"{line}\n" for line in lines))


def plain_text(text: str) -> str:
    """Text that was cut at blanks, with its signs put back.

    >>> plain_text("a role @-@ playing game ( 2011 ) , Robert 's 1 @,@ 000th .")
    "a role-playing game (2011), Robert's 1,000th."
    """
    for pattern, instead in _TOKENISED:
        text = pattern.sub(instead, text)
    return text


def signals(model: nn.Module) -> dict[str, list[str]]:
    """Layers to track, by kind: residual, neurons, attention, norm.

    Of models that are built as Llama's: blocks with ``self_attn`` and ``mlp.down_proj``, and a
    ``norm`` beside them.

    Raises:
        InputError: a model of another build.
    """
    blocks = default_layers(model)
    home = blocks[0].rpartition(".")[0].rpartition(".")[0]
    found = {
        "residual": blocks,
        "neurons": [f"{block}.mlp.down_proj:input" for block in blocks],
        "attention": [f"{block}.self_attn" for block in blocks],
        "norm": [f"{home}.norm" if home else "norm"],
    }
    names = dict(model.named_modules())
    for kind, layers in found.items():
        if (layer := layers[0].removesuffix(":input")) not in names:
            raise InputError(
                f"{type(model).__name__} has no {layer!r} ({kind}): this page knows models that "
                "are built as Llama's; sc.track_lm() takes layers of any model"
            )
    return found


def outlier_dimensions(model: nn.Module, tokenizer: Any, text: str) -> pd.DataFrame:
    """Dimensions of the residual stream that are large at (nearly) every position.

    Mean |x| over the first 5,120 pieces of ``text``, without the first position of a window, is at
    least 6 times the median over dimensions, after at least a fifth of the blocks.

    Returns:
        pandas.DataFrame: dimension, blocks (after how many), largest (mean |x| in medians), where
        (after which block that is, from 1).
    """
    pieces = cut(tokenizer, [text], "pieces", PILOT)
    blocks = signals(model)["residual"]
    sums: dict[str, Any] = dict.fromkeys(blocks, 0.0)
    modules = dict(model.named_modules())

    def add(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            sums[name] = sums[name] + hidden[0, 1:].abs().sum(0)

        return hook

    handles = [modules[name].register_forward_hook(add(name)) for name in blocks]
    try:
        with torch.no_grad():
            for start in range(0, len(pieces.ids), LENGTH):
                model(torch.from_numpy(pieces.ids[start : start + LENGTH])[None])
    finally:
        for handle in handles:
            handle.remove()
    ratios = torch.stack([sums[name] / sums[name].median() for name in blocks])  # blocks D
    times = (ratios >= OUTLIER).sum(0)
    found = (times >= max(1, SHARE_OF_BLOCKS * len(blocks))).nonzero()[:, 0]
    largest, where = ratios.max(0)
    return pd.DataFrame(
        {
            "dimension": found.numpy(),
            "blocks": times[found].numpy(),
            "largest": largest[found].numpy(),
            "where": where[found].numpy() + 1,
        }
    )


def measure(
    model: nn.Module,
    tokenizer: Any,
    text: str,
    setting: Setting,
    say: Callable[[str], object] = lambda line: None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table of :func:`sparsecore.track_lm` for the words that are one piece, and what was read.

    Columns as there, with chi_without (chi without the outlier dimensions, where a vector has the
    width of the residual stream), kind and block (from 1; 0 for the last norm). Rows are of
    activations at input words and gradients from target words.

    Raises:
        InputError: unknown kinds of layers, or a saved file of another setting.
    """
    known = signals(model)
    for kind in setting.layers:
        check_choice("kind of layer", kind, known)
    kinds = {name: (kind, i + 1) for kind in setting.layers for i, name in enumerate(known[kind])}
    kinds |= {name: ("norm", 0) for name in known["norm"] if name in kinds}
    pieces = cut(tokenizer, [text], "every")
    windows = Windows(pieces, "every", LENGTH, LENGTH - CONTEXT, 1)
    width = next(m for m in model.modules() if isinstance(m, nn.Embedding)).embedding_dim
    measures = {"chi_without": _without(width, setting.outliers)}
    order = np.random.default_rng(setting.seed).permutation(len(windows))
    until = min(setting.windows or len(order), len(order))
    told = [text, setting.seed, list(kinds), sorted(setting.outliers)]
    weights = {} if setting.save is None else model.state_dict()
    of = checksum({name: value.cpu() for name, value in weights.items()}, json.dumps(told))
    done, cpu = 0, 0.0
    with LMTracking(
        model, windows, list(kinds), True, counts=setting.frequency, measures=measures
    ) as tracking:
        if setting.save is not None and setting.save.exists():
            saved, _ = load_checkpoint(setting.save)
            if saved["reading"]["of"] != of:
                raise InputError(
                    f"{setting.save} is of another model, text, seed or layers: give another file"
                )
            done, cpu = saved["reading"]["done"], saved["reading"]["cpu"]
            tracking.load_state_dict(saved["tracking"])
        begin = time.process_time() - cpu
        while done < until:
            tracking.at = int(order[done])
            tracking.step()
            done += 1
            say(f"{done} of {until} windows, {time.process_time() - begin:.0f} s")
            if setting.save is not None and (done % SAVE_EVERY == 0 or done == until):
                reading = {"of": of, "done": done, "cpu": time.process_time() - begin}
                state = {"reading": reading, "tracking": tracking.state_dict()}
                save_checkpoint(setting.save, state)
        read = sum(windows.batch(int(i)).size for i in order[:done])
        table = _of_words(tracking, _single_pieces(tokenizer, pieces))
    facts = {
        "windows": done,
        "pieces": read,
        "of": len(pieces.ids),
        "length": LENGTH,
        "context": CONTEXT,
        "seed": setting.seed,
        "cpu_seconds": round(time.process_time() - begin),
    }
    kind, block = zip(*(kinds[layer] for layer in table["layer"]), strict=True)
    return table.assign(kind=kind, block=block), facts


def _without(width: int, outliers: Sequence[int]) -> Callable[[Tensor], Tensor]:
    keep = torch.ones(width, dtype=torch.bool)
    keep[list(outliers)] = False

    def chi_without(v: Tensor) -> Tensor:
        return chi(v[..., keep.to(v.device)] if v.shape[-1] == width else v)

    return chi_without


def _single_pieces(tokenizer: Any, pieces: Pieces) -> np.ndarray:
    """Ids of the words of letters that are one piece after a blank."""
    ids = [i for i, word in enumerate(pieces.words) if WORD.fullmatch(word)]
    coded = tokenizer([f" {pieces.words[i]}" for i in ids], add_special_tokens=False)["input_ids"]
    return np.array([i for i, code in zip(ids, coded, strict=True) if len(code) == 1])


def _of_words(tracking: LMTracking, words: np.ndarray) -> pd.DataFrame:
    """The table of some words alone: that of all would be of millions of rows."""
    chosen = torch.from_numpy(words)
    sums = {
        key: select_words(sums, chosen)
        for key, sums in tracking.tracker.sums.items()
        if ROLES[key[1].partition(":")[0]] == key[2]
    }
    tracking.tracker.load_sums(sums)
    return tracking.table().drop(columns=["word_id"])
