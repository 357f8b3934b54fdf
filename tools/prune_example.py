"""The table on pruning in book/use.md: a language model of part one, with fewer and fewer units.

    python tools/prune_example.py    # about a minute of one core; writes book/results/pruning

A model is trained with a group lasso on its units; ``sc.prune`` takes away the smallest quarter,
half and three quarters of those of its second layer, and what is as small in its first. Of each
model the table has the parameters, and the perplexity on the validation text.
"""

from __future__ import annotations

import argparse
import math
import platform
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

import sparsecore as sc
from sparsecore.data.language import Corpus, prepare_corpus
from sparsecore.files import write_json
from sparsecore.models.language_model import LSTMLanguageModel, State, detach
from sparsecore.pruning.units import entering_norms, unit_groups
from sparsecore.training.batches import columns, num_windows, window

OUT = Path(__file__).resolve().parents[1] / "book" / "results" / "pruning"
SHARES = (0.0, 0.25, 0.5, 0.75)  # of the second layer's units, that go
SETTINGS: dict[str, Any] = {
    "corpus": "embedded",
    "max_tokens": 40_000,
    "threshold": 8,
    "epochs": 4,
    "strength": 4.0,
    "seed": 0,
}
SIZE, B, T, RATE = 64, 20, 35, 3e-3


def main() -> None:
    """Train, prune, measure, and write table and provenance."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = {k: SETTINGS[k] for k in ("threshold", "max_tokens")}
    corpus = prepare_corpus(SETTINGS["corpus"], **text, progress=False)
    table = measured(corpus, SETTINGS)
    options.out.mkdir(parents=True, exist_ok=True)
    shown = table.round({"threshold": 3, "perplexity": 1})
    shown.to_csv(options.out / "language.csv", index=False)
    write_json(options.out / "provenance.json", provenance(corpus))
    print(shown.to_string(index=False))


def measured(corpus: Corpus, settings: dict[str, Any]) -> pd.DataFrame:
    """A row for each share of units that is taken away, the first for the whole model."""
    torch.manual_seed(settings["seed"])
    train, valid = columns(corpus.train, B), columns(corpus.valid, B).long()
    model = LSTMLanguageModel(len(corpus.vocabulary), SIZE, SIZE, dropout=0.2)
    fit(model, train, settings["strength"], settings["epochs"])
    model.eval()
    norms = entering_norms(model.lstm2)  # pyrefly: ignore[bad-argument-type]
    rows = []
    for share in SHARES:
        threshold = float(norms.quantile(share)) if share else 0.0
        small: Any = sc.prune(model, valid[:T], threshold)
        layers = [small.lstm1, small.lstm2]
        rows.append(
            {
                "threshold": threshold,
                "units": " + ".join(str(layer.hidden_size) for layer in layers),
                "LSTM parameters": sum(p.numel() for layer in layers for p in layer.parameters()),
                "perplexity": perplexity(small, valid),
            }
        )
    return pd.DataFrame(rows)


def fit(model: LSTMLanguageModel, text: Tensor, strength: float, epochs: int) -> None:
    """Adam, each step followed by the proximal step of the group lasso on the units."""
    groups = [
        # pyrefly: ignore[bad-argument-type]
        unit_groups(model.lstm1, "lstm1.", readers=["lstm2.weight_ih_l0"]),
        # pyrefly: ignore[bad-argument-type]
        unit_groups(model.lstm2, "lstm2.", readers=["decoder.weight"]),
    ]
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    for _ in range(epochs):
        state: State | None = None
        for number in range(num_windows(text, T)):
            inputs, targets = window(text, number, T, torch.device("cpu"))
            optimizer.zero_grad()
            hidden, carried = model(inputs, state)
            model.loss(hidden, targets)[0].backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            for units in groups if strength else ():
                units.shrink(model, RATE * strength)
            state = detach(carried)


@torch.no_grad()
def perplexity(model: Any, text: Tensor) -> float:
    """exp of the mean cross entropy on the whole text."""
    hidden, _ = model(text[:-1])
    return math.exp(float(model.loss(hidden, text[1:])[0]))


def provenance(corpus: Corpus) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "script": "tools/prune_example.py",
        "settings": SETTINGS | {"size": SIZE, "batch": B, "steps": T, "learning_rate": RATE},
        "words": len(corpus.vocabulary),
        "training_tokens": len(corpus.train),
        "sha256": corpus.sha256,
        "torch": torch.__version__,
        "processor": platform.machine(),
        "threads": 1,
    }


if __name__ == "__main__":
    main()
