"""The table on pruning in "Use it on your model": its script runs, and made what is committed."""

import json

import pandas as pd
import pytest

from sparsecore.data.language import prepare_corpus
from tools import prune_example


def test_a_row_measures_the_model_and_the_pruned_one(text_file, monkeypatch):
    for name, value in {"SIZE": 8, "B": 4, "T": 10, "RATE": 0.02, "REPEATS": 1}.items():
        monkeypatch.setattr(prune_example, name, value)
    corpus = prepare_corpus(str(text_file), threshold=1, progress=False)
    row = prune_example.row(corpus, 1.0, {"seed": 0, "epochs": 2})
    first, second = (int(n) for n in row["units"].split(" + "))
    assert 0 < first <= 8 and 0 < second <= 8
    assert row["LSTM parameters"] == 4 * (first * (8 + first + 2) + second * (first + second + 2))
    assert 1 < row["pruned perplexity"] == pytest.approx(row["perplexity"], rel=0.1)
    assert min(row["µs a word"], row["pruned µs"]) > 0


def test_committed_table_is_of_the_scripts_settings():
    table = pd.read_csv(prune_example.OUT / "language.csv")
    said = json.loads((prune_example.OUT / "provenance.json").read_text(encoding="utf-8"))
    assert table["strength"].tolist() == list(prune_example.STRENGTHS)
    assert said["settings"].items() >= prune_example.SETTINGS.items()
    parameters = table["LSTM parameters"]
    assert parameters.is_monotonic_decreasing and parameters.iloc[-1] < parameters.iloc[0]
