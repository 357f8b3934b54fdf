"""One sentence under the lens: chi at every token, in every layer, of any language model."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.measure.tracker import track
from sparsecore.models.language_model import LSTMLanguageModel
from sparsecore.ops.autocast import backward_in_eval


def sentence_chi(
    model: LSTMLanguageModel, ids: Sequence[int] | Tensor, words: Sequence[str]
) -> pd.DataFrame:
    """chi of activations and gradients at each token of a sentence, without dropout.

    The model reads ``ids[:-1]`` and predicts ``ids[1:]``; its weights and mode are left as they
    were. Gradients are those of each token's own loss.

    Args:
        model: the language model.
        ids: (T + 1,) word ids, boundaries included.
        words: V words, by id.

    Returns:
        One row a token, layer and signal: position (0 … T − 1), input (the word read), target (the
        word to be predicted), layer, signal, chi; and surprisal (nats) of the target.

    Raises:
        InputError: fewer than two ids, or one that is not in the vocabulary.
    """
    sequence = torch.as_tensor(ids, dtype=torch.int64)
    if sequence.ndim != 1 or len(sequence) < 2:
        raise InputError(f"a sentence needs at least 2 words, got {tuple(sequence.shape)}")
    if int(sequence.min()) < 0 or int(sequence.max()) >= len(words):
        raise InputError(f"ids must lie in [0, {len(words)}), got {int(sequence.max())}")
    device = model.decoder.weight.device
    inputs, targets = (part.unsqueeze(1).to(device) for part in (sequence[:-1], sequence[1:]))
    positions = torch.arange(len(inputs), device=device).unsqueeze(1)
    before = [parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    was_training = model.training
    model.eval()
    # each position counts as a word of its own, so that a mean over words is a mean of one
    names = [str(position) for position in range(len(inputs))]
    tracker = track(model, model.signals, vocabulary=names)
    with tracker, torch.enable_grad(), backward_in_eval(model):
        tracker.words(target_ids=positions, gradient_scale=len(inputs))
        hidden, _ = model(inputs)
        loss, chi, l1 = model.loss(hidden, targets)
        loss.backward()
        tracker.add("softmax", "gradient", chi, l1)
    with torch.no_grad():
        surprisal = -torch.log_softmax(model.logits(hidden), -1).gather(-1, targets.unsqueeze(-1))
    for parameter, gradient in zip(model.parameters(), before, strict=True):
        parameter.grad = gradient
    model.train(was_training)
    table = tracker.table()[["word", "layer", "signal", "chi"]].astype({"word": int})
    table = table.rename(columns={"word": "position"}).sort_values("position", kind="stable")
    about = pd.DataFrame(
        {
            "position": range(len(inputs)),
            "input": [words[i] for i in sequence[:-1].tolist()],
            "target": [words[i] for i in sequence[1:].tolist()],
            "surprisal": surprisal.flatten().tolist(),
        }
    )
    merged = table.merge(about, on="position")
    columns = ["position", "input", "target", "surprisal", "layer", "signal", "chi"]
    return merged[columns].reset_index(drop=True)
