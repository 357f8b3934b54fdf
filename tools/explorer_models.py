"""The small models that two explorers read with, book/results/explore, made anew.

    python tools/explorer_models.py sentence --corpus FOLDER  # Wikipedia, as the study of causes
    python tools/explorer_models.py automata  # `sparsecore data fetch amazon-reviews glove-6b`

Each run takes some minutes of one core; a finished one is found. What is kept of the first is the
trained networks in 8 bits a weight; of the second the scores of the commonest words in every state,
in 8 bits as well.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from sparsecore.data.reviews import ReviewCorpus
from sparsecore.experiments.causes.config import Causes
from sparsecore.experiments.causes.task import build_model, prepare
from sparsecore.experiments.sentiment.config import Sentiment
from sparsecore.experiments.sentiment.tables import load_trained
from sparsecore.files import atomic_path
from sparsecore.measure.token_view import sentence_chi
from sparsecore.report.explorers.numbers import from_eight_bits, rounded
from sparsecore.report.pages.automata import SCORES, readable
from sparsecore.report.pages.sentences import TWIN, weights_file
from sparsecore.runs.execute import execute
from sparsecore.runs.reference import describe, write_tables
from sparsecore.training.run_folder import Run

OUT = Path(__file__).resolve().parents[1] / "book" / "results" / "explore"
Arrays = dict[str, NDArray[Any]]
ARMS = {"trained with SGD": "sgd-5", "trained with Adam": "adam"}  # of the study of causes
SEED = 20  # of its last round; from the same first weights, on the same text
SEEN = 10  # times in the held-out text, for a word to count in ρ
READ = 1_000  # words of it, that 8 bits are tried on

REVIEWS = {
    "category": "mix",
    "max_documents": 6400,
    "max_length": 100,
    "titles": True,
    "structure": "0,0,0,12",
    "goal": 18,
    "tolerance": 8,
    "strength": 6e-4,
    "max_epochs": 10,
    "max_tries": 3,
    "plateau": 2,
    "patience": 4,
}


def main() -> None:
    """Train, compute, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", choices=("sentence", "automata"))
    parser.add_argument("--corpus", default="enwiki", help="of the sentence: a name, or a path")
    parser.add_argument("--vectors", default="glove-6b", help="of the automata: a name, or a path")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder above the model's")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.model == "sentence":
        sentence(options.out, options.corpus)
    else:
        automata(options.out, options.vectors)


def sentence(out: Path, corpus: str) -> None:
    """The networks of two runs of the study of causes, and what is known of them."""
    configs = [Causes.preset("small", arm=arm, seed=SEED, corpus=corpus) for arm in ARMS.values()]
    runs = [execute(config) for config in configs]
    types = runs[0].table("types")  # those of every arm
    words = [
        w + TWIN * (role == "rare") for w, role in zip(types["word"], types["role"], strict=True)
    ]
    weights = [load_file(run.path / "weights.safetensors") for run in runs]
    tables = {
        "words": pd.DataFrame({"word": words, "frequency": types["frequency"]}),
        "networks": pd.DataFrame(
            [
                {"network": name, **known(config, run, values, words)}
                for name, config, run, values in zip(ARMS, configs, runs, weights, strict=True)
            ]
        ),
    }
    folder = out / "enwiki"
    write_tables(tables, describe(runs), folder)
    for arm, values in zip(ARMS.values(), weights, strict=True):
        save(values, weights_file(folder, arm))
    print(tables["networks"].to_string(index=False))


def known(config: Causes, run: Run, weights: Arrays, words: Sequence[str]) -> dict[str, Any]:
    """What the page says of the network of a run."""
    last = run.epochs.iloc[-1]
    probe = run.table("probe").query("update == update.max() and count >= @SEEN")
    seen = probe.merge(run.table("types"), on="type").query("type > 1")  # no <unk>, no <eos>
    return {
        "arm": config.arm,
        "learning_rate": config.learning_rate,
        "updates": config.num_updates,
        "perplexity": round(math.exp(last["valid_loss"]), 1),
        "rho": round(np.corrcoef(seen["chi"], np.log(seen["frequency"]))[0, 1], 3),
        "words": len(seen),
        "rounding": rounding(config, weights, prepare(config).valid[:READ].tolist(), words),
        "read": READ,
    }


def rounding(config: Causes, weights: Arrays, ids: list[int], words: Sequence[str]) -> float:
    """The largest change of any χ in a text by 8 bits a weight."""
    tables = []
    for values in (weights, {name: from_eight_bits(value) for name, value in weights.items()}):
        model = build_model(config, len(words))
        model.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})
        tables.append(sentence_chi(model, ids, words)["chi"])
    return round(float((tables[0] - tables[1]).abs().max()), 4)


def save(values: Arrays, path: Path) -> None:
    """Whole numbers of 8 bits, and what one of them stands for in each row."""
    stored: Arrays = {}
    for name, value in values.items():
        whole, steps = rounded(value)
        stored |= {name: whole.reshape(np.shape(value)), f"{name}.steps": steps}
    with atomic_path(path) as temporary:
        save_file(stored, temporary)


def automata(out: Path, vectors: str) -> None:
    """A group lasso over the states of 12 WFSAs of 4 transitions, on reviews of all four kinds."""
    config = Sentiment.preset("small", **REVIEWS, vectors=vectors)
    run = execute(config)
    trained = load_trained(run.path, run.config)
    model = readable(trained)
    scores = {name: model[name] for name in ("main", "loop")}
    model |= {name: from_eight_bits(value) for name, value in scores.items()}
    corpus = trained.inputs.corpus
    accuracy: dict[str, Any] = {"documents": len(corpus.train)}
    for split in ("dev", "test"):
        whole, pruned = 100 * right(model, corpus, split, (-1.0, config.threshold))
        accuracy |= {split: round(whole, 2), f"{split}_pruned": round(pruned, 2)}
    wfsas = range(len(model["lengths"]))
    states = [(d, i) for d in wfsas for i in range(1, model["lengths"][d] + 1)]
    tables = {
        "words": pd.DataFrame({"word": model["words"]}),
        "automata": pd.DataFrame({"length": model["lengths"], "weight": model["weight"]}),
        "states": pd.DataFrame(states, columns=["wfsa", "state"]).assign(norm=model["norms"]),
        "phrases": pd.DataFrame(
            [
                {"wfsa": d, "state": i, "phrase": phrase}
                for d, i in states
                for phrase in model["phrases"][d][i - 1]
            ]
        ),
        "accuracy": pd.DataFrame([accuracy]),
    }
    kept = {name: model[name] for name in ("offset", "labels", "threshold")}
    write_tables(tables, {**describe([run]), "model": kept}, out / "reviews")
    save(scores, out / "reviews" / SCORES)
    print(tables["accuracy"].to_string(index=False), run.results.T.to_string(), sep="\n")


def right(
    model: dict[str, Any], corpus: ReviewCorpus, split: str, thresholds: Sequence[float]
) -> NDArray[np.float64]:
    """The share of documents that the page decides rightly, the states up to a norm removed."""
    starts = np.cumsum([0, *model["lengths"][:-1]])
    norms = np.split(model["norms"], starts[1:])
    kept = [[np.logical_and.accumulate(own > at) for own in norms] for at in thresholds]
    weight = np.repeat(model["weight"], model["lengths"]) * [np.concatenate(k) for k in kept]
    index = {word: n for n, word in enumerate(model["words"])}
    f = 1 / (1 + np.exp(-model["loop"].T.astype(np.float64)))  # V S
    u = model["main"].T * (1 - f)
    correct = np.zeros(len(thresholds))
    labels = getattr(corpus, split).labels
    for number, label in enumerate(labels):
        states = np.zeros(f.shape[1])
        for token in ["<s>", *corpus.tokens(split, number), "</s>"]:
            if (n := index.get(token)) is not None:
                before = np.roll(states, 1)
                before[starts] = 1.0
                states = f[n] * states + u[n] * before
        correct += (weight @ states + model["offset"] > 0) == bool(label)
    return correct / len(labels)


if __name__ == "__main__":
    main()
