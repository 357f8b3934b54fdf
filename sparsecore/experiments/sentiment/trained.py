"""A trained model read: what its automata look for, and a finished run as a model again.

The phrases are Table 1 of Dodge et al. 2019, for small models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from sparsecore.data.text import tokenize
from sparsecore.errors import InputError
from sparsecore.experiments.sentiment.config import Sentiment, lengths_of
from sparsecore.files import reading
from sparsecore.home import RECOMPUTE
from sparsecore.layers.rational import RationalRNN
from sparsecore.models.classifier import SequenceClassifier, rnn_of
from sparsecore.pruning.patterns import explain, phrases, strongest
from sparsecore.training.documents import Inputs, prepare_inputs

MOST_WFSAS = 8  # a model with more is not read
TOP_K = 6
BATCH = 64

_KINDS = {"wfsa": "int64", "state": "int64", "end": "str", "rank": "int64", "score": "float64",
          "document": "int64", "label": "str", "phrase": "str"}  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """What a run left: the model in evaluation mode, its documents, and its configuration.

    ``regularised`` is the model before states were removed, at the accepted λ; None of a baseline.
    """

    config: Sentiment
    inputs: Inputs
    model: SequenceClassifier
    regularised: SequenceClassifier | None


def load_trained(folder: Path, config: dict[str, Any]) -> Trained:
    """The model of a finished run; ``config`` are the fields it was run with.

    Raises:
        InputError: the folder holds no finished sentiment run, or its documents are gone.
    """
    path = folder / "weights.safetensors"
    if not path.is_file():
        raise InputError(f"{folder} holds no finished sentiment run")
    known = {field.name for field in dataclasses.fields(Sentiment)}
    sentiment = Sentiment(**{name: value for name, value in config.items() if name in known})
    inputs = prepare_inputs(sentiment, progress=False)
    before = folder / "regularised.safetensors"
    lengths = lengths_of(sentiment.structure)
    with reading(folder, RECOMPUTE):
        kept = pd.read_parquet(folder / "results.parquet")["kept"].iloc[0]
        model = _model(path, inputs.width, _in_order(folder, str(kept)))
        regularised = _model(before, inputs.width, lengths) if before.is_file() else None
    return Trained(sentiment, inputs, model, regularised)


def vectors_of(trained: Trained, text: str) -> tuple[Tensor, list[str]]:
    """(T, E) vectors and the T tokens of a text of one's own, boundaries included.

    Words of the corpus have the vectors that the model was trained with; others are looked up in
    the same source, and are random where it does not know them either.
    """
    words = [token for token in tokenize(text) if token != "\n"]
    if not words:
        raise InputError("the text has no words")
    inputs, config = trained.inputs, trained.config
    if inputs.first is not None:
        from sparsecore.data.contextual import encode_words

        return torch.from_numpy(encode_words(config.vectors, words)), words
    index = {word: number for number, word in enumerate(inputs.corpus.words)}
    tokens = ["<s>", *words, "</s>"]
    table = torch.from_numpy(inputs.table)
    count = len(index)
    rows = {"<s>": count + 1, "</s>": count + 2, **{w: index[w] + 1 for w in words if w in index}}
    new = sorted({word for word in words if word not in rows})
    vectors = {word: table[row] for word, row in rows.items()}
    if new:
        from sparsecore.data.vectors import word_vectors

        # with the corpus's words beside them, so that at least one is known
        wanted = [*new, *inputs.corpus.words]
        found = word_vectors(config.vectors, wanted, config.vector_size, progress=False)
        vectors |= {word: torch.from_numpy(found.table[n]) for n, word in enumerate(new, 1)}
    return torch.stack([vectors[token] for token in tokens]), tokens


def _in_order(folder: Path, kept: str) -> list[int]:
    """Transitions of each WFSA that stayed, in the order of the model."""
    states = pd.read_parquet(folder / "states.parquet")
    lengths = states.groupby("wfsa", sort=True)["kept"].sum()
    order = [int(length) for length in lengths if length]
    if sorted(order) != lengths_of(kept):
        raise ValueError(f"states.parquet keeps {sorted(order)}, results.parquet {kept}")
    return order


def _model(path: Path, width: int, lengths: Sequence[int]) -> SequenceClassifier:
    model = SequenceClassifier(RationalRNN(width, list(lengths)), len(lengths))
    model.load_state_dict(load_file(path))
    return model.eval().requires_grad_(False)


def phrase_table(model: SequenceClassifier, inputs: Inputs, structure: str) -> pd.DataFrame:
    """The phrases of the training documents that each state of each WFSA scores highest and lowest.

    Columns as :func:`sparsecore.pruning.patterns.phrases` has them, with the label of the document;
    as many transition columns as the longest WFSA of ``structure`` has transitions. Of a model with
    more than eight WFSAs the table is empty.
    """
    longest = max(lengths_of(structure))
    rnn = rnn_of(model)
    tables = []
    if len(rnn.lengths) <= MOST_WFSAS:
        order = np.argsort(inputs.corpus.train.lengths, kind="stable")
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH].tolist()
            x, tokens = padded(inputs, "train", chosen)
            found = phrases(rnn, x.to(rnn.main.device), tokens, TOP_K)
            found["document"] = np.array(chosen)[found["document"].to_numpy()]
            tables.append(found)
    names = [f"transition_{i}" for i in range(1, longest + 1)]
    kinds = {**_KINDS, **dict.fromkeys([*names, "after"], "str")}
    if not tables:
        return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in kinds.items()})
    table = strongest(tables, TOP_K)
    labels = inputs.corpus.train.labels[table["document"].to_numpy()]
    table["label"] = [inputs.corpus.labels[label] for label in labels]
    return table.reindex(columns=list(kinds), fill_value="").astype(kinds)


def padded(inputs: Inputs, split: str, numbers: Sequence[int]) -> tuple[Tensor, list[list[str]]]:
    """Documents as (T, B, E) vectors with zeros in front, and their tokens."""
    tokens = [inputs.tokens(split, number) for number in numbers]
    longest = max(map(len, tokens))
    x = torch.zeros(longest, len(numbers), inputs.width)
    for column, number in enumerate(numbers):
        vectors = inputs.vectors(split, number)
        x[longest - len(vectors) :, column] = vectors
    return x, tokens


def explain_document(
    model: SequenceClassifier, x: Tensor, tokens: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How the model decides about one document: see :func:`sparsecore.pruning.patterns.explain`."""
    model.eval()
    rnn = rnn_of(model)
    return explain(rnn, model.output, x.to(rnn.main.device), tokens)
