"""What the page of the automata reader shows: a model before pruning, its words, sample texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sparsecore.errors import InputError
from sparsecore.experiments.sentiment.patterns import padded
from sparsecore.experiments.sentiment.structure import rnn_of
from sparsecore.experiments.sentiment.trained import Trained
from sparsecore.layers.rational import RationalRNN
from sparsecore.pruning.groups import group_norms
from sparsecore.pruning.patterns import phrases
from sparsecore.report.pages.sentiment import Reader

MOST_WORDS = 6000  # that the page carries vectors of, the most frequent ones
SAMPLES = 8  # test documents to pick, half of them of either label
LENGTH = 30  # words of a sample, as nearly as there are such documents
READ = 300  # training documents whose phrases are compared, those of about LENGTH words
PHRASES = 2  # that are told of a state


def readable(reader: Reader) -> dict[str, Any]:
    """The arguments of :class:`sparsecore.report.explorers.AutomataReader` for a run's model.

    The model is the one that the group lasso has trained, with all its states and before the
    fine-tuning, so that the reader can do the pruning. Vectors are those of the corpus's most
    frequent words and of all words in the samples, which are test documents of a few lines.

    Raises:
        InputError: the run is a baseline, which has nothing to prune, or its vectors are
            contextual: a word then has no vector of its own.
    """
    trained = reader.trained
    model = trained.regularised
    if model is None:
        raise InputError("the automata reader needs a run with a penalty: strength above 0")
    if trained.inputs.first is not None:
        raise InputError(
            "the automata reader needs vectors of words, not those of an encoder; try embedded"
        )
    rnn = rnn_of(model)
    weight, bias = (p.double().numpy() for p in (model.output.weight, model.output.bias))
    samples, words = _samples(trained)
    return {
        "lengths": list(rnn.lengths),
        "main": rnn.main.detach().numpy(),
        "loop": rnn.loop.detach().numpy(),
        "bias": rnn.bias.detach().numpy(),
        "norms": group_norms(rnn).detach().numpy(),
        "weight": weight[1] - weight[0],
        "offset": float(bias[1] - bias[0]),
        "labels": list(trained.inputs.corpus.labels),
        "vectors": _vectors(trained, words),
        "samples": samples,
        "threshold": trained.config.threshold,
        "phrases": _phrases(trained, rnn),
    }


def _samples(trained: Trained) -> tuple[list[dict[str, str]], set[str]]:
    """Short test documents, taken in turn from either label, and the words in them."""
    corpus = trained.inputs.corpus
    near = np.argsort(np.abs(corpus.test.lengths - LENGTH), kind="stable")
    by_label = [near[corpus.test.labels[near] == label][: SAMPLES // 2] for label in (0, 1)]
    found, words = [], set()
    for pair in zip(*by_label, strict=False):
        for label, number in enumerate(pair):
            tokens = corpus.tokens("test", int(number))
            words.update(tokens)
            found.append({"label": str(corpus.labels[label]), "text": " ".join(tokens)})
    return found, words


def _phrases(trained: Trained, rnn: RationalRNN) -> list[list[list[str]]]:
    """Of each automaton and each of its states, the phrases that score highest."""
    lengths = trained.inputs.corpus.train.lengths
    chosen = np.argsort(np.abs(lengths - LENGTH), kind="stable")[:READ].tolist()
    x, tokens = padded(trained.inputs, "train", chosen)
    with torch.no_grad():
        table = phrases(rnn, x.to(rnn.main.device), tokens, 2 * PHRASES)
    top = table[table["end"] == "top"].sort_values("rank")
    steps = [name for name in table.columns if str(name).startswith("transition_")]
    found: list[list[list[str]]] = [[[] for _ in range(length)] for length in rnn.lengths]
    for row in top.to_dict("records"):
        told = found[row["wfsa"]][row["state"] - 1]
        words = " ".join(str(row[step]) for step in steps if row[step]).replace("_SL", "")
        if words not in told and len(told) < PHRASES:
            told.append(words)
    return found


def _vectors(trained: Trained, needed: set[str]) -> dict[str, Any]:
    """The vectors of the boundaries, the most frequent words, and the words that are needed."""
    table, words = trained.inputs.table, trained.inputs.corpus.words
    count = len(words)
    rows = {"<s>": count + 1, "</s>": count + 2}
    for number, word in enumerate(words, 1):
        if number <= MOST_WORDS or word in needed:
            rows[word] = number
    return {word: np.asarray(table[row]) for word, row in rows.items()}
