"""What the automata of a trained model look for: Table 1 of Dodge et al. 2019, for small models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sparsecore.experiments.sentiment.config import lengths_of
from sparsecore.experiments.sentiment.inputs import Inputs
from sparsecore.experiments.sentiment.structure import rnn_of
from sparsecore.models.classifier import SequenceClassifier
from sparsecore.pruning.patterns import explain, phrases, strongest

MOST_WFSAS = 8  # a model with more is not read
TOP_K = 6
BATCH = 64

_KINDS = {"wfsa": "int64", "state": "int64", "end": "str", "rank": "int64", "score": "float64",
          "document": "int64", "label": "str", "phrase": "str"}  # fmt: skip


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
