"""What the page of the automata reader shows: a model before pruning, its words, sample texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sparsecore.errors import InputError
from sparsecore.experiments.sentiment.tables import Trained, load_trained
from sparsecore.files import reading
from sparsecore.layers.rational import RationalRNN
from sparsecore.models.classifier import rnn_of
from sparsecore.pruning.groups import group_norms
from sparsecore.pruning.patterns import phrases
from sparsecore.report.explorers.numbers import from_steps
from sparsecore.report.pages.parts import executed_anew, markdown, reference_folder
from sparsecore.report.pages.sentiment import about_run, smallest_run
from sparsecore.runs.reference import read_reference

MOST_WORDS = 5000  # that the page can read, the most frequent ones
SAMPLES = 8  # test documents to pick, half of them of either label
LENGTH = 30  # words of a sample, as nearly as there are such documents
READ = 300  # training documents whose phrases are compared, those of about LENGTH words
PHRASES = 2  # that are told of a state
SCORES = "scores.safetensors"  # of the reference model: whole numbers, and steps of each row
REMAKE = "python tools/explorer_models.py automata makes it"


@dataclass(frozen=True)
class Automata:
    """Arguments of :class:`sparsecore.report.explorers.AutomataReader`, and what was trained."""

    readable: dict[str, Any]
    about: Any


def open_automata(preset: str, reference: str, texts: Sequence[str], **overrides: Any) -> Automata:
    """The reference model; with a preset or a parameter of one's own, the run's model.

    Args:
        texts: to pick, the first shown at first; of one's own run test documents too.
        overrides: fields of :class:`~sparsecore.experiments.sentiment.config.Sentiment`.

    Raises:
        InputError: unknown preset, field or reference.
    """
    written = [{"label": "made up", "text": text} for text in texts]
    if executed_anew(preset, overrides):
        run = smallest_run(preset, **overrides)
        arguments = readable(load_trained(run.path, run.config))
        samples = [*arguments["samples"], *written]
        about = markdown(about_run(dict(run.results.iloc[0]), len(arguments["norms"])))
        return Automata({**arguments, "samples": samples}, about)
    arguments, accuracy = reference_automata(reference)
    all_states = [f"{accuracy[text]:.1f} %" for text in ("dev", "test")]
    at_threshold = [f"{accuracy[f'{text}_pruned']:.1f} %" for text in ("dev", "test")]
    pruning = (
        "Pruning at the threshold of the run changes neither number."
        if at_threshold == all_states
        else f"Pruned at the threshold of the run, **{at_threshold[0]}** and {at_threshold[1]}."
    )
    told = markdown(
        f"The model has read {int(accuracy['documents']):,} reviews of books, films, electronics "
        "and kitchenware, and knows words by their GloVe vectors; its "
        f"{len(arguments['words']) - 2:,} commonest words are in this page, their scores in 8 bits."
        f" With these and all of its states it gets **{all_states[0]}** of the development reviews "
        f"right, and {all_states[1]} of the test reviews (guessing: 50 %). {pruning}"
    )
    return Automata({**arguments, "samples": written}, told)


def reference_automata(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of the explorer but for samples, from ``book/results/explore``; its accuracies."""
    from safetensors.numpy import load_file

    folder = reference_folder("explore", name)
    tables, provenance = read_reference(folder, REMAKE)
    with reading(folder / SCORES, REMAKE):
        stored = load_file(folder / SCORES)
        found = {n: from_steps(stored[n], stored[f"{n}.steps"]) for n in ("main", "loop")}
        automata, states = tables["automata"], tables["states"]
        lengths = automata["length"].tolist()
        told: list[list[list[str]]] = [[[] for _ in range(length)] for length in lengths]
        for row in tables["phrases"].to_dict("records"):
            told[row["wfsa"]][row["state"] - 1].append(row["phrase"])
        arguments = {
            "lengths": lengths,
            **found,
            "norms": states["norm"].to_numpy(),
            "weight": automata["weight"].to_numpy(),
            "words": tables["words"]["word"].tolist(),
            "phrases": told,
            **provenance["model"],  # offset, labels, threshold
        }
        return arguments, dict(tables["accuracy"].iloc[0])


def readable(trained: Trained) -> dict[str, Any]:
    """The arguments of :class:`sparsecore.report.explorers.AutomataReader` for a run's model.

    The model is the one that the group lasso has trained, with all its states and before the
    fine-tuning, so that the reader can do the pruning. Words are the corpus's most frequent ones
    and those in the samples, which are test documents of a few lines.

    Raises:
        InputError: the run is a baseline, which has nothing to prune, or its vectors are
            contextual: a word then has no vector of its own.
    """
    model = trained.regularised
    if model is None:
        raise InputError("the automata reader needs a run with a penalty: strength above 0")
    if trained.inputs.first is not None:
        raise InputError(
            "the automata reader needs vectors of words, not those of an encoder; try embedded"
        )
    rnn = rnn_of(model)
    weight, bias = (p.double().numpy() for p in (model.output.weight, model.output.bias))
    samples, needed = _samples(trained)
    words, vectors = _vectors(trained, needed)
    main, loop = (p.detach().double().numpy() @ vectors.T for p in (rnn.main, rnn.loop))
    return {
        "lengths": list(rnn.lengths),
        "main": main,
        "loop": loop + rnn.bias.detach().double().numpy()[:, None],
        "norms": group_norms(rnn).detach().numpy(),
        "weight": weight[1] - weight[0],
        "offset": float(bias[1] - bias[0]),
        "labels": list(trained.inputs.corpus.labels),
        "words": words,
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
    x, tokens = trained.inputs.padded("train", chosen)
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


def _vectors(trained: Trained, needed: set[str]) -> tuple[list[str], Any]:
    """The boundaries, the most frequent words and those that are needed; their vectors (V, E)."""
    table, words = trained.inputs.table, trained.inputs.corpus.words
    count = len(words)
    rows = {"<s>": count + 1, "</s>": count + 2}
    for number, word in enumerate(words, 1):
        if number <= MOST_WORDS or word in needed:
            rows[word] = number
    return list(rows), np.asarray(table, dtype=np.float64)[list(rows.values())]
