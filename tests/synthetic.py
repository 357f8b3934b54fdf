"""Run folders made from formulas: the correlations in them are known, no training is needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

SIGNALS = [
    (layer, signal)
    for signal in ("activation", "gradient")
    for layer in ("embedding", "lstm1", "lstm2")
] + [("softmax", "gradient")]


def words(count: int = 400, seed: int = 0) -> pd.DataFrame:
    """A vocabulary as a run writes it: <unk>, <eos>, then Zipfian words, most frequent first."""
    rng = np.random.default_rng(seed)
    rank = np.arange(1, count + 1)
    frequency = np.floor(50_000 / (rank + 2.7) ** 1.05).astype(np.int64) + 6
    closed = rng.random(count) < 0.6 / np.sqrt(rank) + 0.12
    pos = np.where(closed, rng.choice(["ADP", "DET", "PRON"], count), "NOUN")
    none = rng.random(count) < 0.1
    table = pd.DataFrame(
        {
            "word": [f"word{r}{'x' * int(rng.poisson(np.log(r)))}" for r in rank],
            "frequency": frequency,
            "pos": np.where(none, "", pos),
            "share": np.where(none, np.nan, 0.9),
            "word_class": np.where(none, "none", np.where(closed, "closed", "open")),
        }
    )
    special = pd.DataFrame(
        {"word": ["<unk>", "<eos>"], "frequency": [20_000, 15_000], "pos": "", "share": np.nan,
         "word_class": "none"}
    )  # fmt: skip
    return pd.concat([special, table], ignore_index=True)


def statistics(
    table: pd.DataFrame, epoch: int, epochs: int, seed: int, growth: float = 1.0
) -> pd.DataFrame:
    """Per-word chi of one epoch: the top gradient's dependence on log frequency grows."""
    rng = np.random.default_rng([seed, epoch])
    strength = {
        ("lstm2", "gradient", "target"): 0.012 * growth * epoch / epochs,
        ("lstm1", "activation", "input"): 0.006 * min(1, 2 * epoch / epochs),
        ("embedding", "activation", "input"): 0.008 * epoch / epochs,
        ("lstm2", "activation", "target"): -0.003,
    }
    standard = np.log(table["frequency"])
    standard = ((standard - standard.mean()) / standard.std()).to_numpy()
    closed = (table["word_class"] == "closed").to_numpy()
    parts = []
    for layer, signal in SIGNALS:
        for role in ("target", "input"):
            base = 0.6 if layer == "softmax" else 0.095
            chi = base + strength.get((layer, signal, role), 0.0) * standard
            chi = chi + 0.006 * rng.normal(size=len(table))
            if (layer, signal, role) == ("lstm2", "gradient", "target"):
                chi = chi + 0.01 * closed * epoch / epochs
            parts.append(
                pd.DataFrame(
                    {
                        "word_id": np.arange(len(table), dtype=np.int32),
                        "layer": layer,
                        "signal": signal,
                        "role": role,
                        "chi": chi.astype(np.float32),
                        "l1": rng.gamma(20, 0.05, len(table)).astype(np.float32),
                        "count": table["frequency"].to_numpy(dtype=np.int32),
                    }
                )
            )
    frame = pd.concat(parts, ignore_index=True)
    return frame.astype({"layer": "category", "signal": "category", "role": "category"})


def epochs_table(epochs: int) -> pd.DataFrame:
    epoch = np.arange(epochs + 1)
    loss = 4.5 + 3.0 * np.exp(-0.6 * epoch)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": loss,
            "valid_loss": loss + 0.02 * epoch,
            "valid_perplexity": np.exp(loss + 0.02 * epoch),
            "learning_rate": 20.0,
            "step_cut": epoch == epochs // 2,
        }
    )


def write_run(
    folder: Path, seed: int = 0, epochs: int = 4, count: int = 400, growth: float = 1.0
) -> Path:
    """A finished run folder."""
    (folder / "statistics").mkdir(parents=True)
    table = words(count)
    config = {"corpus": "synthetic", "threshold": 6, "hidden_size": 200, "embedding_size": 200,
              "epochs": epochs, "seed": seed, "device": "cpu", "batch_size": 40,
              "sequence_length": 35}  # fmt: skip
    environment = {"corpus_sha256": "0" * 64, "torch": "2.13.0", "device": "cpu",
                   "identity": {"experiment": "emergent"},
                   "date": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "environment.json").write_text(json.dumps(environment))
    table.to_parquet(folder / "words.parquet")
    epochs_table(epochs).to_parquet(folder / "epochs.parquet")
    timing = {"epoch": range(epochs + 1), "seconds": 60.0, "tokens": 200_000}
    pd.DataFrame(timing).to_parquet(folder / "timing.parquet")
    for epoch in range(epochs + 1):
        frame = statistics(table, epoch, epochs, seed, growth)
        frame.to_parquet(folder / "statistics" / f"epoch-{epoch:03d}.parquet")
    (folder / "DONE").write_text("2026-01-01T00:00:00+00:00\n")
    return folder


def run_statistics(seed: int = 0, epochs: int = 4, count: int = 400) -> pd.DataFrame:
    """What ``Run.statistics()`` gives for such a run."""
    table = words(count)
    frame = pd.concat(
        [statistics(table, e, epochs, seed).assign(epoch=e) for e in range(epochs + 1)],
        ignore_index=True,
    )
    described = table.iloc[frame["word_id"]].reset_index(drop=True)
    return pd.concat([frame, described.drop(columns="share")], axis=1)
